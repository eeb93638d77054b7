"""The finished training set: table, provenance, data card and contact sheet in one folder."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import torch
from PIL import Image
from torch import Tensor

from placid_kedro.images import over_white
from placid_kedro.objects.dataset import PROVENANCE, TABLE, RenderedObjects
from placid_kedro.objects.filters import evenly
from placid_kedro.objects.table import accepted, count_by_reason

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

CARD, SHEET = "README.md", "contact_sheet.png"
_SHEET_COLUMNS = 8
_THUMBNAIL = 128
_SHOWN_CATEGORIES = 30


@dataclass(frozen=True)
class TrainingSet:
    """What the stage `filter` hands on.

    Attributes:
        table: of all objects, the rejected ones with their reason.
        views_folder: where the views are; they are not copied.
        provenance: parameters and versions of all stages.
        sheet_objects: examples on the contact sheet.
    """

    table: pd.DataFrame
    views_folder: Path
    provenance: Mapping[str, Any]
    sheet_objects: int

    def save_pretrained(self, save_directory: Path) -> None:
        """Write everything into an existing folder.

        The files do not depend on where the data lie, so that two runs can be compared by their hashes.

        Raises:
            DataError: no object is accepted.
        """
        objects = RenderedObjects(self.table, self.views_folder)
        relocatable = self.table.assign(path=[Path(path).name for path in self.table["path"]])
        relocatable.to_parquet(save_directory / TABLE, index=False)
        views_folder = os.path.relpath(self.views_folder.absolute(), save_directory.absolute())
        described = {"views_folder": views_folder, **self.provenance}
        (save_directory / PROVENANCE).write_text(json.dumps(described, indent=1, sort_keys=True) + "\n")
        contact_sheet(objects, self.sheet_objects).save(save_directory / SHEET)
        (save_directory / CARD).write_text(data_card(self.table, self.provenance), encoding="utf-8")


def contact_sheet(objects: RenderedObjects, count: int) -> Image.Image:
    """One view each of objects evenly taken from the set, over white, 8 in a row."""
    count = min(count, len(objects))
    chosen = [index * len(objects) // count for index in range(count)]
    thumbnails = [_thumbnail(objects, index) for index in chosen]
    rows = -(-count // _SHEET_COLUMNS)
    columns = min(count, _SHEET_COLUMNS)
    sheet = Image.new("RGB", (columns * _THUMBNAIL, rows * _THUMBNAIL), "white")
    for place, thumbnail in enumerate(thumbnails):
        row, column = divmod(place, _SHEET_COLUMNS)
        sheet.paste(thumbnail, (column * _THUMBNAIL, row * _THUMBNAIL))
    return sheet


def _thumbnail(objects: RenderedObjects, index: int) -> Image.Image:
    # Half from the side shows more than the front: of SyncDreamer's views one at azimuth 315.
    view = evenly(objects.view_count(index), 16)[-1]
    image: Tensor = over_white(objects.read(index, [view]).rgba[0])
    pixels = (image * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
    return Image.fromarray(pixels).resize((_THUMBNAIL, _THUMBNAIL), Image.Resampling.LANCZOS)


def data_card(table: pd.DataFrame, provenance: Mapping[str, Any]) -> str:
    """The data card in Markdown: counts, licences with whom they want named, categories, examples."""
    kept = accepted(table)
    counts = count_by_reason(table)
    sections = [
        "# Training set\n",
        f"{len(kept)} of {len(table)} objects. Examples:\n\n![contact sheet]({SHEET})\n",
        "## Objects by reason\n",
        _markdown(("reason", "objects"), list(counts.items())),
        "## Sources and licences\n",
        _markdown(
            ("source", "licence", "objects", "attribution"),
            [
                (source, licence or "unknown", len(rows), _names(rows["attribution"]))
                for (source, licence), rows in kept.groupby(["source", "licence"])
            ],
        ),
        "## Categories\n",
        _markdown(
            ("category", "objects"),
            Counter(category or "none" for category in kept["category"]).most_common(_SHOWN_CATEGORIES),
        ),
        "## How it was made\n",
        "```json\n" + json.dumps(provenance, indent=1, sort_keys=True) + "\n```\n",
    ]
    return "\n".join(sections)


def _names(attributions: pd.Series) -> str:
    return ", ".join(sorted({name for name in attributions if name})) or "none given"


def _markdown(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    cells = [[str(cell).replace("|", "\\|").replace("\n", " ") for cell in line] for line in lines]
    return "\n".join("| " + " | ".join(line) + " |" for line in cells) + "\n"


def reasons_figure(table: pd.DataFrame) -> Figure:
    """Objects by reason as a bar chart."""
    from plotly.graph_objects import Bar, Figure

    counts = count_by_reason(table)
    figure = Figure(Bar(x=list(counts.values()), y=list(counts), orientation="h"))
    figure.update_layout(
        title=f"{len(table)} objects by reason", xaxis_title="objects", yaxis_autorange="reversed"
    )
    return figure
