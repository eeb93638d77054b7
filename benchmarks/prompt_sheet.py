"""Real and finished objects of many prompts in one picture, from what `what_if_perfect.py --pictures FOLDER` left.

    python benchmarks/what_if_perfect.py --cases as_is --prompts 20 --pictures build/pictures
    python benchmarks/prompt_sheet.py build/pictures/as_is docs/images/prompts.png

A cell is one prompt: above the real object, below what `generate` made, both from the front and from their left.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from PIL import Image

COLUMNS, SIDES, ROWS = 5, 2, (0, 2)
SIDE = 96


def cell(path: Path) -> Image.Image:
    """The real object over the finished one."""
    picture = Image.open(path).convert("RGB")
    side = picture.height // 3
    drawn = Image.new("RGB", (SIDES * SIDE, len(ROWS) * SIDE))
    for place, row in enumerate(ROWS):
        part = picture.crop((0, row * side, SIDES * side, (row + 1) * side))
        drawn.paste(part.resize((SIDES * SIDE, SIDE), Image.Resampling.LANCZOS), (0, place * SIDE))
    return drawn


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("target", type=Path)
    given = parser.parse_args()
    cells = [cell(path) for path in sorted(given.folder.glob("*.png"))]
    width, height = cells[0].size
    sheet = Image.new("RGB", (COLUMNS * width, -(-len(cells) // COLUMNS) * height), "white")
    for number, one in enumerate(cells):
        sheet.paste(one, (number % COLUMNS * width, number // COLUMNS * height))
    # The objects have few colours; a palette makes the file a third as large.
    sheet.quantize(256).save(given.target, optimize=True)


if __name__ == "__main__":
    main()
