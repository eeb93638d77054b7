"""Tables as Parquet files."""

from pathlib import Path
from typing import TYPE_CHECKING

from kedro_datasets._typing import TablePreview

from placid_kedro.datasets.base import FileDataset
from placid_kedro.errors import DataError

if TYPE_CHECKING:
    from pandas import DataFrame

_SHOWN_ROWS = 50


class TableDataset(FileDataset["DataFrame"]):
    """A pandas table, without its index."""

    def _read(self, path: Path) -> "DataFrame":
        import pandas as pd

        try:
            return pd.read_parquet(path)
        except (OSError, ValueError) as error:
            raise DataError(f"{path} is no Parquet file; run the stage that writes it again.") from error

    def _write(self, path: Path, data: "DataFrame") -> None:
        data.to_parquet(path, index=False)

    def preview(self) -> TablePreview:
        """The first rows, for Kedro-Viz."""
        shown = self.load().head(_SHOWN_ROWS).astype("string").fillna("")
        return TablePreview(shown.to_dict(orient="split"))
