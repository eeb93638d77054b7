"""GLB files that are written look like the parts they are written from, to this reader and to trimesh."""

from pathlib import Path

import numpy as np
import pytest
import trimesh

from placid_kedro.cameras import orbit
from placid_kedro.files import file_hash
from placid_kedro.objects.glb import write_glb
from placid_kedro.rendering import MeshLimits, Part, load_mesh, load_parts, render_mesh
from placid_kedro.rendering.mesh import merge_parts
from placid_kedro.rendering.surfaces import BLENDED, CLAMP, MIRROR, OPAQUE, REPEAT, Paint, Surface, Texture

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 5, 4), np.uint8)


def part(place: float, **surface: object) -> Part:
    """A box with random vertex colours and texture coordinates."""
    box = trimesh.creation.box((1, 1, 1))
    rng = np.random.default_rng(1)
    color = rng.random((len(box.vertices), 4), np.float32)
    uv = (3 * rng.random((len(box.vertices), 2)) - 1).astype(np.float32)
    described = {"base": Paint(color, uv, None)} | surface
    return Part(
        np.add(box.vertices, [place, 0, 0]),
        np.asarray(box.faces, np.int64),
        Surface(**described),  # type: ignore[arg-type]
    )


def all_kinds() -> list[Part]:
    plain = np.tile(np.array([0.2, 0.6, 0.05, 0.7], np.float32), (8, 1))
    white = np.ones((8, 4), np.float32)
    uv = part(0).surface.base.uv
    repeated, clamped = Texture(PIXELS), Texture(PIXELS, (CLAMP, MIRROR))
    return [
        part(0, alpha_cutoff=OPAQUE),
        part(2, base=Paint(plain, uv, None), alpha_cutoff=BLENDED),
        part(4, base=Paint(part(0).surface.base.color, uv, repeated), alpha_cutoff=0.4),
        part(6, base=Paint(white, uv, clamped), emission=Paint(plain, uv[::-1].copy(), repeated)),
        part(8, base=Paint(plain, uv, None), emission=Paint(plain, uv, None), alpha_cutoff=OPAQUE),
        part(10, is_colored=False, base=Paint(white, uv, None)),
    ]


@pytest.mark.parametrize("number", range(5))
def test_every_kind_of_surface_comes_back(tmp_path: Path, number: int) -> None:
    before = all_kinds()[number]
    write_glb([before], tmp_path / "a.glb")
    (after,) = load_parts(tmp_path / "a.glb", MeshLimits())
    assert np.array_equal(after.vertices, before.vertices)
    assert np.array_equal(after.faces, before.faces)
    for name in ("base", "emission"):
        expected, found = getattr(before.surface, name), getattr(after.surface, name)
        if expected is None:
            assert found is None
            continue
        channels = 4 if name == "base" else 3  # an emission's alpha means nothing
        np.testing.assert_allclose(found.color[:, :channels], expected.color[:, :channels], atol=1e-6)
        if expected.texture is None:
            assert found.texture is None
        else:
            np.testing.assert_allclose(found.uv, expected.uv, atol=1e-6)
            assert np.array_equal(found.texture.pixels, PIXELS)
            assert found.texture.wrap == expected.texture.wrap
    np.testing.assert_equal(after.surface.alpha_cutoff, before.surface.alpha_cutoff)


def test_all_kinds_together_look_alike(tmp_path: Path) -> None:
    write_glb(all_kinds()[:5], tmp_path / "a.glb")
    mesh = load_mesh(tmp_path / "a.glb")
    assert mesh.image_count() == 1
    assert [texture.wrap for texture in mesh.textures] == [(REPEAT, REPEAT), (CLAMP, MIRROR)]
    cameras = orbit([20.0, 200.0], [30.0, -40.0], 1.6, 100.0, 48)
    first, second = (render_mesh(one, cameras) for one in (mesh, merge_parts(all_kinds()[:5], "a")))
    assert (np.abs(first.rgba.astype(int) - second.rgba) > 1).mean() < 1e-3


def test_what_has_no_colour_stays_without(tmp_path: Path) -> None:
    write_glb(all_kinds()[5:], tmp_path / "a.glb")
    assert not load_mesh(tmp_path / "a.glb").is_colored


def test_another_reader_knows_the_file(tmp_path: Path) -> None:
    turn = np.array([[0, 0, 1], [1, 0, 0], [0, 1, 0]], float)
    write_glb(all_kinds(), tmp_path / "a.glb", turn)
    scene = trimesh.load_scene(tmp_path / "a.glb")
    np.testing.assert_allclose(scene.extents, [1, 11, 1], atol=1e-6)
    write_glb(all_kinds(), tmp_path / "b.glb", turn)
    assert file_hash(tmp_path / "a.glb") == file_hash(tmp_path / "b.glb")
