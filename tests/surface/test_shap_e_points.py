"""Where an object of Shap-E lies in the world: a point cloud against a field that is known."""

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.pipelines.shap_e.camera import create_pan_cameras
from torch import Tensor

from placid_kedro.diffusion.shap_e import ShapEField, load_shap_e, sample_field
from placid_kedro.errors import DataError, NumericError
from placid_kedro.surface.shap_e_points import SHAP_E_TO_WORLD, points_of_field
from tools.shap_e_folder import write_shap_e

STEEP = 2.0


@pytest.fixture
def pipeline(tmp_path: Path) -> Any:
    return load_shap_e(write_shap_e(tmp_path / "shap-e"), torch.device("cpu"))


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def drawn(pipeline: Any) -> ShapEField:
    return sample_field(pipeline, "a cactus", steps=2, guidance_scale=15.0, generator=seeded(0))


def put_object(renderer: Any, surface: tuple[float, float, float], offset: float) -> None:
    """Weights by hand, whatever the prior draws: inside is where surface . x > offset, colours tell x, y and z.

    Far above zero SiLU changes nothing, so that each layer hands the three coordinates on.
    """
    far = 30.0
    for name, projection in renderer.params_proj.projections.items():
        layer = int(name.split("__")[2])
        columns = renderer.mlp.mlp[layer].weight.shape[1]
        projection.norm.weight.data.zero_()
        projection.norm.bias.data.zero_()
        projection.proj.bias.data = torch.eye(8, columns).flatten()
    for layer, linear in enumerate(renderer.mlp.mlp):
        linear.weight.data = torch.eye(*linear.weight.shape)
        linear.bias.data = torch.full_like(linear.bias, far if layer == 0 else 0.0)
    last = renderer.mlp.mlp[-1]
    last.weight.data.zero_()
    last.weight.data[0, :3] = torch.tensor(surface)
    last.bias.data[0] = -far * sum(surface) - offset
    last.weight.data[3:6, :3] = STEEP * torch.eye(3)
    last.bias.data[3:6] = -far * STEEP


def sides(colors: Tensor) -> Tensor:
    """Coordinates in Shap-E's cube, from the colours of `put_object`."""
    return torch.logit(colors.double()) / STEEP


def test_an_objects_points_lie_where_its_field_says(pipeline: Any) -> None:
    """A slab at Shap-E's front: 0.3 thick in its cube of edge 2, so 0.15 in the world's of edge 1, towards +x."""
    put_object(pipeline.shap_e_renderer, (0.0, -1.0, 0.0), 0.7)
    cloud = points_of_field(drawn(pipeline), 21, 4000, seeded(1))
    assert cloud.points.shape == cloud.colors.shape == (4000, 3)
    assert cloud.normals is not None
    low, high = cloud.points.amin(0), cloud.points.amax(0)
    torch.testing.assert_close(low, torch.tensor([0.35, -0.5, -0.5]), atol=5e-3, rtol=0)
    torch.testing.assert_close(high, torch.tensor([0.5, 0.5, 0.5]), atol=5e-3, rtol=0)
    x, y, z = (2 * cloud.points.double()).unbind(1)
    seen = (sides(cloud.colors) - torch.stack([y, -x, z], 1)).abs()
    assert float(seen.max()) < 1e-4
    inner = cloud.points[:, 0] < 0.355
    torch.testing.assert_close(
        cloud.normals[inner].mean(0), torch.tensor([-1.0, 0.0, 0.0]), atol=0.05, rtol=0
    )
    # Evenly by area: each of the two large faces is 1 of 2.6.
    assert float(inner.float().mean()) == pytest.approx(1 / 2.6, abs=0.03)


def test_the_front_is_what_shap_es_first_camera_sees() -> None:
    """diffusers' own turntable: it begins at azimuth 0 of the world, and looks down from above."""
    cameras = create_pan_cameras(4)
    first = SHAP_E_TO_WORLD.of_vectors(torch.as_tensor(cameras.origin[0]).float())
    assert float(first[0]) > 0 and float(first[2]) > 0
    assert abs(float(first[1])) < 1e-5
    points = torch.randn(5, 3)
    assert torch.equal(SHAP_E_TO_WORLD.inverse.of_vectors(SHAP_E_TO_WORLD.of_vectors(points)), points)


def test_an_object_that_is_nowhere_or_no_number_is_one_sentence(pipeline: Any) -> None:
    put_object(pipeline.shap_e_renderer, (1.0, 0.0, 0.0), 2.0)
    with pytest.raises(DataError, match=r"drew nothing for this prompt: .* take another seed"):
        points_of_field(drawn(pipeline), 5, 10, seeded(0))
    pipeline.shap_e_renderer.mlp.mlp[-1].bias.data[0] = torch.nan
    with pytest.raises(NumericError, match=r"Shap-E's object: .* not finite; .*models\.shap_e"):
        points_of_field(drawn(pipeline), 5, 10, seeded(0))
