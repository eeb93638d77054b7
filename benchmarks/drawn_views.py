"""How true are the reference and the views that `generate` draws? Beside renders of the real object, before anything is
made of them.

    python benchmarks/drawn_views.py [--prompts 20] [--params models.zero123=FOLDER,...]

Each prompt is compared with the furniture object that the embedded models know by that name (Debian's package
sweethome3d-furniture), over white and from the views' own cameras. Prints a row a prompt: PSNR and colour distance
(CIE76 in CIE Lab, inside the real silhouette) of the reference, on average of the other views of its ring and of the
lower ring, and the views' detail (gradient energy of the real object's); then means, of detail the median.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor
from what_if_perfect import Generation, common_options, parameters_of, rendered, targets

from placid_kedro.evaluation.geometry import color_scores, detail_ratio
from placid_kedro.evaluation.view_metrics import psnr
from placid_kedro.images import over_white
from placid_kedro.threads import set_cpu_threads

COLUMNS = (
    "reference: PSNR",
    "colour distance",
    "views: PSNR",
    "colour distance",
    "detail",
    "lower views: PSNR",
    "colour distance",
    "detail",
)
_DETAILS = (4, 7)


def scores(images: Tensor, rgba: Tensor) -> tuple[float, float, float]:
    """PSNR, colour distance and detail of views [V, 3, H, W] beside the real object's [V, 4, H, W]."""
    truth, alphas = over_white(rgba), rgba[:, 3]
    color_distance, _ = color_scores(images, alphas, truth, alphas)
    return float(psnr(images, truth).mean()), color_distance, detail_ratio(images, alphas, truth, alphas)


def row(label: str, values: list[float]) -> str:
    return f"| {label} | " + " | ".join(f"{value:.2f}" for value in values) + " |"


def main() -> None:
    given = common_options(__doc__, prompts=20).parse_args()
    if given.threads:
        set_cpu_threads(given.threads)
    parameters = parameters_of(given.params)
    print("| prompt | " + " | ".join(COLUMNS) + " |\n|---|" + "---|" * len(COLUMNS))
    table: list[list[float]] = []
    for target in targets(given):
        generation = Generation(parameters, target)
        views = generation.views
        rgba, _ = rendered(target.mesh, views.cameras)
        reference = scores(over_white(generation.reference[None]), rgba[:1])
        first = parameters.multiview.views
        beside = scores(views.images[1:first], rgba[1:first])
        lower = scores(views.images[first:], rgba[first:]) if len(views) > first else 3 * (np.nan,)
        table.append([*reference[:2], *beside, *lower])
        print(row(target.prompt, table[-1]), flush=True)
    columns = np.array(table)
    means = columns.mean(axis=0)
    means[list(_DETAILS)] = np.nanmedian(columns[:, _DETAILS], axis=0)
    print(row(f"{len(table)} prompts", means.tolist()))


if __name__ == "__main__":
    main()
