"""A foreign file is read, or refused in one sentence that names it."""

import zipfile
from pathlib import Path

import pytest

from placid_kedro.errors import DataError, ModelError
from placid_kedro.foreign import check_members, reading


@pytest.mark.parametrize(
    "raised", [KeyError("x"), RecursionError("deep\nstack"), OverflowError(), UnicodeError("u")]
)
def test_whatever_a_parser_raises_is_one_sentence(tmp_path: Path, raised: Exception) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"1")
    with (
        pytest.raises(
            ModelError, match=r"a\.bin cannot be read as a model \(.+\); get it again\.$"
        ) as caught,
        reading(path, "a model", "get it again", error=ModelError),
    ):
        raise raised
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is raised


def test_what_the_project_says_itself_and_a_lack_of_memory_pass(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"1")
    for error in (DataError("It is too old."), MemoryError()):
        with pytest.raises(type(error)) as caught, reading(path, "a model", "get it again"):
            raise error
        assert caught.value is error


def test_limits_come_before_the_body(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(b"12345")
    for name, said in {"large": "has 5 bytes", "none": "does not exist", ".": "is not a file"}.items():
        with pytest.raises(DataError, match=said), reading(tmp_path / name, "a list", "cut it", max_bytes=4):
            pytest.fail("read")


def test_members_that_unpack_to_too_much_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(10_000_000))
        archive.writestr("words", b"some words" * 100)
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        check_members(archive, [archive.getinfo("words")], 1000)
        with pytest.raises(ValueError, match="unpacks"):
            check_members(archive, [archive.getinfo("words")], 999)
        with pytest.raises(ValueError, match=r"unpacks from .* to 10000000"):
            check_members(archive, [archive.getinfo("zeros")], 2**30)
