"""Pydantic models as JSON files."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kedro.utils import load_obj
from kedro_datasets._typing import JSONPreview
from pydantic import BaseModel, ValidationError

from placid_kedro.datasets.base import REMEDY, FileDataset
from placid_kedro.errors import DataError, NumericError


class JsonModelDataset(FileDataset[BaseModel]):
    """One frozen pydantic model in a JSON file."""

    def __init__(self, *, filepath: str, model: str, metadata: dict[str, Any] | None = None) -> None:
        """
        Args:
            filepath: path of the `.json` file.
            model: import path of the model's class.
            metadata: read by Kedro-Viz.
        """
        super().__init__(filepath=filepath, metadata=metadata)
        self._model = model

    def _read(self, path: Path) -> BaseModel:
        model: type[BaseModel] = load_obj(self._model)
        try:
            return model.model_validate_json(path.read_bytes())
        except ValidationError as error:
            raise DataError(
                f"{path} does not hold a valid {model.__name__}; delete it and run the stage that writes it."
            ) from error

    def _write(self, path: Path, data: BaseModel) -> None:
        path.write_text(data.model_dump_json(indent=2) + "\n", encoding="utf-8")

    def _check(self, data: BaseModel) -> None:
        unusable = _first_not_finite(data.model_dump(), "")
        if unusable is not None:
            raise NumericError(f"{self._filepath}: the number {unusable!r} is not finite; {REMEDY}.")

    def preview(self) -> JSONPreview:
        """The file's text, for Kedro-Viz."""
        return JSONPreview(json.dumps(json.loads(self._filepath.read_bytes())))

    def _describe(self) -> dict[str, Any]:
        return {**super()._describe(), "model": self._model}


def _first_not_finite(value: Any, name: str) -> str | None:
    """Dotted name of the first float in a tree that is NaN or infinite."""
    if isinstance(value, float):
        return None if math.isfinite(value) else name
    children = (
        value.items()
        if isinstance(value, Mapping)
        else enumerate(value)
        if isinstance(value, list | tuple)
        else ()
    )
    found = (_first_not_finite(child, f"{name}.{key}".lstrip(".")) for key, child in children)
    return next((place for place in found if place is not None), None)
