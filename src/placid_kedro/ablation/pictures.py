"""How the objects of a sweep look: one picture an object, and all of them in a grid, prompt by variant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from urllib.parse import quote

import torch
from torch import Tensor

from placid_kedro.cameras import ring
from placid_kedro.distillation.lab.figures import data_uri, drawn, grid_image
from placid_kedro.errors import DataError
from placid_kedro.splats import Gaussians, render

_ELEVATION_DEG, _DISTANCE, _FIELD_OF_VIEW_DEG = 20.0, 1.5, 49.13
_STYLE = (
    "body{font-family:sans-serif;margin:1.5em}table{border-collapse:collapse}"
    "th,td{padding:4px;text-align:center;font-weight:normal;vertical-align:middle;max-width:16em}"
    "th:first-child{text-align:right}img{display:block}td.failed{color:#a00;font-size:small}"
)


@torch.no_grad()
def from_sides(gaussians: Gaussians, sides: int, size: int) -> Tensor:
    """The object from `sides` sides, the front first, side by side over white: [3, size, sides * size] in [0, 1]."""
    cameras = ring(sides, _ELEVATION_DEG, _DISTANCE, _FIELD_OF_VIEW_DEG, size)
    images = render(gaussians, cameras, torch.ones(3)).rgb.clamp(0, 1)
    return torch.cat(list(images), dim=2).cpu()


def grid(pictures: Mapping[tuple[str, str], Tensor], rows: Sequence[str], columns: Sequence[str]) -> Tensor:
    """All pictures with their captions in one image, [3, H, W] in [0, 1]; white where there is none.

    Args:
        pictures: all of one size, by (row, column).

    Raises:
        DataError: there is none.
    """
    if not pictures:
        raise DataError("No object of the sweep was finished; the column 'sentence' of its cells says why.")
    white = torch.ones_like(next(iter(pictures.values())))
    stacks = {column: torch.stack([pictures.get((row, column), white) for row in rows]) for column in columns}
    return drawn(grid_image(stacks, rows))


def grid_page(
    title: str,
    pictures: Mapping[tuple[str, str], Tensor],
    links: Mapping[tuple[str, str], str],
    sentences: Mapping[tuple[str, str], str],
    rows: Sequence[str],
    columns: Sequence[str],
) -> str:
    """The grid as one HTML file with its pictures in it.

    Args:
        title: of the page.
        pictures: by (row, column).
        links: where a picture leads, relative to the page.
        sentences: why there is no picture.
        rows: in their order.
        columns: in their order.
    """
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    body = "".join(
        f"<tr><th>{escape(row)}</th>"
        + "".join(
            _cell(pictures.get(place), links.get(place, ""), sentences.get(place, ""))
            for place in ((row, column) for column in columns)
        )
        + "</tr>"
        for row in rows
    )
    return (
        f"<!doctype html><html lang='en'><meta charset='utf-8'><title>{escape(title)}</title><style>{_STYLE}</style>"
        f"<h1>{escape(title)}</h1><table><tr><th></th>{head}</tr>{body}</table></html>\n"
    )


def _cell(picture: Tensor | None, link: str, sentence: str) -> str:
    if picture is None:
        return f"<td class='failed'>{escape(sentence)}</td>"
    pixels = (picture.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
    image = f"<img alt='' src='{data_uri(pixels)}'>"
    return f"<td><a href='{quote(link)}'>{image}</a></td>" if link else f"<td>{image}</td>"
