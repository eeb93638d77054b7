"""What a step of the distillation into splats sees and adds up."""

import pytest
import torch

from placid_kedro.distillation import splats
from placid_kedro.splats import RenderedViews
from tests.distillation.splats_case import settings


def seen(rgb: torch.Tensor, depth: torch.Tensor, alpha: torch.Tensor | None = None) -> RenderedViews:
    return RenderedViews(rgb, torch.ones_like(depth) if alpha is None else alpha, depth, {})


def test_the_loss_is_the_weighted_sum_of_its_terms() -> None:
    """By hand, in float64: Sec. 4's losses with weights that no two terms share."""
    generator = torch.Generator().manual_seed(1)
    rgb, depth = (torch.rand(2, k, 4, 4, generator=generator, dtype=torch.float64) for k in (3, 1))
    latents, gradient = torch.randn(2, 2, 4, 3, 3, generator=generator, dtype=torch.float64)
    latents.requires_grad_()
    parameters = {"scales": torch.nn.Parameter(torch.tensor([[0.0, 1.0, 2.0]], dtype=torch.float64))}
    weights = {"guidance": 3.0, "colour_variation": 5.0, "depth_variation": 7.0, "scale": 11.0}
    losses = splats._losses(latents, gradient, seen(rgb, depth), parameters, settings(losses=weights))

    def variation(images: torch.Tensor) -> torch.Tensor:
        down = (images[..., 1:, :] - images[..., :-1, :]).square().sum() / images[..., 1:, :].numel()
        across = (images[..., 1:] - images[..., :-1]).square().sum() / images[..., 1:].numel()
        return down + across

    expected = {
        "guidance": 3.0 * 0.5 * gradient.square().sum() / 2,
        "colour_variation": 5.0 * variation(rgb),
        "depth_variation": 7.0 * variation(depth),
        "scale": 11.0 * torch.tensor([1.0, torch.e, torch.e**2], dtype=torch.float64).mean(),
    }
    assert losses.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(losses[name].detach(), value, msg=name)
    (by_latents,) = torch.autograd.grad(losses["guidance"], latents)
    torch.testing.assert_close(by_latents, 3.0 * gradient / 2)


def test_a_depth_image_is_bright_where_the_surface_is_near() -> None:
    depth = torch.tensor([[[[1.0, 2.0, 3.0, 9.0]]]])
    alpha = torch.tensor([[[[1.0, 1.0, 0.8, 0.2]]]])  # the last pixel is background: its depth does not count
    images = splats._depth_images(seen(torch.zeros(1, 3, 1, 4), depth, alpha))
    expected = torch.tensor([1.0, 0.5, 0.0, 0.0])
    for channel in range(3):
        torch.testing.assert_close(images[0, channel, 0], expected)


def test_depth_steps_distil_depth_images_and_mirrored_ones_turn_round() -> None:
    rgb, depth = torch.rand(1, 3, 2, 3), torch.tensor([[[[1.0, 2.0, 3.0]] * 2]])
    views, azimuth = seen(rgb, depth), torch.tensor([30.0])
    for depth_share, flip in ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)):
        changes = {"depth_share": depth_share, "flip_probability": flip}
        images, azimuths = splats._as_seen(views, azimuth, settings(**changes), torch.Generator())
        expected = splats._depth_images(views) if depth_share else rgb
        torch.testing.assert_close(images, expected.flip(-1) if flip else expected)
        assert float(azimuths) == (-30.0 if flip else 30.0)


@pytest.mark.parametrize(("name", "expected"), [("white", {1.0}), ("black", {0.0})])
def test_backgrounds_have_their_colour(name: str, expected: set[float]) -> None:
    drawn = splats._draw_background(settings(backgrounds=(name,)), torch.Generator())
    assert set(drawn.tolist()) == expected and drawn.shape == (3,)


def test_random_backgrounds_are_drawn_anew_and_all_names_come() -> None:
    generator = torch.Generator().manual_seed(0)
    several = settings(backgrounds=("white", "random", "black"))
    drawn = {tuple(splats._draw_background(several, generator).tolist()) for _ in range(40)}
    assert (1.0, 1.0, 1.0) in drawn and (0.0, 0.0, 0.0) in drawn and len(drawn) > 5


def test_each_view_has_its_own_depth_range_and_an_empty_one_is_black() -> None:
    depth = torch.tensor([[1.0, 1.1, 0.5], [5.0, 7.0, 6.0], [1.0, 2.0, 3.0]])[:, None, None]
    alpha = torch.tensor([[1.0, 1.0, 0.2], [1.0, 1.0, 0.6], [0.0, 0.3, 0.4]])[:, None, None]
    images = splats._depth_images(seen(torch.zeros(3, 3, 1, 3), depth, alpha))
    # A faint pixel in front of the object is as bright as the nearest one, times its opacity.
    expected = torch.tensor([[1.0, 0.0, 0.2], [1.0, 0.0, 0.3], [0.0, 0.0, 0.0]])
    torch.testing.assert_close(images[:, 0, 0], expected)
