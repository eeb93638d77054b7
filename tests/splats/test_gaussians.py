"""Parameters of the Gaussians: shapes, activations, initialisation from points."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from placid_kedro.errors import ParameterError, ShapeError
from placid_kedro.splats import Gaussians


def grid(step: float) -> torch.Tensor:
    axis = torch.arange(4) * step
    return torch.cartesian_prod(axis, axis, axis)


def test_points_of_a_grid_are_as_wide_as_its_step():
    points = grid(0.2)
    colors = torch.rand(len(points), 3, generator=torch.Generator().manual_seed(0))
    gaussians = Gaussians.from_points(points, colors, opacity=0.1)
    assert len(gaussians) == 64 and gaussians.sh_degree == 0
    torch.testing.assert_close(gaussians.scales, torch.full((64, 3), 0.2))
    torch.testing.assert_close(gaussians.opacities, torch.full((64,), 0.1))
    torch.testing.assert_close(gaussians.base_colors, colors)
    assert torch.equal(gaussians.means, points)


def test_scaled_gaussians_are_those_of_scaled_points():
    points = grid(0.2)
    colors = torch.rand(len(points), 3, generator=torch.Generator().manual_seed(0))
    scaled = Gaussians.from_points(points, colors).scaled(2.5)
    direct = Gaussians.from_points(points * 2.5, colors)
    torch.testing.assert_close(scaled.means, direct.means)
    torch.testing.assert_close(scaled.log_scales, direct.log_scales)
    for factor in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ParameterError, match="positive, finite factor"):
            direct.scaled(factor)


@pytest.mark.parametrize("count", [2, 3, 4])
def test_few_points_take_the_neighbours_that_there_are(count):
    points = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 2, 0], [0, 0, 3]])[:count]
    gaussians = Gaussians.from_points(points, torch.zeros(count, 3))
    torch.testing.assert_close(gaussians.scales[0, 0], torch.tensor([1.0, 1.5, 2.0][count - 2]))


def test_points_on_top_of_each_other_get_a_small_width():
    gaussians = Gaussians.from_points(torch.zeros(5, 3), torch.zeros(5, 3))
    assert torch.isfinite(gaussians.log_scales).all() and (gaussians.scales > 0).all()


@given(st.tuples(*[st.floats(-1, 1, width=32)] * 3).filter(lambda v: np.linalg.norm(v) > 1e-3))
def test_discs_lie_across_their_normals(normal):
    normals = torch.tensor([normal, (0.0, 0.0, -1.0)])
    gaussians = Gaussians.from_points(grid(0.5)[:2], torch.zeros(2, 3), normals=normals, thickness=0.25)
    thin = Rotation.from_quat(gaussians.quats.numpy(), scalar_first=True).apply([0.0, 0.0, 1.0])
    expected = normals / normals.norm(dim=1, keepdim=True)
    np.testing.assert_allclose(thin, expected.numpy(), atol=2e-3)
    torch.testing.assert_close(gaussians.scales[:, 2], 0.25 * gaussians.scales[:, 0])


def test_parameters_are_copies_and_come_back():
    gaussians = Gaussians.from_points(grid(0.1), torch.rand(64, 3), sh_degree=2)
    parameters = gaussians.to_parameters()
    assert set(parameters) == {"means", "quats", "scales", "opacities", "sh0", "shN"}
    again = Gaussians.from_parameters(parameters)
    for name in ("means", "quats", "log_scales", "logit_opacities", "sh0", "shN"):
        assert torch.equal(getattr(again, name), getattr(gaussians, name))
    with torch.no_grad():
        parameters["means"].add_(1.0)
    assert not torch.equal(parameters["means"], gaussians.means)
    again.scales.sum().backward()
    torch.testing.assert_close(parameters["scales"].grad, gaussians.scales)


def test_degree_zero_has_no_higher_bands_to_train():
    parameters = Gaussians.from_points(grid(0.1), torch.rand(64, 3)).to_parameters()
    assert "shN" not in parameters
    assert Gaussians.from_parameters(parameters).sh.shape == (64, 1, 3)


def test_changing_the_degree_keeps_the_bands_below():
    gaussians = Gaussians.from_points(grid(0.1), torch.rand(64, 3), sh_degree=3)
    gaussians.shN.copy_(torch.randn(64, 15, 3))
    lower = gaussians.with_sh_degree(1)
    assert torch.equal(lower.sh, gaussians.sh[:, :4])
    back = lower.with_sh_degree(3)
    assert torch.equal(back.sh[:, :4], gaussians.sh[:, :4]) and not back.sh[:, 4:].any()
    with pytest.raises(ParameterError, match="sh_degree"):
        gaussians.with_sh_degree(4)


def test_wrong_shapes_are_named():
    gaussians = Gaussians.from_points(grid(0.1), torch.rand(64, 3))
    fields = {
        name: getattr(gaussians, name) for name in ("means", "quats", "log_scales", "logit_opacities", "sh0")
    }
    with pytest.raises(ShapeError, match="shN"):
        Gaussians(**fields, shN=torch.zeros(64, 2, 3))
    with pytest.raises(ShapeError, match="quats"):
        Gaussians(**{**fields, "quats": torch.zeros(64, 3)}, shN=torch.zeros(64, 0, 3))


@pytest.mark.parametrize(
    ("points", "options"),
    [
        (torch.zeros(1, 3), {}),
        (torch.full((4, 3), float("nan")), {}),
        (torch.rand(4, 3), {"opacity": 1.0}),
        (torch.rand(4, 3), {"thickness": 0.0}),
    ],
)
def test_points_that_cannot_become_gaussians(points, options):
    with pytest.raises(ParameterError):
        Gaussians.from_points(points, torch.zeros(len(points), 3), **options)


def test_points_and_colors_must_fit():
    with pytest.raises(ShapeError, match="colors"):
        Gaussians.from_points(torch.rand(4, 3), torch.rand(5, 3))
    with pytest.raises(ShapeError, match="normals"):
        Gaussians.from_points(torch.rand(4, 3), torch.rand(4, 3), normals=torch.rand(3, 3))
