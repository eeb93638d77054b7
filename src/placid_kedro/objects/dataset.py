"""Rendered objects as a torch data set."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from torch.utils.data import Dataset

from placid_kedro.errors import DataError
from placid_kedro.objects.table import accepted, count_by_reason, read_table
from placid_kedro.objects.views import ObjectViews, count_views, read_views

TABLE, PROVENANCE = "objects.parquet", "provenance.json"


class RenderedObjects(Dataset[ObjectViews]):
    """The accepted objects of a table, in its order.

    Views are read from disk when they are asked for: memory holds the table alone, and one file is open at a
    time. In a `DataLoader` use `collate_fn=list`; it can be copied to any number of workers.
    """

    def __init__(self, table: pd.DataFrame, folder: Path) -> None:
        """
        Args:
            table: that the stages `syncdreamer_render` or `filter` made.
            folder: with the views.

        Raises:
            DataError: the table has no column with views, or no object is accepted.
        """
        if "views" not in table.columns:
            raise DataError("The table of objects knows of no views; run the stage syncdreamer_render first.")
        rows = accepted(table)
        if rows.empty:
            counts = ", ".join(f"{count} {reason}" for reason, count in count_by_reason(table).items())
            raise DataError(
                f"Every object is rejected ({counts or 'there is none'}); look at the column 'detail' of their table."
            )
        self._folder = Path(folder)
        self.uids: tuple[str, ...] = tuple(rows["uid"])
        self.captions: tuple[str, ...] = tuple(rows["caption"])
        self.names: tuple[str, ...] = tuple(rows["name"])
        self._views: tuple[str, ...] = tuple(rows["views"])

    @classmethod
    def open(cls, training_set: Path) -> RenderedObjects:
        """Open a finished training set.

        Args:
            training_set: folder that the stage `filter` wrote.

        Raises:
            DataError: it is not one.
        """
        try:
            provenance = json.loads((training_set / PROVENANCE).read_text())
            folder = Path(os.path.normpath(training_set / provenance["views_folder"]))
        except (OSError, ValueError, KeyError) as error:
            raise DataError(
                f"{training_set} is no training set; run `kedro run --pipeline prepare`."
            ) from error
        return cls(read_table(training_set / TABLE), folder)

    def __len__(self) -> int:
        return len(self.uids)

    def __getitem__(self, index: int) -> ObjectViews:
        return self.read(index)

    def view_count(self, index: int) -> int:
        """How many views an object has."""
        return count_views(self._folder / self._views[index])

    def read(self, index: int, views: Sequence[int] | None = None) -> ObjectViews:
        """Some views of one object.

        Args:
            index: of the object, from 0 on.
            views: which, in the order wanted; all of them by default.

        Raises:
            IndexError: there is no such object.
            DataError: its views are missing or damaged.
        """
        return read_views(self._folder / self._views[index], self.uids[index], self.captions[index], views)
