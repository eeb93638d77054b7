"""What is done to one object in a process of its own (see `placid_kedro.objects.isolation`).

Arguments and results are JSON: they travel through pipes and between machines.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from placid_kedro.files import file_hash
from placid_kedro.objects.config import RenderParameters
from placid_kedro.objects.facts import measure
from placid_kedro.objects.glb import write_glb
from placid_kedro.objects.renderers import make_renderer
from placid_kedro.objects.sweethome3d import convert_model
from placid_kedro.objects.views import object_cameras, write_views
from placid_kedro.rejections import Reason, RejectedAsset
from placid_kedro.rendering import MeshLimits, ProportionRange, deformed, load_parts
from placid_kedro.rendering.blender import is_read_alike
from placid_kedro.rendering.mesh import merge_parts

Task = Callable[[Mapping[str, Any]], dict[str, Any]]


def convert(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Convert one model of a Sweet Home 3D library to GLB.

    Args:
        arguments: `library`, `member`, `rotation` and `target`, see `sweethome3d.convert_model`.

    Returns:
        `sha256` and `bytes` of the file.
    """
    target = Path(arguments["target"])
    rotation = arguments["rotation"]
    convert_model(
        Path(arguments["library"]), arguments["member"], tuple(rotation) if rotation else None, target
    )
    return {"sha256": file_hash(target), "bytes": target.stat().st_size}


def render(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Render one object.

    Args:
        arguments: `uid`, `path` and `sha256` of the object, the stage's `parameters`, `seed`, and `target`,
            the file for the views.

    Returns:
        `sha256` and `bytes` of the views, and `facts`.
    """
    torch.set_num_threads(1)
    parameters = RenderParameters.model_validate(arguments["parameters"])
    path, target = Path(arguments["path"]), Path(arguments["target"])
    limits = MeshLimits(
        max_bytes=parameters.limits.file_mb * 2**20,
        max_faces=parameters.limits.faces,
        max_texture_pixels=parameters.limits.texture_megapixels * 2**20,
    )
    parts = load_parts(path, limits)
    mesh = merge_parts(parts, path.name)
    if file_hash(path) != arguments["sha256"]:
        raise RejectedAsset(Reason.CHANGED_FILE, f"{path.name} is not the file that was ingested")
    uid, seed = arguments["uid"], arguments["seed"]
    if parameters.deformation is not None:
        mesh = deformed(mesh, ProportionRange(**parameters.deformation.model_dump()).draw(f"{seed}:{uid}"))
    cameras = object_cameras(parameters.protocol, uid, seed)
    with tempfile.TemporaryDirectory() as scratch:
        shown = path
        if parameters.renderer == "blender" and not is_read_alike(path, limits):
            shown = Path(scratch) / "object.glb"
            write_glb(parts, shown)
        images = make_renderer(parameters).render(shown, mesh, cameras)
    write_views(target, cameras, images)
    return {
        "sha256": file_hash(target),
        "bytes": target.stat().st_size,
        "facts": asdict(measure(mesh, cameras, images)),
    }


TASKS: dict[str, Task] = {"convert": convert, "render": render}
