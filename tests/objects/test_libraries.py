"""Objects from a folder, from furniture libraries and from an Objaverse cache."""

import os
import zipfile
from pathlib import Path
from types import SimpleNamespace
from urllib.error import URLError

import numpy as np
import pytest
import trimesh
from PIL import Image

from placid_kedro.cameras import orbit
from placid_kedro.errors import DataError
from placid_kedro.files import file_hash
from placid_kedro.objects import objaverse_cache, table
from placid_kedro.objects.archives import extract_folder
from placid_kedro.objects.config import FolderSource, IngestParameters, ObjaverseSource, SweetHome3dSource
from placid_kedro.objects.folder import list_folder
from placid_kedro.objects.ingest import convert_furniture
from placid_kedro.objects.objaverse_cache import ObjaverseCache, list_objaverse
from placid_kedro.objects.sweethome3d import convert_model, list_furniture, read_properties
from placid_kedro.objects.table import to_table
from placid_kedro.rejections import Reason, RejectedAsset
from placid_kedro.rendering import load_mesh, render_mesh

CATALOG = """# comment
id=test
license=CC-BY  3.0
name#1=Caf\\u00e9 chair
category#1=Kitchen
creator#1=Ann
model#1=/lib/chair/chair.obj
name#2=Plank
model#2=/lib/plank/plank.obj
modelRotation#2=0 0 1 1 0 0 0 1 0
name#3=Lost
model#3=/lib/lost/lost.obj
name#4=Only an icon
icon#4=/lib/x.png
"""


def obj_box(width: float, height: float, depth: float) -> str:
    """A box with a material `m`, with texture coordinates."""
    box = trimesh.creation.box((width, height, depth))
    lines = ["mtllib m.mtl", "usemtl m"]
    lines += ["v {:.9f} {:.9f} {:.9f}".format(*vertex) for vertex in box.vertices]
    lines += ["vt {:.9f} {:.9f}".format(*(vertex[:2] / 2 + 0.5)) for vertex in box.vertices]
    lines += ["f " + " ".join(f"{i + 1}/{i + 1}" for i in face) for face in box.faces]
    return "\n".join(lines) + "\n"


@pytest.fixture
def furniture(tmp_path: Path) -> SweetHome3dSource:
    """A library with a textured model, a plain and rotated one, and one whose file is missing."""
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (4, 4, 3), np.uint8)).save(tmp_path / "wood.png")
    (tmp_path / "library").mkdir()
    with zipfile.ZipFile(tmp_path / "library/Test.sh3f", "w") as archive:
        archive.writestr("PluginFurnitureCatalog.properties", CATALOG)
        archive.writestr("lib/chair/chair.obj", obj_box(1, 2, 1))
        archive.writestr("lib/chair/m.mtl", "newmtl m\nKd 1 1 1\nmap_Kd wood.png\n")
        archive.write(tmp_path / "wood.png", "lib/chair/wood.png")
        archive.writestr("lib/plank/plank.obj", obj_box(4, 1, 2))
        archive.writestr("lib/plank/m.mtl", "newmtl m\nKd 0.05 0.3 0.7\nd 0.6\n")
    return SweetHome3dSource(folder=str(tmp_path / "library"), libraries=(), count=0)


def test_the_catalog_tells_names_licence_and_author(furniture: SweetHome3dSource) -> None:
    chair, plank, lost = list_furniture(furniture)
    assert (chair.record.uid, chair.record.name, chair.record.caption) == (
        "Test-chair",
        "Café chair",
        "café chair",
    )
    assert (chair.record.licence, chair.record.attribution, chair.record.category) == (
        "CC-BY 3.0",
        "Ann",
        "Kitchen",
    )
    assert plank.rotation == (0, 0, 1, 1, 0, 0, 0, 1, 0)
    assert lost.member == "lib/lost/lost.obj"
    assert read_properties(b"caf\xe9 \\u20ac") == "café €"


@pytest.mark.parametrize("name", ["chair", "plank"])
def test_conversion_keeps_the_images(furniture: SweetHome3dSource, tmp_path: Path, name: str) -> None:
    """The GLB file looks like the OBJ file, which other code reads."""
    model = next(model for model in list_furniture(furniture) if model.record.uid == f"Test-{name}")
    convert_model(model.library, model.member, None, tmp_path / "a.glb")
    with zipfile.ZipFile(model.library) as archive:
        extract_folder(archive, f"lib/{name}", tmp_path, 10**6)
    cameras = orbit([20.0, 200.0], [30.0, -40.0], 1.6, 60.0, 48)
    converted = render_mesh(load_mesh(tmp_path / "a.glb"), cameras)
    original = render_mesh(load_mesh(tmp_path / f"{name}.obj"), cameras)
    difference = np.abs(converted.rgba.astype(int) - original.rgba)
    assert (difference > 1).mean() < 1e-3
    np.testing.assert_allclose(converted.depth, original.depth, atol=1e-4)
    assert original.rgba[..., 3].any()


def test_conversion_turns_the_model(furniture: SweetHome3dSource, tmp_path: Path) -> None:
    plank = list_furniture(furniture)[1]
    convert_model(plank.library, plank.member, plank.rotation, tmp_path / "a.glb")
    # The matrix sends (x, y, z) to (z, x, y): 4 x 1 x 2 becomes 2 x 4 x 1; then file x, y, z are world y, z, x.
    np.testing.assert_allclose(
        np.ptp(load_mesh(tmp_path / "a.glb").vertices, axis=0), [0.25, 0.5, 1.0], atol=1e-6
    )


def test_conversion_gives_the_same_bytes(furniture: SweetHome3dSource, tmp_path: Path) -> None:
    chair = list_furniture(furniture)[0]
    for name in ("a.glb", "b.glb"):
        convert_model(chair.library, chair.member, None, tmp_path / name)
    assert file_hash(tmp_path / "a.glb") == file_hash(tmp_path / "b.glb")


def test_images_on_their_authors_disk_are_left_out(furniture: SweetHome3dSource, tmp_path: Path) -> None:
    plank = list_furniture(furniture)[1]
    convert_model(plank.library, plank.member, None, tmp_path / "plain.glb")
    statements = (
        "map_Kd /home/ann/My Textures/wood.png",
        "map_Kd -s 1 1 1 /home/ann/wood.png",
        "  map_Bump C:\\ann\\bump.png",
        "bump /home/ann/bump.png\r",
    )
    for number, statement in enumerate(statements):
        library = tmp_path / f"{number}.sh3f"
        with zipfile.ZipFile(library, "w") as archive:
            archive.writestr(plank.member, obj_box(4, 1, 2))
            archive.writestr("lib/plank/m.mtl", f"newmtl m\nKd 0.05 0.3 0.7\n{statement}\nd 0.6\n")
        convert_model(library, plank.member, None, tmp_path / f"{number}.glb")
        assert file_hash(tmp_path / f"{number}.glb") == file_hash(tmp_path / "plain.glb")


def test_images_that_did_not_come_along_are_left_out_and_others_are_found(
    furniture: SweetHome3dSource, tmp_path: Path
) -> None:
    """By names without a folder, too; what an absolute or backslashed name means may lie beside the mesh."""
    plank = list_furniture(furniture)[1]
    looks = []
    for number, statement in enumerate(
        ("", "map_Kd gone.png", "map_Kd C:\\ann\\wood.png", "map_Kd WOOD.png")
    ):
        library = tmp_path / f"{number}.sh3f"
        with zipfile.ZipFile(library, "w") as archive:
            archive.writestr(plank.member, obj_box(4, 1, 2))
            archive.writestr("lib/plank/m.mtl", f"newmtl m\nKd 0.05 0.3 0.7\n{statement}\n")
            archive.write(tmp_path / "wood.png", "lib/plank/wood.png")
        convert_model(library, plank.member, None, tmp_path / f"{number}.glb")
        looks.append(load_mesh(tmp_path / f"{number}.glb").image_count())
    assert looks == [0, 0, 1, 1]
    assert file_hash(tmp_path / "0.glb") == file_hash(tmp_path / "1.glb")


def test_a_path_that_climbs_out_of_a_model_is_refused(furniture: SweetHome3dSource, tmp_path: Path) -> None:
    plank = list_furniture(furniture)[1]
    with zipfile.ZipFile(tmp_path / "a.sh3f", "w") as archive:
        archive.writestr(plank.member, obj_box(4, 1, 2))
        archive.writestr("lib/plank/m.mtl", "newmtl m\nKd 1 1 1\nmap_Kd ../../../secret.png\n")
    with pytest.raises(RejectedAsset) as raised:
        convert_model(tmp_path / "a.sh3f", plank.member, None, tmp_path / "a.glb")
    assert raised.value.reason is Reason.PATH_OUTSIDE


def test_a_library_that_is_replaced_is_read_anew(furniture: SweetHome3dSource, tmp_path: Path) -> None:
    chair = list_furniture(furniture)[0]
    convert_model(chair.library, chair.member, None, tmp_path / "a.glb")
    with zipfile.ZipFile(tmp_path / "new.zip", "w") as archive:
        archive.writestr(chair.member, obj_box(3, 1, 1))
        archive.writestr("lib/chair/m.mtl", "newmtl m\nKd 1 1 1\n")
    (tmp_path / "new.zip").replace(chair.library)
    convert_model(chair.library, chair.member, None, tmp_path / "b.glb")
    scene = trimesh.load_scene(tmp_path / "b.glb")
    np.testing.assert_allclose(scene.extents, [3, 1, 1], atol=1e-6)


def test_other_readers_know_the_glb(furniture: SweetHome3dSource, tmp_path: Path) -> None:
    convert_model(list_furniture(furniture)[0].library, "lib/chair/chair.obj", None, tmp_path / "a.glb")
    scene = trimesh.load_scene(tmp_path / "a.glb")
    np.testing.assert_allclose(scene.extents, [1, 2, 1], atol=1e-6)


def test_a_model_that_is_not_in_its_library(furniture: SweetHome3dSource, tmp_path: Path) -> None:
    lost = list_furniture(furniture)[2]
    with pytest.raises(RejectedAsset) as raised:
        convert_model(lost.library, lost.member, None, tmp_path / "a.glb")
    assert raised.value.reason is Reason.MISSING_FILE
    assert not (tmp_path / "a.glb").exists()


def test_missing_and_broken_libraries_are_named(furniture: SweetHome3dSource, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="sweethome3d-furniture"):
        list_furniture(furniture.model_copy(update={"folder": str(tmp_path / "none")}))
    with pytest.raises(DataError, match=r"there are Test\."):
        list_furniture(furniture.model_copy(update={"libraries": ("Scopia",)}))
    (tmp_path / "library/Broken.sh3f").write_text("no zip")
    with pytest.raises(DataError, match=r"Broken\.sh3f"):
        list_furniture(furniture.model_copy(update={"libraries": ("Test", "Broken")}))


def hostile_library(kind: str, path: Path) -> None:
    """A library with one fault of a catalog."""
    lines = ["id#1=a", "name#1=Chair", "model#1=/a/a.obj"]
    match kind:
        case "bomb":
            lines += ["x" * 100 for _ in range(200_000)]
        case "no such catalog":
            lines = []
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("PluginFurnitureCatalog.properties" if lines else "other.txt", "\n".join(lines))
    if kind == "encrypted":
        # The first bit of the flags, in the local header and in the directory.
        data = bytearray(path.read_bytes())
        for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
            data[data.index(mark) + offset] |= 1
        path.write_bytes(data)


@pytest.mark.parametrize("kind", ["bomb", "encrypted", "no such catalog"])
def test_a_hostile_library_costs_itself(
    furniture: SweetHome3dSource, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    whole = [model.record.uid for model in list_furniture(furniture)]
    path = Path(furniture.folder) / "Hostile.sh3f"
    hostile_library(kind, path)
    assert [model.record.uid for model in list_furniture(furniture)] == whole
    assert "Hostile.sh3f" in caplog.text
    with pytest.raises(DataError, match=r"Hostile\.sh3f"):
        list_furniture(furniture.model_copy(update={"libraries": ("Hostile",)}))


def test_a_bad_entry_of_a_catalog_costs_itself(furniture: SweetHome3dSource, tmp_path: Path) -> None:
    long = "n" * 300
    lines = [
        "model#1=/a/whole.obj",
        f"model#2=/a/{long}.obj",
        "model#3=/a/turned.obj",
        "modelRotation#3=1 0 nan",
    ]
    lines += [f"model#{'9' * 5000}=/a/counted.obj"]
    path = Path(furniture.folder) / "Entries.sh3f"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("PluginFurnitureCatalog.properties", "\n".join(lines))
    models = list_furniture(furniture.model_copy(update={"libraries": ("Entries",)}))
    reasons = [model.record.reason for model in models]
    assert reasons == ["", "", Reason.UNREADABLE]
    records = convert_furniture(models[1:], tmp_path / "converted", 1)
    assert list(to_table(records)["reason"]) == [Reason.BAD_UID, Reason.UNREADABLE]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("m/../../evil.txt", b"x", Reason.PATH_OUTSIDE),
        ("m/..\\..\\evil.txt", b"x", Reason.PATH_OUTSIDE),
        ("m/bomb", bytes(2**25), Reason.TOO_LARGE),
    ],
)
def test_archives_cannot_leave_their_folder_or_fill_the_disk(
    tmp_path: Path, name: str, content: bytes, reason: Reason
) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    target = tmp_path / "deep/target"
    target.mkdir(parents=True)
    with zipfile.ZipFile(tmp_path / "a.zip") as archive, pytest.raises(RejectedAsset) as raised:
        extract_folder(archive, "m", target, 2**26)
    assert raised.value.reason is reason
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a.zip", "deep", "target"]


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


@pytest.fixture
def objaverse(objaverse_cache: Path, ingest_parameters: IngestParameters) -> ObjaverseSource:
    return ingest_parameters.objaverse.model_copy(update={"cache": str(objaverse_cache)})


def test_what_a_real_cache_holds(objaverse: ObjaverseSource, objaverse_cache: Path) -> None:
    records = list_objaverse(objaverse, seed=0)
    assert len(records) == 7
    pegboard = next(record for record in records if record.uid == "db7339a98f464ff38e3c3e32c924ca65")
    assert (pegboard.category, pegboard.caption, pegboard.reason) == ("pegboard", "pegboard", "")
    assert pegboard.bytes == 515552
    assert pegboard.sha256 == file_hash(Path(pegboard.path))


def test_objects_that_are_not_in_the_cache_are_rejected_rows(
    objaverse: ObjaverseSource, objaverse_cache: Path
) -> None:
    by_category = objaverse.model_copy(update={"select": "lvis", "categories": ("pegboard",)})
    records = list_objaverse(by_category, seed=0)
    assert sum(not record.reason for record in records) == 1
    assert {record.reason for record in records if record.reason} == {Reason.NOT_IN_LIBRARY}
    by_list = objaverse.model_copy(
        update={"select": "list", "list": str(objaverse_cache / "lgm_80k.csv"), "count": 50}
    )
    assert len(list_objaverse(by_list, seed=0)) == 50


def test_lines_of_a_list_with_other_columns_are_rejected_rows(
    objaverse: ObjaverseSource, tmp_path: Path
) -> None:
    listed = tmp_path / "list.csv"
    source = objaverse.model_copy(update={"select": "list", "list": str(listed)})
    good = "000-000,db7339a98f464ff38e3c3e32c924ca65"
    listed.write_text(f"{good}\na chair,red,wood\n000-000,../../secret\n{good}\n")
    table = to_table(list_objaverse(source, seed=0))
    assert list(table["reason"]) == ["", Reason.BAD_UID, Reason.BAD_UID]
    assert "a chair,red,wood" in table["detail"][1]
    listed.write_text("name,caption,licence\na,b,c\n")
    with pytest.raises(DataError, match="its first line is 'name,caption,licence'"):
        list_objaverse(source, seed=0)
    listed.write_text("")
    with pytest.raises(DataError, match="it is empty"):
        list_objaverse(source, seed=0)


def test_a_random_choice_follows_the_seed(objaverse: ObjaverseSource) -> None:
    source = objaverse.model_copy(update={"select": "random", "count": 4})
    chosen = [[record.uid for record in list_objaverse(source, seed)] for seed in (1, 1, 2)]
    assert chosen[0] == chosen[1] != chosen[2]


def test_nothing_is_fetched_without_leave(tmp_path: Path, objaverse: ObjaverseSource) -> None:
    with pytest.raises(DataError, match="does not exist"):
        list_objaverse(objaverse.model_copy(update={"cache": str(tmp_path)}), seed=0)
    with pytest.raises(DataError, match="no category 'no such'"):
        list_objaverse(objaverse.model_copy(update={"select": "lvis", "categories": ("no such",)}), seed=0)


class FlakyObjaverse:
    """Stands in for the `objaverse` package and its network: the first attempt breaks off, `c` is never served."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.asked: list[list[str]] = []

    def _load_object_paths(self) -> dict[str, str]:
        return {uid: f"glbs/000-000/{uid}.glb" for uid in "abc"} | {"d": "../../outside.glb"}

    def load_lvis_annotations(self) -> dict[str, list[str]]:
        return {"chair": ["a", "b"]}

    def load_annotations(self, uids: list[str]) -> dict[str, dict]:
        return {
            uid: {"name": f"object {uid}", "license": "by", "user": {"displayName": "Ann"}} for uid in uids
        }

    def load_objects(self, uids: list[str], download_processes: int) -> None:
        self.asked.append(uids)
        if len(self.asked) == 1:
            raise URLError("connection reset")
        (self.root / "glbs/000-000/b.glb").write_bytes(b"b")
        raise OSError("c is not there")


def test_downloads_are_tried_again_and_cost_only_what_is_missing(
    ingest_parameters: IngestParameters, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "hf-objaverse-v1"
    (root / "glbs/000-000").mkdir(parents=True)
    (root / "glbs/000-000/a.glb").write_bytes(b"a")
    (tmp_path / "list.csv").write_text("000-000,a\n000-000,b\n000-000,c\n000-000,d\n")
    package = FlakyObjaverse(root)
    monkeypatch.setattr(ObjaverseCache, "_package", lambda cache: package)
    monkeypatch.setattr(objaverse_cache, "time", SimpleNamespace(sleep=lambda seconds: None))
    source = ingest_parameters.objaverse.model_copy(
        update={
            "cache": str(tmp_path),
            "select": "list",
            "list": str(tmp_path / "list.csv"),
            "download": True,
        }
    )
    records = {record.uid: record for record in list_objaverse(source, seed=0)}
    assert package.asked == [["b", "c"]] * 3
    assert [records[uid].reason for uid in "abcd"] == ["", "", Reason.NOT_DOWNLOADED, Reason.NOT_IN_LIBRARY]
    assert (records["b"].licence, records["b"].attribution, records["b"].category) == (
        "CC BY 4.0",
        "Ann",
        "chair",
    )
    assert records["b"].caption == "object b"
    # What is there is not asked for again.
    package.asked = [["an earlier run"]]
    (root / "glbs/000-000/c.glb").write_bytes(b"c")
    assert not any(record.reason for record in list_objaverse(source, seed=0)[:3])
    assert len(package.asked) == 1
