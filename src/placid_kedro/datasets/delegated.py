"""Files that a class of kedro-datasets reads and writes, replaced as a whole or not at all."""

import json
from abc import abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from kedro.io import AbstractDataset, DatasetError
from kedro_datasets._typing import JSONPreview, PlotlyPreview, TablePreview

from placid_kedro.datasets.base import FileDataset
from placid_kedro.errors import DataError

if TYPE_CHECKING:
    pass

T = TypeVar("T")
_SHOWN_ROWS = 50


class DelegatedDataset(FileDataset[T]):
    """Kedro's dataset for one path does the reading and writing; whole files and sentences come from here."""

    @abstractmethod
    def _dataset(self, path: Path) -> AbstractDataset[Any, Any]: ...

    def _read(self, path: Path) -> T:
        try:
            data: T = self._dataset(path).load()
        except DatasetError as error:
            raise DataError(f"{path} is damaged; run the stage that writes it again.") from error
        return data

    def _write(self, path: Path, data: T) -> None:
        self._dataset(path).save(data)


class TableDataset(DelegatedDataset[Any]):
    """A pandas table as a Parquet file, or a CSV file where the path ends so, without its index."""

    def _dataset(self, path: Path) -> AbstractDataset[Any, Any]:
        from kedro_datasets.pandas import CSVDataset, ParquetDataset

        if path.suffix == ".csv":
            return CSVDataset(filepath=path.as_posix(), save_args={"index": False})
        return ParquetDataset(filepath=path.as_posix(), save_args={"index": False})

    def preview(self) -> TablePreview:
        """The first rows, for Kedro-Viz."""
        shown = self.load().head(_SHOWN_ROWS)
        files = [name for name in shown if shown[name].map(lambda cell: isinstance(cell, bytes)).any()]
        shown = shown.drop(columns=files).astype("string").fillna("")
        return TablePreview(shown.to_dict(orient="split"))


class FigureDataset(DelegatedDataset[Any]):
    """A Plotly figure as a JSON file."""

    def _dataset(self, path: Path) -> AbstractDataset[Any, Any]:
        from kedro_datasets.plotly import JSONDataset

        return JSONDataset(filepath=path.as_posix())

    def preview(self) -> PlotlyPreview:
        """The figure, for Kedro-Viz."""
        return PlotlyPreview(json.loads(self._filepath.read_bytes()))


class TextDataset(DelegatedDataset[str]):
    """A text file."""

    def _dataset(self, path: Path) -> AbstractDataset[Any, Any]:
        from kedro_datasets.text import TextDataset as KedroTextDataset

        return KedroTextDataset(filepath=path.as_posix())

    def preview(self) -> JSONPreview:
        """The text, for Kedro-Viz."""
        return JSONPreview(json.dumps(self.load()))


class PageDataset(TextDataset):
    """An HTML page."""

    def preview(self) -> JSONPreview:
        """Where the page lies and how large it is, for Kedro-Viz: its text would be megabytes."""
        return JSONPreview(json.dumps({"page": str(self._filepath), "bytes": self._filepath.stat().st_size}))
