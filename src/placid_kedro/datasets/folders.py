"""Folders that count as written when their manifest is there."""

from pathlib import Path
from typing import Any, Protocol

from kedro.io import AbstractDataset
from kedro_datasets._typing import JSONPreview

from placid_kedro.datasets.base import REMEDY
from placid_kedro.errors import DataError
from placid_kedro.files import MANIFEST, check_replaceable, is_finished, new_folder, verify_folder


class FolderWriter(Protocol):
    """What can be saved in a folder; diffusers' and transformers' models are such."""

    def save_pretrained(self, save_directory: Path) -> Any:
        """Write all files into an existing empty folder."""


class FolderDataset(AbstractDataset[FolderWriter, Path]):
    """A folder, for instance a model in the diffusers layout. It loads as its path: nothing big enters the
    catalog."""

    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        """
        Args:
            filepath: path of the folder.
            metadata: read by Kedro-Viz.
        """
        self._filepath = Path(filepath)
        self.metadata = metadata

    @property
    def path(self) -> Path:
        """Where the folder lies."""
        return self._filepath

    def load(self) -> Path:
        """The folder's path.

        Raises:
            DataError: the folder is missing or half-written, or a file in it is not what was written.
        """
        if not is_finished(self._filepath):
            raise DataError(
                f"The folder {self._filepath} is missing or half-written; run the stage that writes it first."
            )
        verify_folder(self._filepath)
        return self._filepath

    def save(self, data: FolderWriter) -> None:
        """Write a new folder and let it take the place of the old one.

        Raises:
            NumericError: weights in it are not finite; the old folder stays.
        """
        with new_folder(self._filepath) as temporary:
            data.save_pretrained(temporary)
            _check_weights(temporary)

    def check_target(self) -> None:
        """Refuse, before any work, a folder that is half-written or somebody else's.

        Raises:
            DataError: see `placid_kedro.files.check_replaceable`.
        """
        check_replaceable(self._filepath)

    def preview(self) -> JSONPreview:
        """The manifest, for Kedro-Viz."""
        return JSONPreview((self._filepath / MANIFEST).read_text())

    def _exists(self) -> bool:
        return is_finished(self._filepath)

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}


def _check_weights(folder: Path) -> None:
    """Half precision holds no number above 65,504, so the files are read, not the networks."""
    from safetensors.torch import load_file

    from placid_kedro.finite import check_finite

    for path in sorted(folder.rglob("*.safetensors")):
        check_finite(load_file(path), f"The weights {path.relative_to(folder)}", REMEDY)
