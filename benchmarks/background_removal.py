"""How well an object is told from its background: IoU with the true silhouette, by background.

    python benchmarks/background_removal.py
    python benchmarks/background_removal.py --network u2net=./u2netp.onnx --network isnet=./isnet.onnx --sheet sheet.png

Objects are made and rendered with known alpha, and laid on synthetic backgrounds and on photographs that come with
scikit-image. Prints a table of mean IoU (and the worst), of how many masks pass the stage's check, and how many of the
masks under 0.8 it refuses. With `--sheet` also a picture: images, flood fill and network beneath each other.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch
from skimage import data
from torch import Tensor
from torch.nn import functional as F

from placid_kedro.cameras import ring
from placid_kedro.datasets import ImageDataset
from placid_kedro.embedded.made.files import write_made
from placid_kedro.errors import DataError
from placid_kedro.images import over_white
from placid_kedro.rendering import load_mesh, render_mesh
from placid_kedro.surface.matting import BackgroundRemover, load_remover
from placid_kedro.surface.reference_config import FloodFillBackground, MaskParameters, NetworkBackground
from placid_kedro.surface.reference_image import check_mask

SIZE = 256
RULES = MaskParameters(smallest=0.01, largest=0.85, border=0.35, pieces=6)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--objects", type=int, default=16)
    parser.add_argument("--network", action="append", default=[], metavar="TRAINED_AS=FILE")
    parser.add_argument("--sheet", type=Path)
    given = parser.parse_args()
    removers = {"flood fill": load_remover(FloodFillBackground(), Path())}
    for text in given.network:
        trained_as, model = text.split("=", 1)
        removers[Path(model).stem] = load_remover(
            NetworkBackground(model=model, trained_as=trained_as), Path()
        )
    objects, scenes = rendered_objects(given.objects), backgrounds()
    print("| background | remover | mean IoU | median | worst | accepted | of those under 0.8 refused |")
    print("|---|---|---|---|---|---|---|")
    for name, background in scenes.items():
        images = [over(rgba, background) for rgba in objects]
        for remover_name, remover in removers.items():
            scores = [score(remover, image, rgba[3]) for image, rgba in zip(images, objects, strict=True)]
            print(f"| {name} | {remover_name} | {row(scores)} |", flush=True)
    if given.sheet:
        shown = [over(objects[index % len(objects)], scene) for index, scene in enumerate(scenes.values())]
        save_sheet(given.sheet, [*shown, *photographs()], list(removers.values()))


def rendered_objects(count: int) -> list[Tensor]:
    """RGBA [4, S, S] of made objects, seen from the front and a little above."""
    with tempfile.TemporaryDirectory() as folder:
        write_made(count, Path(folder))
        meshes = [load_mesh(path) for path in sorted(Path(folder).glob("*.glb"))]
    camera = ring(8, 20.0, 1.7, 49.13, SIZE)[1]
    views = [torch.from_numpy(render_mesh(mesh, camera).rgba)[0] for mesh in meshes]
    return [view.permute(2, 0, 1).float() / 255 for view in views]


def backgrounds() -> dict[str, Tensor]:
    """[3, S, S] each."""
    y, x = torch.meshgrid(torch.linspace(-1, 1, SIZE), torch.linspace(-1, 1, SIZE), indexing="ij")
    vignette = (0.95 - 0.35 * (x.square() + y.square())).clamp(0, 1).expand(3, -1, -1)
    wall, floor = torch.tensor([0.82, 0.84, 0.88]), torch.tensor([0.62, 0.58, 0.52])
    horizon = torch.where(y < 0.15, wall[:, None, None], (floor[:, None, None] + 0.1 * y).clamp(0, 1))
    share = (y + 1) / 2
    light, dark = torch.tensor([0.95, 0.97, 1.0]), torch.tensor([0.35, 0.45, 0.65])
    gradient = light[:, None, None] * (1 - share) + dark[:, None, None] * share
    plain = {
        "white": torch.ones(3, SIZE, SIZE),
        "vignette": vignette,
        "horizon": horizon,
        "gradient": gradient,
    }
    photos = {name: getattr(data, name)() for name in ("grass", "gravel", "brick")}
    return plain | {f"photo of {name}": picture(pixels) for name, pixels in photos.items()}


def photographs() -> list[Tensor]:
    """[3, S, S] photographs of one thing, of several and of none."""
    names = ("chelsea", "astronaut", "coffee", "rocket", "coins", "grass")
    return [picture(getattr(data, name)()) for name in names]


def picture(pixels: np.ndarray) -> Tensor:
    """[3, S, S] of uint8 [H, W] or [H, W, 3]."""
    colours = np.repeat(pixels[..., None], 3, axis=-1) if pixels.ndim == 2 else pixels
    image = torch.from_numpy(colours.copy()).permute(2, 0, 1).float() / 255
    return F.interpolate(image[None], (SIZE, SIZE), mode="bilinear", antialias=True)[0].clamp(0, 1)


def over(rgba: Tensor, background: Tensor) -> Tensor:
    return rgba[:3] * rgba[3:] + background * (1 - rgba[3:])


def score(remover: BackgroundRemover, image: Tensor, alpha: Tensor) -> tuple[float, bool]:
    """IoU with the true silhouette, and whether the mask passes."""
    try:
        found = remover(image)[3]
        accepted = passes(found)
    except DataError:
        return 0.0, False
    inside, true = found > 0.5, alpha > 0.5
    return float((inside & true).sum() / (inside | true).sum()), accepted


def passes(alpha: Tensor) -> bool:
    try:
        check_mask(alpha, RULES)
    except DataError:
        return False
    return True


def row(scores: list[tuple[float, bool]]) -> str:
    values, accepted = np.array([value for value, _ in scores]), np.array([passed for _, passed in scores])
    bad = values < 0.8
    refused = f"{int((bad & ~accepted).sum())} of {int(bad.sum())}"
    numbers = f"{values.mean():.3f} | {np.median(values):.3f} | {values.min():.3f}"
    return f"{numbers} | {int(accepted.sum())} of {len(values)} | {refused}"


def save_sheet(path: Path, images: list[Tensor], removers: list[BackgroundRemover]) -> None:
    """Images in the first row, then what each remover leaves over white; refused masks with a red frame."""
    rows = [torch.cat(images, dim=2)]
    for remover in removers:
        cells = []
        for image in images:
            try:
                rgba = remover(image)
                cell, accepted = over_white(rgba), passes(rgba[3])
            except DataError:
                cell, accepted = torch.ones_like(image), False
            if not accepted:
                frame = torch.zeros(SIZE, SIZE, dtype=torch.bool)
                frame[:6] = frame[-6:] = frame[:, :6] = frame[:, -6:] = True
                cell = torch.where(frame, torch.tensor([0.9, 0.1, 0.1])[:, None, None], cell)
            cells.append(cell)
        rows.append(torch.cat(cells, dim=2))
    ImageDataset(filepath=str(path)).save(torch.cat(rows, dim=1))


if __name__ == "__main__":
    main()
