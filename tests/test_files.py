"""Files and folders are complete or not there."""

import errno
import hashlib
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from placid_kedro.errors import DataError
from placid_kedro.files import (
    MANIFEST,
    check_replaceable,
    clean_left_overs,
    clean_work_folder,
    content_hash,
    file_hash,
    is_finished,
    new_file,
    new_folder,
    verify_folder,
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


@pytest.mark.parametrize(
    "name", ["../secret", "/etc/passwd", "sub/../../secret", "a\\..\\b", "link/a.txt", ""]
)
def test_a_manifest_names_files_of_its_folder_only(tmp_path: Path, name: str) -> None:
    path = tmp_path / "model"
    write_folder(path, "first")
    (tmp_path / "secret").write_text("first")
    (path / "link").symlink_to(tmp_path)
    (tmp_path / "a.txt").write_text("first")
    manifest = json.loads((path / MANIFEST).read_text())
    manifest["files"][name] = manifest["files"]["sub/a.txt"]
    (path / MANIFEST).write_text(json.dumps(manifest))
    assert not is_finished(path)
    with pytest.raises(DataError, match="is missing or damaged"):
        verify_folder(path)


def test_a_manifest_without_hashes_is_none(tmp_path: Path) -> None:
    path = tmp_path / "model"
    write_folder(path, "first")
    (path / MANIFEST).write_text('{"files": {"sub/a.txt": {"bytes": 5}}}')
    assert not is_finished(path)


def test_other_bytes_of_the_same_number_are_seen(tmp_path: Path) -> None:
    path = tmp_path / "model"
    write_folder(path, "first")
    verify_folder(path)
    (path / "sub" / "a.txt").write_text("forst")
    assert is_finished(path)  # the quick look counts bytes only
    with pytest.raises(DataError, match=r"a\.txt is damaged or was changed"):
        verify_folder(path)


class Killed(BaseException):
    """Nothing of the program runs after a kill: not even the clean-up."""


def kill_at(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Stop before the `number`-th rename of a folder, and clean nothing up."""
    replace, seen = os.replace, [0]

    def dying(source: Path, target: Path) -> None:
        if Path(source).is_dir():
            seen[0] += 1
            if seen[0] == number:
                monkeypatch.setattr("os.replace", lambda *_: None)
                monkeypatch.setattr("shutil.rmtree", lambda *_, **__: None)
                raise Killed
        replace(source, target)

    monkeypatch.setattr("os.replace", dying)


@pytest.mark.parametrize(("number", "expected"), [(1, "first"), (2, "second")])
def test_a_kill_between_two_renames_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, expected: str
) -> None:
    path = tmp_path / "model"
    write_folder(path, "first")
    with monkeypatch.context() as patch:
        kill_at(patch, number)
        with pytest.raises(Killed):
            write_folder(path, "second")
    assert path.exists() == (number == 1)
    clean_left_overs(path)
    assert names(tmp_path) == {"model"}
    verify_folder(path)
    assert (path / "sub" / "a.txt").read_text() == expected


def test_the_old_folder_comes_back_when_the_new_one_is_not_whole(tmp_path: Path) -> None:
    path = tmp_path / "model"
    write_folder(path, "first")
    path.rename(tmp_path / ".old-0123456789ab-model")
    (tmp_path / ".tmp-0123456789ab-model").mkdir()
    (tmp_path / ".tmp-0123456789ab-model" / "half.bin").write_bytes(b"x")
    clean_left_overs(path)
    assert names(tmp_path) == {"model"}
    assert (path / "sub" / "a.txt").read_text() == "first"


def test_only_left_overs_of_that_file_are_cleared(tmp_path: Path) -> None:
    mine, others = (
        ".tmp-0123456789ab-a.txt",
        {".tmp-0123456789ab-b.txt", ".tmpl-a.txt", "a.txt", ".tmp-1-x-a.txt"},
    )
    for name in {mine, ".tmp-4711-a.txt", *others}:  # the second as earlier versions named them
        (tmp_path / name).write_text("x")
    clean_left_overs(tmp_path / "a.txt")
    assert names(tmp_path) == others
    clean_left_overs(tmp_path / "nowhere" / "a.txt")


def test_a_work_folder_is_cleared_at_every_depth(tmp_path: Path) -> None:
    for place in ("a/.tmp-0123456789ab-x.png", "a/b/.tmp-0123456789ab-y/z.txt", "a/b/kept.txt", ".git/kept"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_text("x")
    clean_work_folder(tmp_path)
    assert {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()} == {
        "a/b/kept.txt",
        ".git/kept",
    }


def test_two_writers_with_one_process_number_do_not_meet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in two containers, where every program is process 1."""
    monkeypatch.setattr("os.getpid", lambda: 1)
    path = tmp_path / "model"
    with new_folder(path) as one, new_folder(path) as other:
        assert one != other


def test_the_bytes_are_on_the_disk_before_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    fsync, replace = os.fsync, os.replace

    def spied(descriptor: int) -> None:
        order.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")).name)
        fsync(descriptor)

    def renamed(source: Path, target: Path) -> None:
        order.append(f"rename to {Path(target).name}")
        replace(source, target)

    monkeypatch.setattr("os.fsync", spied)
    monkeypatch.setattr("os.replace", renamed)
    with new_file(tmp_path / "a.txt") as temporary:
        temporary.write_text("x")
    assert order == [temporary.name, "rename to a.txt", tmp_path.name]


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


def test_others_may_read_what_they_may_read_of_any_new_file(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    (tmp_path / "plain").touch()
    with new_file(tmp_path / "weights.safetensors") as temporary:
        save_file({"a": np.zeros(1)}, temporary)
    with new_folder(tmp_path / "model") as folder:
        save_file({"a": np.zeros(1)}, folder / "weights.safetensors")
    written = [tmp_path / "weights.safetensors", tmp_path / "model" / "weights.safetensors"]
    assert {path.stat().st_mode for path in written} == {(tmp_path / "plain").stat().st_mode}


def test_the_hash_of_contents_is_that_of_a_copy_and_not_of_a_change(tmp_path: Path) -> None:
    (tmp_path / "a" / "deep").mkdir(parents=True)
    (tmp_path / "a" / "deep" / "one").write_text("1")
    (tmp_path / "a" / "two").write_text("22")
    before = content_hash(tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "b", copy_function=shutil.copyfile)
    os.utime(tmp_path / "b" / "two", (1, 1))
    assert content_hash(tmp_path / "b") == before
    assert content_hash(tmp_path / "a" / "two") == hashlib.sha256(b"22").hexdigest()
    (tmp_path / "b" / "two").rename(tmp_path / "b" / "three")
    assert content_hash(tmp_path / "b") != before
