"""Objects from furniture libraries."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image

from placid_kedro.cameras import orbit
from placid_kedro.errors import DataError
from placid_kedro.files import file_hash
from placid_kedro.objects.archives import extract_folder
from placid_kedro.objects.config import SweetHome3dSource
from placid_kedro.objects.ingest import convert_furniture
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
