"""Tensors, and dataclasses of tensors, as safetensors files."""

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kedro.utils import load_obj
from kedro_datasets._typing import TablePreview

from placid_kedro.datasets.base import REMEDY, FileDataset
from placid_kedro.errors import DataError, NumericError
from placid_kedro.finite import check_finite

if TYPE_CHECKING:
    from torch import Tensor

_SCALARS = "scalars"


class TensorsDataset(FileDataset[Any]):
    """A dictionary of tensors, or one frozen dataclass of tensors and JSON scalars, in a safetensors file."""

    def __init__(
        self, *, filepath: str, record: str | None = None, metadata: dict[str, Any] | None = None
    ) -> None:
        """
        Args:
            filepath: path of the `.safetensors` file.
            record: import path of the dataclass; without it the data are a dictionary from names to tensors.
            metadata: read by Kedro-Viz.
        """
        super().__init__(filepath=filepath, metadata=metadata)
        self._record = record

    def _read(self, path: Path) -> Any:
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, framework="pt") as stream:
                tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118 - no mapping
                scalars = json.loads((stream.metadata() or {}).get(_SCALARS, "{}"))
            return (
                {**tensors, **scalars}
                if self._record is None
                else load_obj(self._record)(**tensors, **scalars)
            )
        except (SafetensorError, TypeError, ValueError) as error:
            kind = self._record or "a dictionary of tensors"
            raise DataError(f"{path} does not hold {kind}; run the stage that writes it again.") from error

    def _write(self, path: Path, data: Any) -> None:
        from safetensors.torch import save_file

        tensors, scalars = _split(data)
        save_file(tensors, path, metadata={_SCALARS: json.dumps(scalars)})

    def _check(self, data: Any) -> None:
        tensors, _ = _split(data)
        empty = next((name for name, value in tensors.items() if not value.numel()), None)
        if not tensors or empty is not None:
            raise NumericError(f"{self._filepath}: {empty or 'the file'} holds no values; {REMEDY}.")
        check_finite(tensors, str(self._filepath), REMEDY)

    def preview(self) -> TablePreview:
        """Name, type and shape of each tensor, for Kedro-Viz."""
        from safetensors import safe_open

        with safe_open(self._filepath, framework="np") as stream:
            slices = {name: stream.get_slice(name) for name in stream.keys()}  # noqa: SIM118 - no mapping
            rows = [[name, item.get_dtype(), str(item.get_shape())] for name, item in slices.items()]
        return TablePreview(
            {"index": list(range(len(rows))), "columns": ["name", "type", "shape"], "data": rows}
        )

    def _describe(self) -> dict[str, Any]:
        return {**super()._describe(), "record": self._record}


def _split(data: Any) -> tuple[dict[str, "Tensor"], dict[str, Any]]:
    """The tensors of a record, contiguous and on the CPU, and its other values."""
    import torch

    values = (
        {field.name: getattr(data, field.name) for field in dataclasses.fields(data)}
        if dataclasses.is_dataclass(data)
        else dict(data)
    )
    tensors = {
        name: value.detach().cpu().contiguous().clone()
        for name, value in values.items()
        if isinstance(value, torch.Tensor)
    }
    return tensors, {name: value for name, value in values.items() if name not in tensors}
