"""Whether the files of a folder are of one run; where they are not, a text file beside them says so."""

import time
from pathlib import Path

from placid_kedro.app.runners.stamps import current_digest, read_inputs, stamped_artifacts
from placid_kedro.files import new_file

NOTE = "UNFINISHED.txt"
_GO_ON = "The same command with --only-missing-outputs makes anew what does not belong to the rest.\n"


def mark_unfinished(folder: Path) -> None:
    """Say that a run has begun; `say_what_is_mixed` takes it back, and a run that fails or is killed does not."""
    began = time.strftime("%Y-%m-%d %H:%M:%S")
    _write(
        folder,
        f"A run began at {began} and has not ended well: files here may be of different runs.\n{_GO_ON}",
    )


def say_what_is_mixed(folder: Path) -> None:
    """Take the note away where every file was made from what lies on the disk now; else name the others."""
    mixed = [artifact for artifact in stamped_artifacts(folder) if not is_of_one_run(artifact)]
    if mixed:
        names = ", ".join(artifact.name for artifact in mixed)
        _write(folder, f"Made from files of an earlier run, which have changed since: {names}.\n{_GO_ON}")
    else:
        (folder / NOTE).unlink(missing_ok=True)


def is_of_one_run(artifact: Path) -> bool:
    """Whether an artifact was made from the files that lie on the disk now, and these were, and so on."""
    return all(
        current_digest(path) == digest and is_of_one_run(path)
        for path, digest in read_inputs(artifact).items()
    )


def _write(folder: Path, text: str) -> None:
    with new_file(folder / NOTE) as temporary:
        temporary.write_text(text, encoding="utf-8")
