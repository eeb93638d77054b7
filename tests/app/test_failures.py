"""Which failures are one sentence."""

import errno

import pytest
from kedro.io import DatasetError

from placid_kedro.app.failures import sentence_for
from placid_kedro.errors import ShapeError


def raised_from(cause: BaseException) -> DatasetError:
    """The error that Kedro makes of one in a dataset."""
    error = DatasetError("Failed while saving data to dataset ...\nmany lines")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ShapeError("An image must be [3, H, W]."), "An image must be"),
        (raised_from(ShapeError("An image must be [3, H, W].")), "An image must be"),
        (
            raised_from(OSError(errno.ENOSPC, "No space left on device", "/d/a.ply")),
            "full while writing /d/a.ply",
        ),
        (OSError(errno.ENOSPC, "No space left on device"), "disk is full; finished files are as they were"),
        (raised_from(PermissionError(errno.EACCES, "denied", "/d")), "/d cannot be written"),
        (RuntimeError("I/O error: No space left on device (os error 28)"), "disk is full"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), "not enough memory"),
        (MemoryError(), "not enough memory"),
    ],
)
def test_what_the_user_can_mend_is_one_sentence(error: BaseException, said: str) -> None:
    sentence = sentence_for(error)
    assert sentence is not None
    assert said in sentence
    assert "\n" not in sentence


@pytest.mark.parametrize("error", [RuntimeError("a defect"), ValueError("x"), raised_from(KeyError("y"))])
def test_a_defect_keeps_its_traceback(error: BaseException) -> None:
    assert sentence_for(error) is None
