"""How far Gaussians are from views, against closed forms."""

import pytest
import torch

from placid_kedro.cameras import PosedViews, ring
from placid_kedro.errors import ShapeError
from placid_kedro.splats import Gaussians, TargetViews, render

SIZE = 16
CAMERAS = ring(4, 20.0, 1.5, 50.0, SIZE)


@pytest.fixture
def ball() -> Gaussians:
    directions = torch.randn(200, 3, generator=torch.Generator().manual_seed(0))
    points = 0.3 * torch.nn.functional.normalize(directions, dim=-1)
    return Gaussians.from_points(points, torch.full((200, 3), 0.4), opacity=0.9)


def behind_all_cameras(ball: Gaussians) -> Gaussians:
    return Gaussians(**{**vars(ball), "means": ball.means + torch.tensor([0.0, 0.0, 50.0])})


def test_where_nothing_is_seen_the_error_is_that_of_a_white_image(ball: Gaussians) -> None:
    generator = torch.Generator().manual_seed(1)
    images, alphas = (
        torch.rand(shape, generator=generator) for shape in ((4, 3, SIZE, SIZE), (4, SIZE, SIZE))
    )
    target = TargetViews(PosedViews(images, CAMERAS), alphas)
    error = target.error(
        behind_all_cameras(ball), count=4, silhouette_weight=0.5, generator=torch.Generator()
    )
    white = (1 - images.double()).mean() + 0.5 * alphas.double().mean()
    assert float(error) == pytest.approx(float(white), rel=1e-5)


def test_gaussians_are_no_distance_from_their_own_views(ball: Gaussians) -> None:
    with torch.no_grad():
        seen = render(ball, CAMERAS, torch.ones(3))
    target = TargetViews(PosedViews(seen.rgb, CAMERAS), seen.alpha[:, 0])
    error = target.error(ball, count=3, silhouette_weight=1.0, generator=torch.Generator())
    assert float(error) < 1e-6


def test_as_many_views_are_looked_at_as_were_asked_for(ball: Gaussians) -> None:
    """View i is i + 1 tenths darker than white everywhere, so that the error tells which were drawn."""
    darker = torch.arange(1, 5) / 10
    images = (1 - darker)[:, None, None, None].expand(4, 3, SIZE, SIZE)
    target = TargetViews(PosedViews(images, CAMERAS), torch.zeros(4, SIZE, SIZE))
    nothing, generator = behind_all_cameras(ball), torch.Generator().manual_seed(0)

    def error(count: int) -> float:
        return float(target.error(nothing, count=count, silhouette_weight=1.0, generator=generator))

    single = {round(error(1), 4) for _ in range(40)}
    assert single == {0.1, 0.2, 0.3, 0.4}
    pairs = {round(error(2), 4) for _ in range(60)}
    assert pairs == {0.15, 0.2, 0.25, 0.3, 0.35}  # without replacement: never 0.1 or 0.4
    assert error(9) == pytest.approx(0.25, abs=1e-5)


def test_views_are_looked_at_as_often_as_their_weights_say(ball: Gaussians) -> None:
    """View i is i + 1 tenths darker than white everywhere."""
    darker = torch.arange(1, 5) / 10
    images = (1 - darker)[:, None, None, None].expand(4, 3, SIZE, SIZE)
    views = PosedViews(images, CAMERAS, torch.tensor([1.0, 0.5, 0.25, 0.25]))
    target = TargetViews(views, torch.zeros(4, SIZE, SIZE)).to("cpu")
    nothing, generator = behind_all_cameras(ball), torch.Generator().manual_seed(0)
    drawn = [
        round(float(target.error(nothing, count=1, silhouette_weight=1.0, generator=generator)), 4)
        for _ in range(400)
    ]
    shares = [drawn.count(value) / 400 for value in (0.1, 0.2, 0.3, 0.4)]
    assert shares == pytest.approx([0.5, 0.25, 0.125, 0.125], abs=0.07)


@pytest.mark.parametrize(("channels", "count"), [(4, 4), (3, 3)])
def test_views_and_alphas_must_belong_together(channels: int, count: int) -> None:
    with pytest.raises(ShapeError, match="Target views need RGB"):
        TargetViews(PosedViews(torch.zeros(4, channels, SIZE, SIZE), CAMERAS), torch.zeros(count, SIZE, SIZE))
