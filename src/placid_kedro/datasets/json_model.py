"""Pydantic models as JSON files."""

import json
from pathlib import Path
from typing import Any

from kedro.utils import load_obj
from kedro_datasets._typing import JSONPreview
from pydantic import BaseModel, ValidationError

from placid_kedro.datasets.base import FileDataset
from placid_kedro.errors import DataError


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

    def preview(self) -> JSONPreview:
        """The file's text, for Kedro-Viz."""
        return JSONPreview(json.dumps(json.loads(self._filepath.read_bytes())))

    def _describe(self) -> dict[str, Any]:
        return {**super()._describe(), "model": self._model}
