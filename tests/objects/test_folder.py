"""Objects from a folder."""

import os
from pathlib import Path

import pytest

from placid_kedro.errors import DataError
from placid_kedro.files import file_hash
from placid_kedro.objects import table
from placid_kedro.objects.config import FolderSource
from placid_kedro.objects.folder import list_folder
from placid_kedro.objects.table import to_table
from placid_kedro.rejections import Reason


def test_a_folder_of_meshes(meshes: Path) -> None:
    (meshes / "sub").mkdir()
    (meshes / "ball.glb").rename(meshes / "sub/Red_ball 2.glb")
    source = FolderSource(folder=str(meshes), captions="", licence="CC0", count=0)
    ball, tower = list_folder(source)
    assert (ball.uid, ball.caption, ball.licence) == ("sub-Red_ball-2", "Red ball 2", "CC0")
    assert tower.sha256 == file_hash(meshes / "tower.glb")


def test_every_file_of_a_folder_has_a_uid_of_its_own(tmp_path: Path, meshes: Path) -> None:
    names = (
        "стул.glb", "椅子.glb", "café.glb", "_chair.glb", "chair.glb", "CHAIR 2.glb", "chair 2.glb", "chair-2.glb",
        "___.glb", "(1).glb", "1.OBJ", "किताब.glb", f"{'long ' * 40}.glb", f"{'long ' * 40}2.glb", "model.glb",
        "model.obj", "model.gltf", "deep/model.glb", "deep-model.glb", "._mac.glb", "quote's & (1).glb",
    )  # fmt: skip
    folder = tmp_path / "named"
    (folder / "deep").mkdir(parents=True)
    for name in names:
        (folder / name).write_bytes(b"x")
    source = FolderSource(folder=str(folder), captions="", licence="", count=0)
    records = list_folder(source)
    assert len(records) == len(names)
    found = to_table(records)
    assert set(found["reason"]) == {""}
    # Also on disks on which names that differ in case are one.
    assert found["uid"].str.lower().is_unique
    uids = {Path(record.path).relative_to(folder).as_posix(): record.uid for record in records}
    assert (uids["стул.glb"], uids["café.glb"], uids["model.glb"]) == ("stul", "cafe", "model")
    captions = {Path(record.path).name: record.caption for record in records}
    assert (captions["किताब.glb"], captions["椅子.glb"], captions["quote's & (1).glb"]) == (
        "किताब",
        "椅子",
        "quote s 1",
    )
    # The same every time, and a csv's rows know the same names.
    assert list_folder(source) == records
    listed = tmp_path / "captions.csv"
    rows = [f'"{name}",caption\n' for name in names]
    listed.write_text("file,caption\n" + "".join(rows), encoding="utf-8")
    by_row = list_folder(source.model_copy(update={"captions": str(listed)}))
    assert [record.uid for record in by_row] == [uids[name] for name in names]


def test_a_name_that_is_no_text_costs_itself_only(meshes: Path) -> None:
    (meshes / "ball.glb").rename(meshes / os.fsdecode(b"ball\xff.glb"))
    ball, tower = list_folder(FolderSource(folder=str(meshes), captions="", licence="", count=0))
    assert (ball.reason, tower.reason) == (Reason.UNREADABLE, "")
    assert "UTF-8" in ball.detail
    assert to_table([ball, tower])["name"].str.encode("utf-8").tolist() == [b"ball", b"tower"]


def test_a_name_that_two_files_have_names_none_of_them(meshes: Path, tmp_path: Path) -> None:
    (meshes / "sub").mkdir()
    (meshes / "sub/ball.glb").write_bytes((meshes / "ball.glb").read_bytes())
    captions = tmp_path / "captions.csv"
    captions.write_text("uid,caption\nball,a ball\nsub-ball,another\n")
    first, second = list_folder(FolderSource(folder=str(meshes), captions=str(captions), licence="", count=0))
    assert first.reason == Reason.BAD_ROW and "2 files" in first.detail
    assert (second.reason, Path(second.path).parent.name) == ("", "sub")


def test_a_folder_with_a_csv(meshes: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.glb").write_bytes(b"x")
    captions = tmp_path / "captions.csv"
    captions.write_text(
        "file,uid,caption,attribution\nball.glb,one,a ball,Ann\n../secret.glb,two,x,\nnone.glb,three,y,\n"
        "tower.glb,../four,z,\n,tower,by uid,\ntower.glb,one,again,\n"
    )
    source = FolderSource(folder=str(meshes), captions=str(captions), licence="CC0", count=0)
    table = to_table(list_folder(source)).set_index("caption")
    assert table.loc["a ball", "reason"] == ""
    assert table.loc["a ball", "attribution"] == "Ann"
    assert dict(table["reason"]) == {
        "a ball": "",
        "x": Reason.PATH_OUTSIDE,
        "y": Reason.MISSING_FILE,
        "z": Reason.BAD_UID,
        "by uid": "",
        "again": Reason.DUPLICATE_UID,
    }


def test_a_file_that_cannot_be_read_costs_itself_only(meshes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged(path: Path) -> str:
        if path.name == "ball.glb":
            raise OSError(5, "Input/output error")
        return file_hash(path)

    monkeypatch.setattr(table, "file_hash", damaged)
    ball, tower = list_folder(FolderSource(folder=str(meshes), captions="", licence="", count=0))
    assert (ball.reason, ball.detail) == (Reason.UNREADABLE, "ball.glb cannot be read: Input/output error")
    assert tower.reason == ""


def test_rows_of_a_csv_with_other_columns_are_rejected(meshes: Path, tmp_path: Path) -> None:
    captions = tmp_path / "captions.csv"
    captions.write_text("file,uid,caption\nball.glb,one,a red, wooden ball\n,,nameless\ntower.glb\n")
    source = FolderSource(folder=str(meshes), captions=str(captions), licence="CC0", count=0)
    long, nameless, short = list_folder(source)
    assert (long.uid, long.reason) == ("one", Reason.BAD_ROW)
    assert "line 2" in long.detail
    assert nameless.reason == Reason.BAD_ROW
    assert (short.uid, short.caption, short.reason) == ("tower", "tower", "")


@pytest.mark.parametrize(("header", "said"), [("file,text", "no 'caption'"), ("path,caption", "neither")])
def test_a_csv_without_the_needed_columns_is_one_sentence(
    meshes: Path, tmp_path: Path, header: str, said: str
) -> None:
    captions = tmp_path / "captions.csv"
    captions.write_text(f"{header}\nball.glb,a ball\n")
    with pytest.raises(DataError, match=said) as raised:
        list_folder(FolderSource(folder=str(meshes), captions=str(captions), licence="", count=0))
    assert "\n" not in str(raised.value)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    source = FolderSource(folder=str(tmp_path / "none"), captions="", licence="", count=0)
    with pytest.raises(DataError, match="does not exist"):
        list_folder(source)
