"""Files and folders are complete or not there."""

import errno
import hashlib
import json
from pathlib import Path

import pytest

from placid_kedro.errors import DataError
from placid_kedro.files import (
    MANIFEST,
    check_replaceable,
    file_hash,
    is_finished,
    new_file,
    new_folder,
    write_manifest,
)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_file_appears_under_its_own_name_only(tmp_path: Path) -> None:
    with new_file(tmp_path / "deep" / "a.txt") as temporary:
        temporary.write_text("new")
        assert not (tmp_path / "deep" / "a.txt").exists()
        assert temporary.suffix == ".txt"
    assert (tmp_path / "deep" / "a.txt").read_text() == "new"
    assert names(tmp_path / "deep") == {"a.txt"}


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(OSError, match="No space"), new_file(path) as temporary:
        temporary.write_text("ne")
        raise OSError(errno.ENOSPC, "No space left on device")
    assert path.read_text() == "old"
    assert names(tmp_path) == {"a.txt"}


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is a folder"), new_file(tmp_path):
        pass


def write_folder(path: Path, text: str) -> None:
    with new_folder(path) as temporary:
        (temporary / "sub").mkdir()
        (temporary / "sub" / "a.txt").write_text(text)
        assert not (temporary / MANIFEST).exists()


def test_a_folder_gets_its_manifest_and_replaces_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "model"
    write_folder(path, "first")
    write_folder(path, "second")
    assert names(tmp_path) == {"model"}
    assert is_finished(path)
    entry = json.loads((path / MANIFEST).read_text())["files"]["sub/a.txt"]
    assert entry == {"bytes": 6, "sha256": hashlib.sha256(b"second").hexdigest()}


def test_a_failure_leaves_the_old_folder(tmp_path: Path) -> None:
    path = tmp_path / "model"
    write_folder(path, "first")
    with pytest.raises(RuntimeError), new_folder(path) as temporary:
        (temporary / "half.bin").write_bytes(b"x")
        raise RuntimeError("out of anything")
    assert (path / "sub" / "a.txt").read_text() == "first"
    assert names(tmp_path) == {"model"}


@pytest.mark.parametrize("damage", ["no manifest", "broken manifest", "short file", "lost file"])
def test_a_half_written_folder_is_seen_and_kept(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "model"
    write_folder(path, "first")
    match damage:
        case "no manifest":
            (path / MANIFEST).unlink()
        case "broken manifest":
            (path / MANIFEST).write_text("{")
        case "short file":
            (path / "sub" / "a.txt").write_text("fir")
        case "lost file":
            (path / "sub" / "a.txt").rename(path / "elsewhere.txt")
    before = names(path)
    assert not is_finished(path)
    with pytest.raises(DataError, match="half-written"), new_folder(path):
        pytest.fail("the body must not run")
    assert names(path) == before


def test_empty_and_missing_folders_can_be_replaced(tmp_path: Path) -> None:
    check_replaceable(tmp_path / "missing")
    (tmp_path / "empty").mkdir()
    write_folder(tmp_path / "empty", "x")
    assert is_finished(tmp_path / "empty")


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "model").write_text("mine")
    with pytest.raises(DataError, match="is a file"):
        check_replaceable(tmp_path / "model")


def test_hash_reads_the_whole_file(tmp_path: Path) -> None:
    content = bytes(range(256)) * 9000
    (tmp_path / "big.bin").write_bytes(content)
    assert file_hash(tmp_path / "big.bin") == hashlib.sha256(content).hexdigest()
    write_manifest(tmp_path)
    assert is_finished(tmp_path)
