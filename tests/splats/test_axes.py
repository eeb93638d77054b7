"""Renaming the axes changes no picture, and only rotations are accepted."""

from __future__ import annotations

import pytest
import torch

from placid_kedro.cameras import Cameras, ring
from placid_kedro.errors import ParameterError
from placid_kedro.splats import Gaussians, render
from placid_kedro.splats.axes import WORLD_TO_VIEWER, AxisRotation, turn

ROTATIONS = [
    WORLD_TO_VIEWER,
    AxisRotation((0, 2, 1), (1, -1, 1)),
    AxisRotation((2, 1, 0), (-1, -1, -1)),
]


def scene(sh_degree: int) -> Gaussians:
    draw = torch.Generator().manual_seed(3)
    bands = (sh_degree + 1) ** 2 - 1
    return Gaussians(
        means=0.3 * torch.randn(60, 3, generator=draw),
        quats=torch.randn(60, 4, generator=draw),
        log_scales=torch.randn(60, 3, generator=draw) - 3,
        logit_opacities=torch.randn(60, generator=draw),
        sh0=torch.randn(60, 1, 3, generator=draw),
        shN=0.5 * torch.randn(60, bands, 3, generator=draw),
    )


@pytest.mark.parametrize("sh_degree", [0, 1, 2, 3])
@pytest.mark.parametrize("rotation", ROTATIONS)
def test_a_camera_that_turns_along_sees_the_same(rotation: AxisRotation, sh_degree: int) -> None:
    gaussians, cameras = scene(sh_degree), ring(3, 25.0, 1.5, 50.0, 48)
    world_to_camera = cameras.world_to_camera.clone()
    world_to_camera[:, :3, :3] = world_to_camera[:, :3, :3] @ rotation.matrix.T.float()
    along = Cameras(world_to_camera, cameras.K, cameras.width, cameras.height)
    background = torch.ones(3)
    before = render(gaussians, cameras, background)
    after = render(turn(gaussians, rotation), along, background)
    torch.testing.assert_close(after.rgb, before.rgb, atol=2e-4, rtol=0)
    torch.testing.assert_close(after.depth, before.depth, atol=2e-4, rtol=0)


@pytest.mark.parametrize("rotation", ROTATIONS)
def test_turning_back_gives_the_same_numbers(rotation: AxisRotation) -> None:
    gaussians = scene(0)
    again = turn(turn(gaussians, rotation), rotation.inverse)
    for name in ("means", "quats", "log_scales"):
        assert torch.equal(getattr(again, name), getattr(gaussians, name)), name


def test_up_and_front_become_what_viewers_take_for_them() -> None:
    front, left, up = torch.eye(3)
    toward_the_viewer, right, upward = (
        torch.tensor([0, 0, -1.0]),
        torch.tensor([1.0, 0, 0]),
        torch.tensor([0, -1.0, 0]),
    )
    for world, seen in [(front, toward_the_viewer), (left, right), (up, upward)]:
        assert torch.equal(WORLD_TO_VIEWER.of_vectors(world), seen)


@pytest.mark.parametrize(
    ("order", "signs", "said"),
    [
        ((0, 1, 2), (1, 1, -1), "mirrors"),
        ((0, 0, 2), (1, 1, 1), "onto axes"),
        ((0, 1, 2), (2, 1, 1), "onto axes"),
    ],
)
def test_what_is_no_rotation_is_refused(
    order: tuple[int, int, int], signs: tuple[int, int, int], said: str
) -> None:
    with pytest.raises(ParameterError, match=said):
        AxisRotation(order, signs)
