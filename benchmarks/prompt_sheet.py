"""Real and finished objects of many prompts in one picture, from what `what_if_perfect.py --pictures FOLDER` left.

    python benchmarks/what_if_perfect.py --cases as_is --prompts 20 --pictures build/pictures
    python benchmarks/prompt_sheet.py build/pictures/as_is docs/images/prompts.png [--before FOLDER]

A cell is one prompt: above the real object, below what `generate` made, both from the front and from their left. With
the pictures of an earlier commit what it made stands between them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from PIL import Image

COLUMNS, SIDES = 5, 2
REAL, FINISHED = 0, 2  # rows of a picture
SIDE = 96


def row(path: Path, number: int) -> Image.Image:
    """The first sides of one row of a prompt's picture."""
    picture = Image.open(path).convert("RGB")
    side = picture.height // 3
    part = picture.crop((0, number * side, SIDES * side, (number + 1) * side))
    return part.resize((SIDES * SIDE, SIDE), Image.Resampling.LANCZOS)


def cell(path: Path, before: Path | None) -> Image.Image:
    """The real object over what was made of it."""
    rows = [row(path, REAL), row(path, FINISHED)]
    if before is not None:
        rows.insert(1, row(before / path.name, FINISHED))
    drawn = Image.new("RGB", (SIDES * SIDE, len(rows) * SIDE))
    for place, part in enumerate(rows):
        drawn.paste(part, (0, place * SIDE))
    return drawn


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--before", type=Path, help="the same folder of an earlier commit")
    given = parser.parse_args()
    cells = [cell(path, given.before) for path in sorted(given.folder.glob("*.png"))]
    width, height = cells[0].size
    sheet = Image.new("RGB", (COLUMNS * width, -(-len(cells) // COLUMNS) * height), "white")
    for number, one in enumerate(cells):
        sheet.paste(one, (number % COLUMNS * width, number // COLUMNS * height))
    # The objects have few colours; a palette makes the file a third as large.
    sheet.quantize(256).save(given.target, optimize=True)


if __name__ == "__main__":
    main()
