"""Files on which software of this kind goes wrong (`../shared/data/field-cases`), with what is right for each.

The right values come from the formats' specifications and from plain twins of the files.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from placid_kedro.cameras import orbit
from placid_kedro.objects.config import FolderSource
from placid_kedro.objects.facts import measure
from placid_kedro.objects.folder import list_folder
from placid_kedro.objects.table import to_table
from placid_kedro.rejections import RejectedAsset
from placid_kedro.rendering import load_mesh, render_mesh

CASES = Path(__file__).parents[2].parent / "shared/data/field-cases"
pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason=f"{CASES} is not there")

FOUR_COLORS, GREEN = (115, 126, 53), (26, 171, 26)
# Of an OBJ cube with six squares; the glTF cubes' sides have quarters of other places.
FOUR_COLORS_OBJ = (90, 122, 49)


@dataclass(frozen=True)
class Right:
    """What is right for a file; None is not looked at.

    Attributes:
        extent: along the house's axes.
        color: mean RGB of the three views.
        deviation: root mean square distance of the surface's colour from its mean.
        faces: triangles.
        images: textures.
        alpha: median.
    """

    extent: tuple[float, float, float] | None = None
    color: tuple[int, int, int] | None = None
    deviation: float | None = None
    faces: int | None = None
    images: int | None = None
    alpha: int = 255


GRADIENT = Right(color=(171, 178, 120), deviation=0.6186)
CUBE = Right(extent=(1, 1, 1), color=FOUR_COLORS, deviation=0.614, images=1)
CUBE_OBJ = Right(extent=(1, 1, 1), color=FOUR_COLORS_OBJ, images=1)

RIGHT = {
    "alpha_mask/cutoff_default.glb": Right(color=(34, 137, 34)),
    "alpha_mask/factor_0.8_is_opaque.glb": Right(color=(76, 174, 76)),
    "alpha_mask/factor_0.3_is_invisible.glb": Right(color=(208, 76, 76)),
    "emissive_only/factor.glb": Right(color=(255, 124, 0)),
    "emissive_only/texture.glb": Right(deviation=0.614),
    "morph_weights/tall.glb": Right(extent=(0.333, 0.333, 1.0)),
    "normalized_uv/u1.glb": CUBE,
    "normalized_uv/u2.glb": CUBE,
    "obj_alpha/obj_map_d/model.obj": Right(images=1),
    "obj_alpha/obj_tr_transparency/model.obj": Right(alpha=130),  # two layers of 0.3: 1 - 0.7 * 0.7
    "obj_concave_ngon/u_shape.obj": Right(extent=(0.2, 1, 1), faces=28),
    "obj_texture_reference/obj_texture_absolute_windows/model.obj": CUBE_OBJ,
    "obj_texture_reference/obj_texture_backslash/model.obj": CUBE_OBJ,
    "obj_texture_reference/obj_texture_case_differs/model.obj": CUBE_OBJ,
    "obj_texture_reference/obj_texture_options/model.obj": CUBE_OBJ,
    "obj_texture_reference/obj_texture_options_blender/model.obj": CUBE_OBJ,
    "percent_uri/percent_uri_bin/model.gltf": CUBE,
    "percent_uri/percent_uri_texture/model.gltf": CUBE,
    "percent_uri/percent_uri_unicode/model.gltf": CUBE,
    "quantized_mesh/box_and_marker.glb": Right(extent=(0.182, 0.364, 1.0), color=(130, 87, 92)),
    "required_extension/draco_required/box.glb": Right(extent=(1, 1, 1), faces=768),
    "required_extension/draco_required/box_and_plain.glb": Right(extent=(0.667, 0.667, 1.0), faces=780),
    "required_extension/gpu_instancing/four_boxes.glb": Right(extent=(0.118, 1.0, 0.118), faces=48),
    "sampler_wrap/clamp.glb": Right(color=(150, 165, 40)),
    "sampler_wrap/mirror.glb": Right(color=(106, 104, 68)),
    "sampler_wrap/repeat.glb": Right(color=(112, 118, 59)),
    "second_uv_set/all_green.glb": Right(color=GREEN, deviation=0.0),
    "shared_texture_many_parts/80_boxes.glb": Right(faces=960, images=1),
    "skinned_mesh/bent_pillar_on_base.glb": Right(extent=(0.333, 0.722, 1.0), deviation=0.43),
    "sparse_accessor/tall_pyramid.glb": Right(extent=(0.4, 0.4, 1.0)),
    "sparse_accessor/all_sparse_cube.glb": Right(extent=(1, 1, 1)),
    "spec_gloss/factor_and_fallback.glb": Right(color=(76, 186, 76), deviation=0.0),
    "spec_gloss/texture_and_fallback.glb": CUBE,
    "texture_gray16/ramp.glb": Right(color=(132, 132, 132)),
    "texture_transform/all_green.glb": Right(color=GREEN, deviation=0.0),
    "triangle_fan/cone_on_box.glb": Right(extent=(0.952, 0.952, 1.0), faces=44),
    "vertex_color_material/no_material.glb": GRADIENT,
    "vertex_color_material/white_texture.glb": GRADIENT,
    "vertex_color_material/with_material.glb": GRADIENT,
    "vertex_color_more/vertex_color_alpha_opaque/opaque.glb": GRADIENT,
    "vertex_color_more/vertex_color_linear/linear_0.214.glb": Right(color=(109, 109, 109)),
    "vertex_color_more/vertex_color_u16/u16.glb": GRADIENT,
}
REJECTED = {
    "obj_texture_reference/obj_texture_missing/model.obj": "gone.png",
    "obj_texture_reference/obj_texture_missing_black_kd/model.obj": "gone.png",
    "required_extension/ktx2_required/no_fallback.glb": "KHR_texture_basisu",
    "required_extension/meshopt_required/box.glb": "EXT_meshopt_compression",
}


@pytest.mark.parametrize("name", RIGHT)
def test_a_file_looks_right(name: str) -> None:
    right, mesh = RIGHT[name], load_mesh(CASES / name)
    cameras = orbit(torch.tensor([20.0, 110.0, 200.0]), 25.0, 1.5, 280 * 96 / 256, 96)
    render = render_mesh(mesh, cameras)
    facts = measure(mesh, cameras, render)
    covered = render.rgba[..., 3] > 0
    assert facts.is_colored
    assert int(np.median(render.rgba[covered][:, 3])) == right.alpha
    if right.extent is not None:
        used = mesh.vertices[np.unique(mesh.faces)]
        np.testing.assert_allclose(np.ptp(used, axis=0), right.extent, atol=1e-3)
    if right.color is not None:
        np.testing.assert_allclose(render.rgba[covered][:, :3].mean(axis=0), right.color, atol=3.5)
    if right.deviation is not None:
        assert facts.color_deviation == pytest.approx(right.deviation, abs=0.005)
    if right.faces is not None:
        assert facts.faces == right.faces
    if right.images is not None:
        assert facts.textures == right.images


@pytest.mark.parametrize("name", REJECTED)
def test_a_file_is_rejected_by_the_name_of_what_is_not_read(name: str) -> None:
    with pytest.raises(RejectedAsset, match=REJECTED[name]):
        load_mesh(CASES / name)


def test_a_missing_material_file_leaves_no_colour() -> None:
    assert not load_mesh(CASES / "obj_texture_reference/obj_missing_mtl/model.obj").is_colored


def test_all_files_are_looked_at() -> None:
    """No kind of the folder is left out, apart from those that are no meshes."""
    formats = (".glb", ".gltf", ".obj")
    meshes = {p.relative_to(CASES).as_posix() for p in CASES.rglob("*") if p.suffix.lower() in formats}
    named = RIGHT.keys() | REJECTED.keys() | {"obj_texture_reference/obj_missing_mtl/model.obj"}
    assert {name for name in meshes if not name.startswith("folder_names/")} == named


def test_the_gap_of_the_concave_face_is_seen() -> None:
    mesh = load_mesh(CASES / "obj_concave_ngon/u_shape.obj")
    alpha = render_mesh(mesh, orbit(0.0, 0.0, 3.0, 60.0, 65)).rgba[0, ..., 3]
    # The gap is 0.4 wide and 0.7 deep of a square with side 1.
    assert alpha[26, 32] == 0 and alpha[40, 32] == 255 and alpha[26, 24] == 255 and alpha[26, 40] == 255


def test_every_name_is_a_uid() -> None:
    source = FolderSource(folder=str(CASES / "folder_names"), captions="", licence="", count=0)
    table = to_table(list_folder(source))
    assert len(table) == 13
    assert set(table["reason"]) == {""}
