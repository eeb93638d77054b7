"""On a GPU the photographs of the scores, and the views beside a real object, are drawn there."""

import pytest
import torch
from trimesh.creation import box

from placid_kedro.cameras import ring
from placid_kedro.evaluation.geometry import RealObject, geometry_scores
from placid_kedro.evaluation.t3bench.subjects import SplatSubject
from placid_kedro.splats import Gaussians

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


@pytest.fixture(scope="module")
def gaussians() -> Gaussians:
    shape = box((0.3, 0.8, 0.6))
    points = torch.tensor(shape.sample(3000, seed=0)).float()
    colors = torch.rand(3000, 3, generator=torch.Generator().manual_seed(0))
    return Gaussians.from_points(points, colors, opacity=0.9)


def test_photographs_are_drawn_on_the_gpu_and_are_those_of_the_cpu(gaussians: Gaussians) -> None:
    cameras = ring(3, 20.0, 1.5, 49.13, 64)
    there, coverage = SplatSubject(gaussians.to("cuda")).photograph(cameras, "white")
    here, expected = SplatSubject(gaussians).photograph(cameras, "white")
    assert there.device.type == coverage.device.type == "cuda"
    torch.testing.assert_close(there.cpu(), here, rtol=0, atol=5e-3)
    torch.testing.assert_close(coverage.cpu(), expected, rtol=0, atol=5e-3)


def test_geometry_is_the_same_from_both_devices(gaussians: Gaussians) -> None:
    cameras = ring(12, 20.0, 1.5, 49.13, 64)
    images, alphas = SplatSubject(gaussians).photograph(cameras, "white")
    points = gaussians.means.double().numpy()
    real = RealObject(images, (alphas > 0.5).float(), cameras, points)
    torch.cuda.reset_peak_memory_stats()
    there = geometry_scores(gaussians.to("cuda"), real)
    assert torch.cuda.max_memory_allocated() > 0
    here = geometry_scores(gaussians, real)
    for name, value in vars(here).items():
        assert getattr(there, name) == pytest.approx(value, abs=5e-3), name
