"""Whether a file of weights is whole, as far as it shows without loading it."""

from __future__ import annotations

import zipfile
from pathlib import Path

from placid_kedro.errors import ModelError

_POINTER = b"version https://git-lfs"


def check_weights(path: Path) -> None:
    """Refuse weights that are cut short, or a pointer of Git LFS in their place; other files are not looked at.

    Raises:
        ModelError: naming the file.
    """
    if path.suffix not in (".safetensors", ".bin"):
        return
    with path.open("rb") as stream:
        start = stream.read(len(_POINTER))
    if start == _POINTER:
        raise ModelError(f"{path} is a pointer of Git LFS, not the weights; get them with `git lfs pull`.")
    if path.suffix == ".safetensors":
        _check_safetensors(path)
    elif start[:2] == b"PK" and not zipfile.is_zipfile(path):
        raise ModelError(f"The weights {path} are damaged (the end of the file is missing); get them again.")
    elif not start:
        raise ModelError(f"The weights {path} are damaged (the file is empty); get them again.")


def _check_safetensors(path: Path) -> None:
    from safetensors import SafetensorError, safe_open

    try:
        # Reads the header, which tells how long the file must be.
        with safe_open(path, framework="numpy"):
            pass
    except (SafetensorError, OSError) as error:
        raise ModelError(
            f"The weights {path} are damaged ({error}); restore them from the repository or get them again."
        ) from error
