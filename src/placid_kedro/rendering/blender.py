"""Blender's Cycles as a program of its own.

Blender and what imports it are under the GPL: the script that runs inside Blender (`tools/blender_render.py`) is
no part of this package, and the two talk through files and pipes only.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from placid_kedro.cameras import Cameras, opencv_to_blender
from placid_kedro.errors import ResourceError
from placid_kedro.rendering.embree import Render
from placid_kedro.rendering.gltf import open_gltf
from placid_kedro.rendering.limits import MeshLimits
from placid_kedro.rendering.mesh import Mesh
from placid_kedro.rendering.side_files import SideFiles

SCRIPT = Path("tools/blender_render.py")
_PREFIX = "placid "
_VERSION_SECONDS = 120


def is_executable(command: str) -> bool:
    """Whether a command is Blender itself and not a Python interpreter that has `bpy`."""
    return Path(command).name.lower().startswith("blender")


@lru_cache(maxsize=4)
def blender_version(command: str) -> str:
    """Blender's version, for instance `4.5.15 LTS`.

    Args:
        command: a Python interpreter that has `bpy`, or a `blender` executable.

    Raises:
        ResourceError: it cannot be started, or does not tell.
    """
    arguments = (
        ["--background", "--version"]
        if is_executable(command)
        else ["-c", f"import bpy; print({'Blender '!r} + bpy.app.version_string)"]
    )
    try:
        told = subprocess.run(
            [command, *arguments], capture_output=True, text=True, timeout=_VERSION_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ResourceError(
            f"{command} does not tell Blender's version ({error}); make its environment with `make blender`, or "
            "give a command with --params syncdreamer_render.blender.command=COMMAND"
        ) from error
    lines = [line for line in told.stdout.splitlines() if line.startswith("Blender ")]
    if not lines:
        last = (told.stderr.strip().splitlines() or ["it says nothing"])[-1]
        raise ResourceError(
            f"{command} does not tell Blender's version ({last}); check that it is a Python with bpy or a blender "
            "executable."
        )
    return lines[0].removeprefix("Blender ").strip()


def find_script() -> Path:
    """The script that runs inside Blender, in the working folder or beside the sources.

    Raises:
        ResourceError: it is in neither place.
    """
    for root in (Path.cwd(), Path(__file__).parents[3]):
        if (root / SCRIPT).is_file():
            return (root / SCRIPT).absolute()
    raise ResourceError(f"{SCRIPT} is not in {Path.cwd()}; run from the project's folder.")


def is_read_alike(path: Path, limits: MeshLimits) -> bool:
    """Whether Blender's importers draw a file that `load_mesh` reads as it says.

    Of OBJ files they miss textures whose names differ in case, grey `map_d` and `Tr`, and take `Kd` for linear light;
    of glTF files they no longer know KHR_materials_pbrSpecularGlossiness.
    """
    if path.suffix.lower() == ".obj":
        return False
    tree = open_gltf(path, SideFiles(path, limits.max_bytes), 3 * limits.max_faces).tree
    return "KHR_materials_pbrSpecularGlossiness" not in tree.get("extensionsUsed", [])


@dataclass(frozen=True)
class BlenderSettings:
    """How Cycles renders.

    Attributes:
        command: a Python interpreter that has `bpy`, or a `blender` executable.
        samples: per pixel.
        denoise: with Open Image Denoise.
        device: `CPU` or a GPU interface that Cycles knows.
    """

    command: str
    samples: int
    denoise: bool
    device: str


class BlenderRenderer:
    """One Blender process that renders object after object; it ends with this object.

    Args:
        settings: how.
    """

    def __init__(self, settings: BlenderSettings) -> None:
        self._settings = settings
        self._process: subprocess.Popen[str] | None = None

    def render(self, path: Path, mesh: Mesh, cameras: Cameras) -> Render:
        """Import the file with all its materials and render it, scaled and turned as `load_mesh` does.

        Raises:
            ResourceError: Blender is not there or fails.
        """
        with tempfile.TemporaryDirectory() as scratch:
            job = {
                "path": str(path.absolute()),
                "output": scratch,
                "width": cameras.width,
                "height": cameras.height,
                "camera_to_world": opencv_to_blender(cameras.world_to_camera).tolist(),
                "focal": cameras.K[:, 0, 0].tolist(),
                "samples": self._settings.samples,
                "denoise": self._settings.denoise,
                "device": self._settings.device,
            }
            answer = self._ask(job)
            if "error" in answer:
                raise ResourceError(f"Blender could not render {path.name}: {answer['error']}")
            return _collect(Path(scratch), len(cameras))

    def close(self) -> None:
        """End Blender."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for stream in (self._process.stdin, self._process.stdout):
                if stream is not None:
                    stream.close()
            self._process = None

    def _ask(self, job: dict[str, Any]) -> dict[str, Any]:
        process = self._started()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(job) + "\n")
        process.stdin.flush()
        # Blender prints on the same stream; answers are marked.
        for line in process.stdout:
            if line.startswith(_PREFIX):
                answer: dict[str, Any] = json.loads(line.removeprefix(_PREFIX))
                return answer
        code = process.wait()
        self.close()
        raise ResourceError(
            f"{self._settings.command} ended with status {code} before it rendered anything; check that it is a "
            "Python with bpy or a blender executable."
        )

    def _started(self) -> subprocess.Popen[str]:
        if self._process is None or self._process.poll() is not None:
            command = self._settings.command
            script = str(find_script())
            arguments = ["--background", "--python", script] if is_executable(command) else [script]
            try:
                self._process = subprocess.Popen(
                    [command, *arguments],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    text=True,
                )
            except OSError as error:
                raise ResourceError(
                    f"Blender cannot be started as {command} ({error.strerror}); make its environment with "
                    "`make blender`, or give a command with --params syncdreamer_render.blender.command=COMMAND"
                ) from error
        return self._process


def _collect(folder: Path, views: int) -> Render:
    """What the script left: `rgba_NNN.png`, and planar depth `depth_NNN.npy` with large numbers for "nothing"."""
    rgba, depth = [], []
    for view in range(views):
        with Image.open(folder / f"rgba_{view:03d}.png") as image:
            rgba.append(np.asarray(image.convert("RGBA")))
        planar = np.load(folder / f"depth_{view:03d}.npy", allow_pickle=False).astype(np.float32)
        depth.append(np.where(planar < 1e4, planar, np.float32(0)))
    return Render(np.stack(rgba), np.stack(depth))
