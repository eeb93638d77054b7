"""Which stage of `generate` loses most? The true input takes the place of each stage's output in turn.

    python benchmarks/what_if_perfect.py [--prompts 12] [--cases as_is,true_views] [--rows FILE] [--params A=B]

Each prompt is compared with the furniture object that the embedded models know by that name (Debian's package
sweethome3d-furniture). A case changes one thing:

- as_is: nothing;
- true_reference: the reference image is the real object from the front;
- true_views: all eight views are the real object's, the density is still the plane's;
- coded_views: all eight views are the real object's, encoded and decoded by the novel-view model's autoencoder: what
  models without any error of their own would draw;
- true_density: the density is carved from the real object's depth, seen from 32 sides, the views are the model's;
- true_views_and_density: both, so that `init` has nothing wrong to work with;
- true_lora: only `lora` sees the real object's views;
- fitted_start: distillation starts from Gaussians that were fitted to 32 true views.

Prints means over prompts before and after distillation: silhouette IoU over 12 views, Chamfer distance, colour distance
(CIE Lab), detail (gradient energy, the median) of the real object's, second fronts, and the share of prompts that the
scorer ranks first (it guides nothing). With --rows FILE each finished prompt is kept, a later call goes on after it;
with --pictures FOLDER each case leaves four sides of the real object, before and after.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from generate_prompts import PROMPTS
from omegaconf import OmegaConf
from torch import Tensor

from placid_kedro.app.config_loader import RunConfigLoader
from placid_kedro.cameras import Cameras, PosedViews, orbit, ring
from placid_kedro.config import Parameters
from placid_kedro.config.check import check_parameters
from placid_kedro.datasets import ImageDataset
from placid_kedro.diffusion.autoencoding import decode, encode
from placid_kedro.diffusion.loading import load_component
from placid_kedro.embedded.networks.scorer import known_names, load_scorer
from placid_kedro.embedded.training.caption_table import CaptionTable
from placid_kedro.embedded.training.split import CuratedObject, read_split
from placid_kedro.errors import DataError
from placid_kedro.evaluation import rank_of_prompt
from placid_kedro.evaluation.geometry import (
    DISTANCE,
    ELEVATION_DEG,
    FIELD_OF_VIEW_DEG,
    RealObject,
    geometry_scores,
    real_object,
)
from placid_kedro.images import over_white
from placid_kedro.objects.config import SweetHome3dSource
from placid_kedro.objects.ingest import convert_furniture
from placid_kedro.objects.sweethome3d import list_furniture
from placid_kedro.pipelines.bsd_3dgs.nodes import distill_into_gaussians
from placid_kedro.pipelines.init.nodes import place_gaussians
from placid_kedro.pipelines.loading import folder_of
from placid_kedro.pipelines.lora.nodes import personalise
from placid_kedro.pipelines.multiview.nodes import sample_object_views
from placid_kedro.pipelines.prompt.nodes import process_prompt
from placid_kedro.pipelines.reference.nodes import sample_reference
from placid_kedro.prompts import Prompts
from placid_kedro.rendering import Mesh, MeshLimits, load_mesh, render_mesh
from placid_kedro.splats import Gaussians, TargetViews, render
from placid_kedro.surface.carving import unseen_through
from placid_kedro.surface.config import FitParameters
from placid_kedro.surface.extraction import cube_points
from placid_kedro.surface.fitting import fit_to_views
from placid_kedro.threads import set_cpu_threads

CONF = Path(__file__).absolute().parents[1] / "conf"
CASES = (
    "as_is",
    "true_reference",
    "true_views",
    "coded_views",
    "true_density",
    "true_views_and_density",
    "true_lora",
    "fitted_start",
)
# Longer than before distillation: 32 views instead of eight.
FIT = FitParameters(steps=300, views_per_step=4)
_FREE = 0.02  # a point this far in front of every surface is empty


@dataclass(frozen=True, eq=False)
class Target:
    """A prompt and the real object that it means."""

    prompt: str
    mesh: Mesh


def common_options(description: str | None, prompts: int) -> argparse.ArgumentParser:
    """What every comparison with known objects is told; by default of so many prompts."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--furniture", default="/usr/share/sweethome3d/furniture")
    parser.add_argument(
        "--folder", type=Path, default=Path("data/05_model_input/known"), help="of the meshes"
    )
    parser.add_argument(
        "--prompts", type=int, default=prompts, help="the twenty of the README first, then others by seed"
    )
    parser.add_argument("--params", default="", help="changed parameters, NAME=VALUE,...")
    parser.add_argument("--threads", type=int, default=0, help="0: all cores")
    return parser


def options() -> argparse.Namespace:
    parser = common_options(__doc__, prompts=12)
    parser.add_argument("--cases", default=",".join(CASES))
    parser.add_argument("--rows", type=Path, help="JSON lines, one a finished prompt and case")
    parser.add_argument("--pictures", type=Path, help="folder")
    return parser.parse_args()


def prompts_of(count: int, vocabulary: tuple[CuratedObject, ...], seed: int = 0) -> list[tuple[str, str]]:
    """Prompts and the uid of what each means: the README's, then captions of names that only one object has."""
    table = CaptionTable.of([(one.name, one.adjectives) for one in vocabulary])
    chosen = [
        (prompt, vocabulary[table.by_caption[prompt]].uid) for prompt in PROMPTS if prompt in table.by_caption
    ]
    taken = {uid for _, uid in chosen}
    alone = [held[0] for held in table.by_name if len(held) == 1 and vocabulary[held[0]].uid not in taken]
    order = np.random.default_rng(seed).permutation(len(alone))
    chosen += [(table.by_object[alone[i]][0], vocabulary[alone[i]].uid) for i in order]
    return chosen[:count]


def targets(given: argparse.Namespace) -> Iterator[Target]:
    """The prompts with their meshes."""
    wanted = prompts_of(given.prompts, read_split().vocabulary)
    source = SweetHome3dSource(folder=given.furniture, libraries=(), count=0)
    known = {one.record.uid: one for one in list_furniture(source)}
    missing = [uid for _, uid in wanted if uid not in known]
    if missing:
        raise DataError(f"{given.furniture} lacks {len(missing)} objects, first {missing[0]}.")
    records = convert_furniture([known[uid] for _, uid in wanted], given.folder, workers=1)
    paths = {record.uid: Path(record.path) for record in records}
    for prompt, uid in wanted:
        yield Target(prompt, load_mesh(paths[uid], MeshLimits()))


def rendered(mesh: Mesh, cameras: Cameras) -> tuple[Tensor, Tensor]:
    """RGBA [V, 4, H, W] in [0, 1] and planar depth [V, H, W] of a mesh."""
    seen = render_mesh(mesh, cameras)
    return torch.from_numpy(seen.rgba).permute(0, 3, 1, 2).float() / 255, torch.from_numpy(seen.depth)


def all_round(size: int) -> Cameras:
    """32 views from above, the side and below."""
    azimuths = torch.arange(32) * 360.0 / 8
    elevations = torch.tensor([-25.0, 5.0, 30.0, 60.0]).repeat_interleave(8)
    return orbit(
        azimuths,
        elevations,
        DISTANCE,
        ring(1, 0.0, DISTANCE, FIELD_OF_VIEW_DEG, size).K[0, 0, 0].item(),
        size,
    )


@torch.no_grad()
def coded(images: Tensor, parameters: Parameters) -> Tensor:
    """Images [V, 3, H, W] in [0, 1] after the novel-view model's autoencoder."""
    autoencoder = load_component(folder_of(parameters.models.zero123), "vae")
    return decode(autoencoder, encode(autoencoder, images))


def carved_density(mesh: Mesh, resolution: int) -> dict[str, Tensor]:
    """A density of 100 where no view sees past a point, and of 0 elsewhere; [R, R, R] as `multiview` gives it."""
    cameras = all_round(256)
    _, depth = rendered(mesh, cameras)
    solid = unseen_through(cube_points(resolution), depth, cameras, _FREE)
    return {"density": (solid.float() * 100).reshape(resolution, resolution, resolution)}


def fitted(mesh: Mesh, start: Gaussians) -> Gaussians:
    """Gaussians fitted to 32 true views, from the start that `init` gives of the true density and views."""
    cameras = all_round(128)
    rgba, _ = rendered(mesh, cameras)
    views = PosedViews(over_white(rgba), cameras)
    return fit_to_views(start, TargetViews(views, rgba[:, 3]), FIT, torch.Generator().manual_seed(0))


class Generation:
    """The stages of `generate`, each result made once a prompt."""

    def __init__(self, parameters: Parameters, target: Target) -> None:
        self.parameters = parameters
        self.seed = parameters.seed
        self.prompts: Prompts = process_prompt(
            target.prompt, self.seed, parameters.models.text_to_image, parameters.prompt_processor
        )
        self.common = (self.seed, parameters.models, parameters.run)
        self.reference = sample_reference(self.prompts, *self.common, parameters.reference)
        self.views, self.density = self.multiview(self.reference)
        self.mesh = target.mesh

    def multiview(self, reference: Tensor) -> tuple[PosedViews, dict[str, Tensor]]:
        return sample_object_views(self.prompts, reference, *self.common, self.parameters.multiview)

    def start(self, density: dict[str, Tensor], views: PosedViews) -> Gaussians:
        models, run = self.parameters.models, self.parameters.run
        return place_gaussians(
            self.prompts, density, views, self.seed, models.shap_e, run, self.parameters.init
        )

    def finish(self, start: Gaussians, views: PosedViews, seen_by_lora: PosedViews) -> Gaussians:
        lora, _ = personalise(self.prompts, seen_by_lora, *self.common, self.parameters.lora)
        settings = self.parameters.distillation, self.parameters.bsd_3dgs
        gaussians, _, _, _ = distill_into_gaussians(
            start, lora, views, self.prompts, self.parameters.prompt_processor, *self.common, *settings
        )
        return gaussians

    def run(self, case: str) -> tuple[Gaussians, Gaussians]:
        """The Gaussians before and after distillation."""
        views, density = self.views, self.density
        true_views = replace(views, images=over_white(rendered(self.mesh, views.cameras)[0]))
        if case == "true_reference":
            front = rendered(self.mesh, self.views.cameras[0])[0][0]
            views, density = self.multiview(front)
        if case in ("true_views", "true_views_and_density", "fitted_start"):
            views = true_views
        if case == "coded_views":
            views = replace(views, images=coded(true_views.images, self.parameters))
        if case in ("true_density", "true_views_and_density", "fitted_start"):
            density = carved_density(self.mesh, self.parameters.multiview.density_resolution)
        start = self.start(density, views)
        if case == "fitted_start":
            start, views = fitted(self.mesh, start), self.views
        return start, self.finish(start, views, true_views if case == "true_lora" else views)


class Judge:
    """Scores of finished objects."""

    def __init__(self, parameters: Parameters) -> None:
        folder = folder_of(parameters.models.scorer)
        self.scorer, self.names = load_scorer(folder), known_names(folder)

    def row(self, gaussians: Gaussians, real: RealObject, prompt: str) -> dict[str, float]:
        with torch.no_grad():
            images = render(
                gaussians, ring(8, ELEVATION_DEG, DISTANCE, FIELD_OF_VIEW_DEG, 128), torch.ones(3)
            ).rgb.clamp(0, 1)
        rank = rank_of_prompt(self.scorer, images, prompt, self.names).rank
        return {**asdict(geometry_scores(gaussians, real)), "first": float(rank == 1)}


def picture(path: Path, real: RealObject, objects: tuple[Gaussians, ...]) -> None:
    """Rows of four sides: the real object, then the others."""
    cameras = ring(4, ELEVATION_DEG, DISTANCE, FIELD_OF_VIEW_DEG, 192)
    rows = [torch.nn.functional.interpolate(real.images[::3], (192, 192))]
    with torch.no_grad():
        rows += [render(one, cameras, torch.ones(3)).rgb.clamp(0, 1) for one in objects]
    path.parent.mkdir(parents=True, exist_ok=True)
    ImageDataset(filepath=str(path)).save(torch.cat([torch.cat(list(row), dim=2) for row in rows], dim=1))


def parameters_of(changes: str) -> Parameters:
    """The default parameters with changes."""
    base = RunConfigLoader(str(CONF), env="base", base_env="base", default_run_env="base")["parameters"]
    changed = OmegaConf.from_dotlist([change for change in changes.split(",") if change])
    merged: Any = OmegaConf.to_container(OmegaConf.merge(base, changed))
    return check_parameters(merged)


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown: means over prompts, case by case."""
    names = ("silhouette_iou", "chamfer", "color_distance", "chroma", "detail", "second_fronts", "first")
    lines = ["| case | when | prompts | " + " | ".join(names) + " |", "|---|---|---|" + "---|" * len(names)]
    for case in dict.fromkeys(row["case"] for row in rows):
        for when in ("before", "after"):
            values = [row[when] for row in rows if row["case"] == case]
            means = " | ".join(f"{_average(name)([value[name] for value in values]):.3f}" for name in names)
            lines.append(f"| {case} | {when} | {len(values)} | {means} |")
    return "\n".join(lines)


def _average(name: str) -> Any:
    """The ratio of details is large where the real object is plain, so its median is shown."""
    return np.nanmedian if name == "detail" else np.nanmean


def main() -> None:
    given = options()
    if given.threads:
        set_cpu_threads(given.threads)
    parameters = parameters_of(given.params)
    judge = Judge(parameters)
    rows = (
        [json.loads(line) for line in given.rows.read_text().splitlines()]
        if given.rows and given.rows.exists()
        else []
    )
    done = {(row["prompt"], row["case"]) for row in rows}
    for target in targets(given):
        cases = [case for case in given.cases.split(",") if (target.prompt, case) not in done]
        if not cases:
            continue
        generation = Generation(parameters, target)
        real = real_object(generation.mesh)
        for case in cases:
            before, after = generation.run(case)
            row = {"prompt": target.prompt, "case": case}
            row |= {
                "before": judge.row(before, real, target.prompt),
                "after": judge.row(after, real, target.prompt),
            }
            rows.append(row)
            if given.rows:
                with given.rows.open("a") as file:
                    file.write(json.dumps(row) + "\n")
            if given.pictures:
                picture(given.pictures / case / f"{generation.prompts.slug}.png", real, (before, after))
            print(json.dumps(row), flush=True)
    print(table(rows))


if __name__ == "__main__":
    main()
