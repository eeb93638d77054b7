"""Base of the datasets that are one local file."""

from abc import abstractmethod
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from kedro.io import AbstractDataset

from placid_kedro.errors import DataError
from placid_kedro.files import new_file
from placid_kedro.foreign import reading

T = TypeVar("T")
# What to do about data that are no numbers.
REMEDY = "look at the settings of the stage that makes it, and run that stage again"


class FileDataset(AbstractDataset[T, T], Generic[T]):
    """A dataset in one local file, replaced as a whole or not at all.

    Attributes:
        content: what such a file is, with its article.
    """

    content: ClassVar[str] = "an artifact of this project"

    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        """
        Args:
            filepath: path of the file; its folder is made when needed.
            metadata: read by Kedro-Viz, not by this project.
        """
        self._filepath = Path(filepath)
        self.metadata = metadata

    @property
    def path(self) -> Path:
        """Where the data lies."""
        return self._filepath

    def load(self) -> T:
        """Read the file.

        Raises:
            DataError: the file does not exist or is damaged.
            NumericError: it holds values that are not finite, or nothing.
        """
        if not self._filepath.is_file():
            raise DataError(f"{self._filepath} does not exist; run the stage that writes it first.")
        with reading(self._filepath, self.content, "run the stage that writes it again"):
            data = self._read(self._filepath)
        self._check(data)
        return data

    def save(self, data: T) -> None:
        """Write the file under another name and rename it.

        Raises:
            NumericError: the data hold values that are not finite, or nothing; the file stays as it was.
        """
        self._check(data)
        with new_file(self._filepath) as temporary:
            self._write(temporary, data)

    def check_target(self) -> None:
        """Refuse, before any work, a path that cannot be written.

        Raises:
            DataError: the path is a folder.
        """
        if self._filepath.is_dir():
            raise DataError(
                f"{self._filepath} is a folder where a file is to be written; "
                "move or delete it and run again."
            )

    @abstractmethod
    def _read(self, path: Path) -> T: ...

    @abstractmethod
    def _write(self, path: Path, data: T) -> None: ...

    def _check(self, data: T) -> None:
        """Refuse data that no run should leave behind; called before writing and after reading."""

    def _exists(self) -> bool:
        return self._filepath.is_file()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}
