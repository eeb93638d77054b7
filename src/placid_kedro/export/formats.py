"""Splat files of other programs. Spherical harmonics that are zero throughout are not written."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from gsplat import export_splats
from gsply import GSData, write_spz

from placid_kedro.files import new_file
from placid_kedro.splats import Gaussians
from placid_kedro.splats.axes import WORLD_TO_VIEWER, AxisRotation, turn

WORLD_TO_SPZ = AxisRotation(order=(1, 2, 0), signs=(1, 1, 1))
"""(x, y, z) -> (y, z, x): x to the object's left, y up, z towards who looks at the front."""

_SPZ_VERSION = 3  # packed by gzip; browsers' libraries do not read the fourth yet


def write_splats(gaussians: Gaussians, path: Path, kind: Literal["splat", "ply_compressed"]) -> None:
    """Write a `.splat` file (32 bytes a Gaussian) or SuperSplat's compressed ply; x right, y down, z forward.

    Args:
        gaussians: in the world.
        path: of the file.
        kind: which of the two.
    """
    turned = turn(gaussians.detach().to("cpu"), WORLD_TO_VIEWER)
    content = export_splats(
        turned.means,
        turned.log_scales,
        turned.quats,
        turned.logit_opacities,
        turned.sh0,
        turned.shN,
        format=kind,
    )
    with new_file(path) as temporary:
        temporary.write_bytes(content)


def write_compact(gaussians: Gaussians, path: Path) -> None:
    """Write an SPZ file (Niantic), version 3; x right, y up, z backwards, as the format wants it.

    Positions are rounded to 1/4096, colours, opacities and scales to bytes.
    """
    turned = turn(gaussians.detach().to("cpu"), WORLD_TO_SPZ)
    quats = turned.quats / turned.quats.norm(dim=1, keepdim=True)
    data = GSData.from_arrays(
        turned.means.numpy(),
        turned.log_scales.numpy(),
        quats.numpy(),
        turned.logit_opacities.numpy(),
        turned.sh0[:, 0].numpy(),
        turned.shN.numpy(),
    )
    with new_file(path) as temporary:
        write_spz(temporary, data, version=_SPZ_VERSION)
