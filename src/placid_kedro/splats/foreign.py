"""Splats of other programs, brought into the cube in which this project works."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from placid_kedro.errors import DataError
from placid_kedro.finite import check_finite
from placid_kedro.splats.config import SplatsImport
from placid_kedro.splats.gaussians import Gaussians
from placid_kedro.splats.ply import load_ply

_SHARES = (0.001, 0.999)


def import_splats(parameters: SplatsImport) -> Gaussians:
    """Read a 3DGS ply file of another program, and place what it shows in the middle of the cube.

    Raises:
        DataError: there is no such file, it holds no Gaussians, too many, or something else.
        NumericError: it holds values that are not finite.
    """
    path = Path(parameters.file).expanduser()
    if not parameters.file:
        raise DataError("There is no file to import; give it with --params import_splats.file=scan.ply.")
    gaussians = load_ply(path, axes=parameters.axes, most=parameters.maximum)
    if not len(gaussians):
        raise DataError(f"{path} holds not one Gaussian; give a file with an object in it.")
    check_finite(vars(gaussians), str(path), "save it anew from the program that made it")
    return gaussians if parameters.longest_edge is None else into_cube(gaussians, parameters.longest_edge)


def into_cube(gaussians: Gaussians, longest_edge: float) -> Gaussians:
    """The same object about the origin, its longest side so many edges of the cube long.

    One Gaussian in a thousand at either end of an axis does not count: scans have floaters.

    Raises:
        DataError: all centres are one point.
    """
    ordered = gaussians.means.sort(dim=0).values
    low, high = (ordered[round(share * (len(ordered) - 1))] for share in _SHARES)
    longest = float((high - low).max())
    if not longest > 0:
        raise DataError("The Gaussians' centres are one point; there is no size to go by.")
    centred = replace(gaussians, means=gaussians.means - torch.stack([low, high]).mean(dim=0))
    return centred.scaled(longest_edge / longest)
