"""What Latent-Plane knows and what it helps, on objects that no network of this project was trained on.

    python benchmarks/latent_plane_heldout.py [--furniture FOLDER] [--objects 60] [--plane models/latent_plane]

The objects are those that `src/placid_kedro/embedded/training/objects.csv` calls held_out: 60, drawn by seed, and no
object that shares a name with one of them is in any training. They are rendered as for the training (SyncDreamer's 16
views at elevation 30 degrees and 16 at random elevations). From the front view alone the other views of the plane's
ring are sampled twice from the same noise, without Latent-Plane and with it; the plane also gets that view's
silhouette if it reads one (--silhouette). Prints a Markdown table of means over objects with 95% bootstrap intervals
(10,000 resamples of the objects; a difference is resampled object by object):

- the density field, in the sampling step that the preset reads it in, seen from all 32 cameras (at --density-size
  pixels):
  silhouette IoU (both thresholds one half), Pearson correlation of depth inside the true silhouette (expected depth
  over occupancy, view by view), and over whole images (Eq. 10's);
- the sampled views but the reference's, against the rendered ones over white: PSNR, SSIM, and the distance in the
  feature maps of the embedded scorer's image encoder (`placid_kedro.evaluation.view_metrics.feature_distance`; made
  like LPIPS, but it is not LPIPS);
- silhouettes cut from the sampled views by their colours (`remove_background`): roughly what a density field that
  agreed with the sampled views could reach. The same cut of the true views tells how far the cutting itself errs.

With --known-density the views are sampled a third time, with the true density (carved from the depth of all 32 views)
in the place of the plane's: what the plane's features could add at most, were its field perfect.

With --rows FILE every finished object is kept, and a later call with the same settings goes on after it.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
import yaml
from torch import Tensor

from placid_kedro.diffusion.loading import load_component
from placid_kedro.diffusion.multiview import Subject
from placid_kedro.diffusion.novel_view import NovelView, load_novel_view
from placid_kedro.embedded.networks.scorer import ImageScorer, load_scorer
from placid_kedro.embedded.training.split import read_split
from placid_kedro.errors import DataError
from placid_kedro.evaluation.statistics import bootstrap_mean
from placid_kedro.evaluation.view_metrics import feature_distance, psnr, silhouette_iou, structural_similarity
from placid_kedro.files import file_hash
from placid_kedro.images import over_white
from placid_kedro.latent_plane import LatentPlane, SamplingPolicy, preset
from placid_kedro.latent_plane.inputs import ObjectInputs
from placid_kedro.latent_plane.reference import ReferenceEvaluator
from placid_kedro.latent_plane.sampling import SampledViews, sample_views
from placid_kedro.latent_plane.training.batches import views_around
from placid_kedro.latent_plane.training.losses import RaySampling, render_density
from placid_kedro.latent_plane.training.rendered import first_ring
from placid_kedro.latent_plane.training.scores import at_size, score_density
from placid_kedro.objects.config import RenderParameters, SweetHome3dSource
from placid_kedro.objects.dataset import RenderedObjects
from placid_kedro.objects.ingest import convert_furniture
from placid_kedro.objects.render_stage import RenderPlan, render_objects
from placid_kedro.objects.sweethome3d import list_furniture
from placid_kedro.objects.table import to_table
from placid_kedro.objects.views import ObjectViews
from placid_kedro.surface.background import remove_background
from placid_kedro.surface.carving import unseen_through
from placid_kedro.threads import set_cpu_threads

# Sigma before softplus of what is solid: nothing shines through a step along a ray.
_SOLID = 500.0
# A view sees past a point when its surface is this much further, in edges of the cube.
_FREE = 0.01

PARAMETERS = Path(__file__).absolute().parents[1] / "conf/base/parameters_pretrain.yml"
FIELD = {
    "silhouette_iou": "silhouette IoU of the density field, 32 cameras",
    "foreground_depth_pearson": "depth Pearson inside the true silhouette",
    "depth_pearson": "depth Pearson over whole images (Eq. 10)",
}
VIEWS = {
    "psnr": "PSNR of the views, dB",
    "ssim": "SSIM of the views",
    "feature_distance": "feature distance of the views (less is better)",
    "cut_iou": "silhouette IoU of the views themselves",
}


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--furniture", default="/usr/share/sweethome3d/furniture")
    parser.add_argument("--objects", type=int, default=60, help="the first so many of the draw")
    parser.add_argument("--model", type=Path, default=Path("models/zero123"))
    parser.add_argument("--plane", type=Path, default=Path("models/latent_plane"))
    parser.add_argument("--scorer", type=Path, default=Path("models/scorer"))
    parser.add_argument(
        "--folder", type=Path, default=Path("data/05_model_input/held_out"), help="of the views"
    )
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--guidance-scale", type=float, default=2.0)
    parser.add_argument("--preset", choices=("paper", "official", "frugal"), default="frugal")
    parser.add_argument(
        "--renoise",
        action="store_true",
        help="keep the official preset's first step, which draws another noise",
    )
    parser.add_argument("--density-size", type=int, default=64, help="pixels of the density's silhouettes")
    parser.add_argument(
        "--ray-samples",
        type=int,
        default=0,
        help="along the density's rays; 0: as many as the plane's own have",
    )
    parser.add_argument(
        "--silhouette",
        choices=("alpha", "cut"),
        default="alpha",
        help="the reference's, for a plane that reads it: its alpha channel, or cut from its colours",
    )
    parser.add_argument("--known-density", action="store_true", help="sample with the true density as well")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=0, help="0: all cores")
    parser.add_argument("--rows", type=Path, help="JSON lines, one a finished object")
    return parser.parse_args()


def held_out_objects(furniture: str, count: int, folder: Path, size: int) -> RenderedObjects:
    """The held-out objects with their views, rendered where they are not yet."""
    wanted = [one.uid for one in read_split().held_out][:count]
    known = {
        one.record.uid: one
        for one in list_furniture(SweetHome3dSource(folder=furniture, libraries=(), count=0))
    }
    missing = [uid for uid in wanted if uid not in known]
    if missing:
        raise DataError(f"{furniture} lacks {len(missing)} held-out objects, first {missing[0]}.")
    records = convert_furniture([known[uid] for uid in wanted], folder / "converted", workers=1)
    given = yaml.safe_load(PARAMETERS.read_text(encoding="utf-8"))["pretrain"]["rendering"]
    given["folder"], given["protocol"]["size"] = str(folder / "views"), size
    given["protocol"]["rings"] = given["protocol"]["rings"][:2]  # SyncDreamer's
    parameters = RenderParameters.model_validate(given)
    plan = RenderPlan(parameters, seed=0)
    table = render_objects(to_table(records), plan)
    objects = RenderedObjects(table, plan.folder)
    if len(objects) < len(wanted):
        raise DataError(f"Only {len(objects)} of the {len(wanted)} held-out objects can be rendered.")
    return objects


def cut(images: Tensor) -> Tensor:
    """Silhouettes [N, H, W] of images [N, 3, H, W]; empty where nothing stands out."""
    masks = []
    for image in images.clamp(0, 1):
        try:
            masks.append(remove_background(image)[3])
        except DataError:  # an image without an object is a bad one, not a reason to stop
            masks.append(torch.zeros(image.shape[-2:]))
    return torch.stack(masks)


def view_scores(images: Tensor, truth: Tensor, mask: Tensor, scorer: ImageScorer) -> dict[str, float]:
    """All but the first view, which is the reference itself."""
    images, truth, mask = images[1:], truth[1:], mask[1:]
    return {
        "psnr": float(psnr(images, truth).mean()),
        "ssim": float(structural_similarity(images, truth).mean()),
        "feature_distance": float(feature_distance(scorer, images, truth).mean()),
        "cut_iou": float(silhouette_iou(cut(images), mask).mean()),
    }


@dataclass(frozen=True)
class KnownDensity(ReferenceEvaluator):
    """Eq. 7 and 8 of a density that is known.

    Attributes:
        field: sigma before softplus [P] at points [P, 3].
    """

    field: Callable[[Tensor], Tensor]

    def density(self, inputs: ObjectInputs, points: Tensor) -> Tensor:
        """[P] sigma before softplus at points [P, 3]."""
        return self.field(points)


class KnownDensityPlane(LatentPlane):
    """A Latent-Plane whose density is an object's own; its features are the plane's."""

    field: Callable[[Tensor], Tensor]

    @property
    def evaluator(self) -> KnownDensity:
        """Of that density."""
        return KnownDensity(self, self.field)

    @classmethod
    def of(cls, plane: LatentPlane) -> KnownDensityPlane:
        """With the weights of a plane."""
        twin: KnownDensityPlane = cls.from_config(plane.config).eval().requires_grad_(False)
        twin.load_state_dict(plane.state_dict())
        return twin


def carved_field(views: ObjectViews) -> Callable[[Tensor], Tensor]:
    """Solid where no view sees past a point."""
    cameras = views.cameras.double()

    def field(points: Tensor) -> Tensor:
        solid = unseen_through(points.double(), views.depth, cameras, _FREE)
        return torch.where(solid, _SOLID, -_SOLID)

    return field


class Measurement:
    """One object at a time, always from the noise of its own index."""

    def __init__(self, given: argparse.Namespace) -> None:
        self.given = given
        self.model: NovelView = load_novel_view(given.model, torch.device("cpu"))
        self.plane: LatentPlane = load_component(given.plane, "latent_plane")
        self.scorer = load_scorer(given.scorer)
        self.known = KnownDensityPlane.of(self.plane) if given.known_density else None
        policy = preset(given.preset).sampling
        if not given.renoise:
            policy = replace(policy, renoise_first_step=False)
        self.policy: SamplingPolicy = policy

    def ring(self, views: ObjectViews) -> list[int]:
        """The views that the plane's cameras see."""
        return views_around(len(first_ring(views.cameras)), len(self.plane.cameras))

    def silhouette(self, views: ObjectViews) -> Tensor:
        """[H, W] the reference's."""
        if self.given.silhouette == "alpha":
            return views.mask[0]
        return cut(over_white(views.rgba[:1]))[0]

    def sample(self, views: ObjectViews, index: int, plane: LatentPlane | None) -> SampledViews:
        cameras = views.cameras[self.ring(views)]
        return sample_views(
            self.model,
            Subject(reference=over_white(views.rgba[0]), reference_camera=cameras[0]),
            cameras,
            steps=self.given.steps,
            guidance_scale=self.given.guidance_scale,
            generator=torch.Generator().manual_seed(1000 * self.given.seed + index),
            plane=plane,
            policy=self.policy,
            silhouette=self.silhouette(views),
        )

    @torch.no_grad()
    def density_scores(self, views: ObjectViews, sampled: SampledViews) -> dict[str, float]:
        size = self.given.density_size
        mask, depth = at_size(views.mask, views.depth, size)
        inputs = sampled.plane_inputs
        assert inputs is not None
        cameras = views.cameras.resized(size, size)
        sampling = RaySampling(self.given.ray_samples or None)
        render = render_density(self.plane, inputs[0], cameras, sampling)
        return asdict(score_density(render, mask, depth))

    def __call__(self, views: ObjectViews, index: int) -> dict[str, float]:
        ring = self.ring(views)
        truth, mask = over_white(views.rgba[ring]), views.mask[ring]
        plain, enhanced = (self.sample(views, index, plane) for plane in (None, self.plane))
        row = self.density_scores(views, enhanced)
        kinds = {"plain": plain, "plane": enhanced}
        if self.known is not None:
            self.known.field = carved_field(views)
            kinds["known"] = self.sample(views, index, self.known)
        for name, sampled in kinds.items():
            scores = view_scores(sampled.images, truth, mask, self.scorer)
            row |= {f"{name}_{key}": value for key, value in scores.items()}
        return row | {"true_cut_iou": float(silhouette_iou(cut(truth[1:]), mask[1:]).mean())}


class Rows:
    """Finished objects, kept in a file where one is given.

    Raises:
        DataError: the file was made with other settings.
    """

    def __init__(self, path: Path | None, settings: dict[str, str]) -> None:
        self.path = path
        self.rows: dict[str, dict[str, float]] = {}
        if path is None:
            return
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(settings) + "\n")
        first, *others = (json.loads(line) for line in path.read_text().splitlines())
        if first != settings:
            raise DataError(f"{path} holds rows of other settings ({first}); give another file.")
        self.rows = {row.pop("uid"): row for row in others}

    def add(self, uid: str, row: dict[str, float]) -> None:
        self.rows[uid] = row
        if self.path is not None:
            with self.path.open("a") as file:
                file.write(json.dumps({"uid": uid, **row}) + "\n")


def table(rows: Sequence[dict[str, float]], seed: int) -> str:
    generator = np.random.default_rng(seed)

    def cell(values: Sequence[float], signed: bool = False) -> str:
        interval = bootstrap_mean(values, generator)
        form = "{:+.3f}" if signed else "{:.3f}"
        return "{} [{}, {}]".format(*(form.format(x) for x in (interval.mean, interval.low, interval.high)))

    def column(name: str) -> list[float]:
        return [row[name] for row in rows]

    lines = [
        "| mean of the objects [95% interval] | without | with Latent-Plane | difference |",
        "|---|---|---|---|",
    ]
    lines += [f"| {text} | | {cell(column(name))} | |" for name, text in FIELD.items()]
    for name, text in VIEWS.items():
        without, enhanced = column(f"plain_{name}"), column(f"plane_{name}")
        differences = [b - a for a, b in zip(without, enhanced, strict=True)]
        lines.append(f"| {text} | {cell(without)} | {cell(enhanced)} | {cell(differences, signed=True)} |")
    if "known_psnr" in rows[0]:
        lines += ["", "| with the true density | | difference to without |", "|---|---|---|"]
        for name, text in VIEWS.items():
            without, known = column(f"plain_{name}"), column(f"known_{name}")
            differences = [b - a for a, b in zip(without, known, strict=True)]
            lines.append(f"| {text} | {cell(known)} | {cell(differences, signed=True)} |")
    true_cut = cell(column("true_cut_iou"))
    return "\n".join(
        [*lines, "", f"The same cut of the true views has an IoU of {true_cut} with their masks."]
    )


def main() -> None:
    given = options()
    if given.threads:
        set_cpu_threads(given.threads)
    measure = Measurement(given)
    objects = held_out_objects(given.furniture, given.objects, given.folder, measure.model.image_size)
    weights = given.plane / "latent_plane/diffusion_pytorch_model.safetensors"
    kept = (
        "model",
        "steps",
        "guidance_scale",
        "preset",
        "renoise",
        "density_size",
        "ray_samples",
        "silhouette",
        "known_density",
        "seed",
    )
    settings = {"plane_sha256": file_hash(weights), **{name: str(getattr(given, name)) for name in kept}}
    finished = Rows(given.rows, settings)
    started, done = time.monotonic(), 0
    for index, uid in enumerate(objects.uids):
        if uid in finished.rows:
            continue
        row = measure(objects.read(index), index)
        finished.add(uid, row)
        done += 1
        gain = row["plane_psnr"] - row["plain_psnr"]
        left = (time.monotonic() - started) / done * (len(objects) - len(finished.rows))
        print(
            f"{len(finished.rows)} of {len(objects)} {uid}: IoU {row['silhouette_iou']:.3f}, PSNR {gain:+.2f} dB; "
            f"{left / 60:.0f} min left",
            file=sys.stderr,
            flush=True,
        )
    rows = [finished.rows[uid] for uid in objects.uids]
    print(
        f"{len(rows)} held-out objects, {given.steps} steps, guidance {given.guidance_scale}, seed {given.seed}:\n"
    )
    print(table(rows, given.seed))


if __name__ == "__main__":
    main()
