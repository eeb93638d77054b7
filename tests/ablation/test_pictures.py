"""The picture grid and its page."""

import torch

from placid_kedro.ablation.pictures import from_sides, grid, grid_page
from placid_kedro.splats import Gaussians


def test_a_picture_shows_the_sides_that_were_asked_for() -> None:
    # A red point at the front (+x), a blue one behind: each hides the other from its own side.
    gaussians = Gaussians.from_points(
        torch.tensor([[0.4, 0.0, 0.0], [-0.4, 0.0, 0.0]]),
        torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]),
        opacity=0.99,
    )
    picture = from_sides(gaussians, 2, 32)
    assert picture.shape == (3, 32, 64)
    front, behind = picture.chunk(2, dim=2)
    for side, channel in ((front, 0), (behind, 2)):
        assert float(side[channel, 16:, 16].max()) > float(side[2 - channel, 16:, 16].min())


def test_a_page_has_a_picture_or_the_reason_in_every_cell() -> None:
    pictures = {("a cat & co", "full"): torch.rand(3, 8, 8)}
    sentences = {("a cat & co", "plain"): "No room <left>."}
    links = {("a cat & co", "full"): "full/a-cat #1/viewer.html"}
    page = grid_page("Sweep", pictures, links, sentences, ["a cat & co"], ["full", "plain"])
    assert "<a href='full/a-cat%20%231/viewer.html'>" in page
    assert page.count("<img") == 1
    assert "a cat &amp; co" in page and "No room &lt;left&gt;." in page
    assert float(grid(pictures, ["a cat & co"], ["full", "plain"]).std()) > 0
