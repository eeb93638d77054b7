"""OBJ and MTL files: polygons, indices, and colours as Blender shows them."""

import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from placid_kedro.rejections import Reason, RejectedAsset
from placid_kedro.rendering import Mesh, MeshLimits, Part, load_mesh, load_parts
from placid_kedro.rendering.polygons import triangulate

LOOK = Callable[[Mesh, float, float], np.ndarray]
SQUARE = """v -1 -1 0
v 1 -1 0
v 1 1 0
v -1 1 0
vt 0 0
vt 1 0
vt 1 1
vt 0 1
usemtl m
f 1/1 2/2 3/3 4/4
"""
# Left half red, right half green; the file's rows run from the top.
LEFT_RED = np.array([[[255, 0, 0], [0, 255, 0]]], np.uint8)


def write(folder: Path, materials: str | None = None, obj: str = SQUARE) -> Path:
    if materials is not None:
        (folder / "m.mtl").write_text("newmtl m\n" + materials)
        obj = "mtllib m.mtl\n" + obj
    (folder / "a.obj").write_text(obj)
    return folder / "a.obj"


def picture(path: Path, pixels: np.ndarray = LEFT_RED) -> None:
    path.parent.mkdir(exist_ok=True, parents=True)
    Image.fromarray(pixels).save(path, "PNG")


def areas(points: np.ndarray, faces: np.ndarray) -> np.ndarray:
    corners = points[faces]
    return np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]) / 2


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(0.1, 1.0), min_size=5, max_size=24),
    st.tuples(*[st.floats(-1, 1)] * 3).filter(lambda axis: np.linalg.norm(axis) > 0.1),
)
def test_any_star_is_cut_into_its_own_area(radii: list[float], normal: tuple[float, float, float]) -> None:
    """Against the shoelace formula: the triangles turn as the star does, and add up to its area without overlap."""
    angles = np.linspace(0, 2 * np.pi, len(radii), endpoint=False)
    flat = np.stack([np.cos(angles), np.sin(angles)], axis=1) * np.array(radii)[:, None]
    shoelace = 0.5 * (flat[:, 0] * np.roll(flat[:, 1], -1) - flat[:, 1] * np.roll(flat[:, 0], -1)).sum()
    third = np.array(normal) / np.linalg.norm(normal)
    first = np.cross(third, np.eye(3)[np.abs(third).argmin()])
    first /= np.linalg.norm(first)
    points = flat @ np.stack([first, np.cross(third, first)])
    faces = triangulate(points, np.arange(len(points))[None])
    assert len(faces) <= len(points) - 2
    signed = areas(points, faces) @ third
    assert (signed > -1e-9).all()
    assert signed.sum() == pytest.approx(shoelace, rel=1e-6)


def test_convex_polygons_are_fans_from_their_first_corner() -> None:
    points = np.array([[0, 0, 0], [2, 0, 0], [3, 1, 0], [2, 2, 0], [0, 2, 0.1]], float)
    polygons = np.array([[0, 1, 2, 3, 4], [4, 3, 2, 1, 0]])
    assert triangulate(points, polygons).tolist() == [
        [0, 1, 2], [0, 2, 3], [0, 3, 4], [4, 3, 2], [4, 2, 1], [4, 1, 0],
    ]  # fmt: skip


def test_a_hole_that_a_seam_joins_to_the_outline_stays_open() -> None:
    """A frame: the outline, along a seam to the opening, around it the other way, and back along the seam."""
    outer, inner = np.array([[0, 0], [4, 0], [4, 4], [0, 4]]), np.array([[1, 1], [1, 3], [3, 3], [3, 1]])
    points = np.concatenate([np.concatenate([outer, inner]), np.zeros((8, 1))], axis=1).astype(float)
    faces = triangulate(points, np.array([[0, 1, 2, 3, 0, 4, 5, 6, 7, 4]]))
    assert areas(points, faces)[:, 2].sum() == pytest.approx(12)
    centers = points[faces].mean(axis=1)[:, :2]
    assert not ((centers > 1) & (centers < 3)).all(axis=1).any()


def test_polygons_without_an_area_do_no_harm() -> None:
    points = np.array([[0, 0, 0], [1, 0, 0], [2, 0, 0], [3, 0, 0]], float)
    assert len(triangulate(points, np.array([[0, 1, 2, 3], [0, 0, 0, 0]]))) == 4
    assert triangulate(points, np.zeros((0, 5), int)).shape == (0, 3)


def test_a_concave_face_has_its_gap(tmp_path: Path) -> None:
    outline = [(-5, -5), (5, -5), (5, 5), (2, 5), (2, -2), (-2, -2), (-2, 5), (-5, 5)]
    lines = [f"v {x} {y} 0" for x, y in outline] + ["f 1 2 3 4 5 6 7 8"]
    (part,) = load_parts(write(tmp_path, obj="\n".join(lines)), MeshLimits())
    assert areas(part.vertices, part.faces)[:, 2].sum() == pytest.approx(100 - 4 * 7)


@pytest.mark.parametrize(
    "obj",
    [
        "v 0 0 0\nv 2 0 0\nv 0 3 0\nf -3 -2 -1\nv 9 9 9\n",
        "v 0 0 0\nv 2 0 0\nv 0 3 0\nvn 0 0 1\nf 1//1 2//1 3//1\n",
        "v 0 0 0 1.0\nv 2 0 0 1.0\nv 0 3 0 1.0\nvt 0 0\nf 1/1 2/1 3/1 # a comment\n",
        "v 0 0 \\\n0\r\nv 2 0 0\r\nv 0 3 0\r\nf 1 2 \\\r\n3\r\n",
        "f 1 2 3\nl 1 2\np 1\nv 0 0 0\nv 2 0 0\nv 0 3 0\nf 1 2\n",
        "  v\t0 0  0 # a\nv 2 0 0 0.5\n\tv 0 3 0\nvt 0.5\nvt 1 1 0\n f\t1/1\t2/2 3/2 # b\n",
        "\ufeffo thing\ng one two\ns 1\nv 0 0 0\nv 2 0 0\nv 0 3 0\nf 1 -1 3\nf 1 2 3\n",
    ],
    ids=["negative", "normals", "weight", "lines", "order", "blanks", "names"],
)
def test_ways_to_write_a_triangle(tmp_path: Path, obj: str) -> None:
    (part,) = load_parts(write(tmp_path, obj=obj), MeshLimits())
    assert part.vertices[part.faces[-1]].tolist() == [[0, 0, 0], [2, 0, 0], [0, 3, 0]]


@pytest.mark.parametrize(
    ("obj", "reason"),
    [
        ("v 0 0 0\nf 1 2 3\n", Reason.UNREADABLE),
        ("v 0 0 0\nv 1 0 0\nf 1 2 0\n", Reason.UNREADABLE),
        ("v 0 0 0\nv 1 0 0\nf 1 2 -3\n", Reason.UNREADABLE),
        ("v 0 0 0\nv 1 0 0\nv 1 1 0\nf 1/1 2/1 3/1\n", Reason.UNREADABLE),
        ("v 0 0 0\nv 1 0 0\nv 1 1 0\nvt 0 0\nf 1/-2 2/-1 3/1\n", Reason.UNREADABLE),
        ("v 0 0 0\nv 1 0 0\nv 1 1 0\nvt 0 0\nf 1/0 2/1 3/1\n", Reason.UNREADABLE),
        ("v 0 0\nv 1 0\nv 1 1\nf 1 2 3\n", Reason.UNREADABLE),
        ("v 0 0 x\nv 1 0 0\nv 1 1 0\nf 1 2 3\n", Reason.UNREADABLE),
        ("v 0 0 0\nv 1 0 0\nv 1 1 0\nf 1 2 three\n", Reason.UNREADABLE),
        ("v 0 0 0\nsurf 0 1 0 1 1\n", Reason.UNKNOWN_FORMAT),
    ],
)
def test_damaged_files_are_refused(tmp_path: Path, obj: str, reason: Reason) -> None:
    with pytest.raises(RejectedAsset) as raised:
        load_mesh(write(tmp_path, obj=obj))
    assert raised.value.reason is reason


@pytest.mark.parametrize("factor", ["Kd 0.64 0.64 0.64", "Kd 0 0 0", "Kd 1 1 1", "", "Ka 0 0 0\nKs 1 1 1"])
def test_a_texture_counts_alone(tmp_path: Path, square_color: LOOK, factor: str) -> None:
    picture(tmp_path / "t.png")
    mesh = load_mesh(write(tmp_path, f"{factor}\nmap_Kd t.png\n"))
    assert mesh.is_colored
    assert square_color(mesh, -0.5, 0.2).tolist() == [1, 0, 0, 1]
    assert square_color(mesh, 0.5, 0.2).tolist() == [0, 1, 0, 1]


def test_colours_without_a_texture_are_as_they_look(tmp_path: Path, square_color: LOOK) -> None:
    mesh = load_mesh(write(tmp_path, "Kd 0.2 0.4 0.8\n"))
    np.testing.assert_allclose(square_color(mesh, 0.3, 0.1), [0.2, 0.4, 0.8, 1], atol=1e-6)
    mesh = load_mesh(write(tmp_path, "Kd 0.3\n"))
    np.testing.assert_allclose(square_color(mesh, 0.3, 0.1), [0.3, 0.3, 0.3, 1], atol=1e-6)


@pytest.mark.parametrize(
    ("statements", "alpha"),
    [
        ("d 0.3", 0.3),
        ("Tr 0.7", 0.3),
        ("d 0.25\nTr 0.1", 0.25),
        ("d -halo 0.4", 0.4),
        ("d 1\nTr 0", 1.0),
        ("", 1.0),
    ],
)
def test_opacity(tmp_path: Path, square_color: LOOK, statements: str, alpha: float) -> None:
    mesh = load_mesh(write(tmp_path, f"Kd 1 0 0\n{statements}\n"))
    assert square_color(mesh, 0, 0.1)[3] == pytest.approx(alpha)


def test_an_opacity_map(tmp_path: Path, square_color: LOOK) -> None:
    gray = np.array([[0, 0, 255, 255], [0, 0, 128, 128]], np.uint8)
    picture(tmp_path / "d.png", gray)
    picture(tmp_path / "t.png")
    # The texture's own size counts; without one the map's and Kd.
    for materials in (
        "map_Kd t.png\nmap_d d.png\n",
        "Kd 0 1 0\nmap_d d.png\n",
        "Kd 0 1 0\nmap_d -imfchan g d.png\n",
    ):
        mesh = load_mesh(write(tmp_path, materials))
        assert square_color(mesh, -0.5, 0.5)[3] == 0
        right = square_color(mesh, 0.5, 0.5)
        assert right[1] == 1 and right[3] > 0.7
    # An alpha channel comes before brightness; a map that is the texture itself has no other alpha than its own.
    picture(tmp_path / "t.png", np.array([[[0, 0, 0, 255], [9, 9, 9, 51]]], np.uint8))
    for materials in ("map_Kd t.png\nmap_d t.png\n", "Kd 1 1 1\nmap_d t.png\n"):
        mesh = load_mesh(write(tmp_path, materials))
        assert square_color(mesh, -0.5, 0.1)[3] == 1
        assert square_color(mesh, 0.5, 0.1)[3] == pytest.approx(0.2)
    picture(tmp_path / "t.png")
    assert square_color(load_mesh(write(tmp_path, "map_Kd t.png\nmap_d t.png\n")), -0.5, 0.1).tolist() == [
        1,
        0,
        0,
        1,
    ]


def test_emission(tmp_path: Path) -> None:
    picture(tmp_path / "t.png")
    plain = load_mesh(write(tmp_path, "Kd 0 0 0\nKe 0.5 0 0\n"))
    assert plain.emission is not None
    # 0.5 as shown is 0.214 in linear light.
    np.testing.assert_allclose(plain.emission.corner_colors[0, 0, :3], [0.2140, 0, 0], atol=1e-4)
    mapped = load_mesh(write(tmp_path, "Kd 0 0 0\nmap_Ke t.png\n"))
    assert mapped.emission is not None and len(mapped.textures) == 1
    assert load_mesh(write(tmp_path, "Kd 0 0 0\nKe 0 0 0\n")).emission is None


@pytest.mark.parametrize(
    ("statement", "left", "right"),
    [
        ("-s 1 1 1 -o 0 0 0 t.png", "red", "green"),
        ("-bm 1.0 t.png", "red", "green"),
        ("-blendu on -blendv off -boost 2 -texres 64 -cc off t.png", "red", "green"),
        ("-mm 0 1 t.png", "red", "green"),
        ("-t 0 0 0 t.png", "red", "green"),
        ("-o 0.5 t.png", "green", "red"),
        ("-o 0.5 0 0 t.png", "green", "red"),
        ("-s -1 1 1 t.png", "green", "red"),
        ("-s 0.5 t.png", "red", "red"),
        ("-clamp on -o 1 t.png", "green", "green"),
        ("-clamp on -o -1 t.png", "red", "red"),
        ('"t.png"', "red", "green"),
        ("my texture.png", "red", "green"),
        ("-s 1 1 1 my texture.png", "red", "green"),
        ("-odd name.png", "red", "green"),
        ("sub\\deep/t.png", "red", "green"),
        (".\\sub\\deep\\t.png", "red", "green"),
        ("SUB/Deep/T.PNG", "red", "green"),
        ("C:\\Users\\me\\textures\\t.png", "red", "green"),
        ("/home/me/t.png", "red", "green"),
        ("\\\\server\\share\\t.png", "red", "green"),
        (unicodedata.normalize("NFD", "café.png"), "red", "green"),
    ],
)
def test_texture_statements(
    tmp_path: Path, square_color: LOOK, statement: str, left: str, right: str
) -> None:
    for name in ("t.png", "my texture.png", "-odd name.png", "sub/deep/t.png", "café.png"):
        picture(tmp_path / name)
    mesh = load_mesh(write(tmp_path, f"Kd 1 1 1\nmap_Kd {statement}\n"))
    colors = {"red": [1, 0, 0, 1], "green": [0, 1, 0, 1]}
    assert square_color(mesh, -0.5, 0.2).tolist() == colors[left]
    assert square_color(mesh, 0.5, 0.2).tolist() == colors[right]


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("map_Kd -mm 0.5 1 t.png", "-mm"),
        ("map_Kd -t 1 0 0 t.png", "-t"),
        ("map_Kd -unheard 1 t.png", "-unheard"),
        ("map_Kd t.png\nmap_d -s 2 2 2 t.png", "map_d"),
        ("Kd spectral file.rfl", "spectral"),
        ("Kd xyz 0.1 0.2 0.3", "xyz"),
    ],
)
def test_what_is_not_understood_is_named(tmp_path: Path, statement: str, said: str) -> None:
    picture(tmp_path / "t.png")
    with pytest.raises(RejectedAsset, match=said) as raised:
        load_mesh(write(tmp_path, statement + "\n"))
    assert raised.value.reason is Reason.UNKNOWN_FORMAT


@pytest.mark.parametrize("factor", ["Kd 0.8 0.2 0.2", "Kd 0 0 0"])
def test_a_missing_texture_is_refused(tmp_path: Path, factor: str) -> None:
    with pytest.raises(RejectedAsset, match=r"gone\.png") as raised:
        load_mesh(write(tmp_path, f"{factor}\nmap_Kd gone.png\n"))
    assert raised.value.reason is Reason.MISSING_FILE


def test_missing_materials_say_nothing_of_colours(tmp_path: Path) -> None:
    assert not load_mesh(write(tmp_path, obj="mtllib gone.mtl\n" + SQUARE)).is_colored
    assert not load_mesh(write(tmp_path, "", obj=SQUARE.replace("usemtl m", "usemtl other"))).is_colored
    assert not load_mesh(write(tmp_path, "Ns 10\n")).is_colored


@pytest.mark.parametrize(
    "name", ["my materials.mtl", "a.mtl m.mtl", "M.MTL", "sub\\m.mtl", "C:\\me\\m.mtl", "/home/me/m.mtl"]
)
def test_material_libraries(tmp_path: Path, square_color: LOOK, name: str) -> None:
    (tmp_path / "sub").mkdir()
    for file in ("my materials.mtl", "m.mtl", "sub/m.mtl"):
        (tmp_path / file).write_text("# \xe9\r\nnewmtl   red  paint \r\n\tKd\t1 0 0\r\n", encoding="latin-1")
    # After the faces that use it, too.
    obj = SQUARE.replace("usemtl m", "usemtl red paint") + f"mtllib {name}\n"
    assert square_color(load_mesh(write(tmp_path, obj=obj)), 0, 0.1).tolist() == [1, 0, 0, 1]


def colored(part: Part) -> np.ndarray:
    return part.surface.base.color[:, :3]


def test_vertex_colours(tmp_path: Path) -> None:
    """Without a material and in place of Kd; a texture takes their place. In sRGB, as whole or decimal numbers."""
    picture(tmp_path / "t.png")
    for numbers in ("1.0 0.0 0.5", "255 0 127.5"):
        obj = "\n".join(
            line + f" {numbers}" if line.startswith("v ") else line for line in SQUARE.splitlines()
        )
        for materials in (None, "Kd 0.1 0.1 0.1\n"):
            (part,) = load_parts(write(tmp_path, materials, obj), MeshLimits())
            assert part.surface.is_colored and part.surface.base.texture is None
            np.testing.assert_allclose(colored(part), np.tile([1, 0, 0.2140], (4, 1)), atol=1e-4)
        (part,) = load_parts(write(tmp_path, "map_Kd t.png\n", obj), MeshLimits())
        assert (colored(part) == 1).all() and part.surface.base.texture is not None


def test_faces_without_texture_coordinates_keep_their_plain_colour(tmp_path: Path) -> None:
    picture(tmp_path / "t.png")
    obj = SQUARE + "f 1 2 3\nf 1/1 2 3\n"
    textured, plain = load_parts(write(tmp_path, "Kd 0 0 1\nmap_Kd t.png\n", obj), MeshLimits())
    assert (len(textured.faces), len(plain.faces)) == (2, 2)
    assert textured.surface.base.texture is not None and plain.surface.base.texture is None
    assert (colored(plain) == [0, 0, 1]).all()


def test_a_large_mesh_keeps_its_parts(tmp_path: Path) -> None:
    """A thousand groups of two materials are two parts."""
    lines = ["mtllib m.mtl", "v 0 0 0", "v 1 0 0", "v 0 1 0"]
    for number in range(1000):
        lines += [f"g {number}", f"usemtl {'ab'[number % 2]}", "f 1 2 3"]
    (tmp_path / "m.mtl").write_text("newmtl a\nKd 1 0 0\nnewmtl b\nKd 0 1 0\n")
    first, second = load_parts(write(tmp_path, obj="\n".join(lines)), MeshLimits())
    assert (len(first.faces), len(second.faces)) == (500, 500)
    with pytest.raises(RejectedAsset) as raised:
        load_parts(tmp_path / "a.obj", MeshLimits(max_faces=999))
    assert raised.value.reason is Reason.TOO_MANY_FACES
