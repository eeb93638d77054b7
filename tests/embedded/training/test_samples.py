"""The sheet of sample images."""

from __future__ import annotations

import torch

from placid_kedro.embedded.training.samples import sheet


def test_images_fill_rows_and_white_fills_the_rest():
    images = torch.arange(5.0)[:, None, None, None].expand(5, 3, 2, 4) / 10
    result = sheet(images, columns=3)
    assert result.shape == (3, 4, 12)
    for index in range(5):
        row, column = divmod(index, 3)
        tile = result[:, row * 2 : row * 2 + 2, column * 4 : column * 4 + 4]
        assert bool((tile == index / 10).all())
    assert bool((result[:, 2:, 8:] == 1).all())
    assert sheet(images[:2]).shape == (3, 2, 8)
