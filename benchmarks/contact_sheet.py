"""One picture of finished objects from four sides, as in the README.

    python benchmarks/contact_sheet.py docs/images/objects.png data/08_reporting/a-teddy-bear data/08_reporting/a-cactus

Each row is one folder of `generate`: the front, the object's left, its back and its right, at elevation 20 degrees over
white, from its `gaussians.ply`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from placid_kedro.cameras import ring
from placid_kedro.datasets import ImageDataset
from placid_kedro.splats import load_ply, render

SIDES, SIZE = 4, 192


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("target", type=Path)
    parser.add_argument("folders", type=Path, nargs="+")
    given = parser.parse_args()
    cameras = ring(SIDES, 20.0, 1.5, 49.13, SIZE)
    rows = []
    with torch.no_grad():
        for folder in given.folders:
            images = render(load_ply(folder / "gaussians.ply"), cameras, torch.ones(3)).rgb.clamp(0, 1)
            rows.append(torch.cat(list(images), dim=2))
    ImageDataset(filepath=str(given.target)).save(torch.cat(rows, dim=1))


if __name__ == "__main__":
    main()
