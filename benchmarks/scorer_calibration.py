"""What do the embedded stand-ins' scores tell? Renders of real objects against their own names and against others.

    python benchmarks/scorer_calibration.py [--known 40] [--held-out 40] [--others 20] [--rows FILE]

Real objects are furniture of Debian's package sweethome3d-furniture: known ones, whose names the embedded models have
learned, and held-out ones: no model has seen them, nor any other of their name. Each is measured like an object of
`generate` (t3bench_eval.scores of conf/base), for its own name and for names drawn from the other objects of its group.

Prints the area under the ROC curve of quality and alignment with a 95% interval (bootstrap over the objects), and the
mean scores for the own name, which are what a perfect object gets, beside those for other names. With --rows FILE each
finished object is kept, a later call goes on after it.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from placid_kedro.app.config_loader import RunConfigLoader
from placid_kedro.config.check import check_parameters
from placid_kedro.embedded.known_objects import furniture_mesh
from placid_kedro.embedded.stand_ins.captions import RetrievedCaptions
from placid_kedro.embedded.stand_ins.image_scorer import EmbeddedImageScorer, load_embedded_scorer
from placid_kedro.embedded.stand_ins.judge import SimilarityJudge
from placid_kedro.embedded.training.captions import with_article
from placid_kedro.embedded.training.split import CuratedObject, read_split
from placid_kedro.evaluation.statistics import bootstrap_auc, bootstrap_mean
from placid_kedro.evaluation.t3bench.config import ScoresParameters
from placid_kedro.evaluation.t3bench.measure import alignment_of
from placid_kedro.evaluation.t3bench.poses import cameras_towards, icosphere
from placid_kedro.evaluation.t3bench.protocols import (
    CAPTION_FIELD_OF_VIEW_DEG,
    FIELDS_OF_VIEW_DEG,
    PROTOCOLS,
)
from placid_kedro.evaluation.t3bench.quality import quality_of
from placid_kedro.evaluation.t3bench.subjects import MeshSubject
from placid_kedro.objects.config import SweetHome3dSource
from placid_kedro.objects.split import normal_name
from placid_kedro.objects.sweethome3d import FurnitureModel, list_furniture
from placid_kedro.pipelines.loading import folder_of
from placid_kedro.threads import set_cpu_threads

CONF = Path(__file__).absolute().parents[1] / "conf"
HALF_EDGE = 0.5
SCORES = ("quality", "alignment")


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--furniture", default="/usr/share/sweethome3d/furniture")
    parser.add_argument("--known", type=int, default=40)
    parser.add_argument("--held-out", type=int, default=40)
    parser.add_argument("--others", type=int, default=20, help="names that each object is not called by")
    parser.add_argument("--rows", type=Path, help="JSON lines, one a finished object")
    parser.add_argument("--threads", type=int, default=0, help="0: all cores")
    return parser.parse_args()


def drawn(
    objects: tuple[CuratedObject, ...], count: int, generator: np.random.Generator
) -> list[CuratedObject]:
    """So many objects, no two of one name."""
    by_name = {normal_name(one.name): one for one in reversed(objects)}
    order = generator.permutation(len(by_name))
    return [list(by_name.values())[index] for index in order[:count]]


class Calibration:
    """The stand-ins, and how finely they look."""

    def __init__(self, scorer: EmbeddedImageScorer, scores: ScoresParameters) -> None:
        self.scorer, self.scores = scorer, scores
        self.captions, self.judge = RetrievedCaptions(scorer), SimilarityJudge()

    def measure(self, model: FurnitureModel, names: list[str]) -> dict[str, list[float]]:
        """Quality and alignment of a real object for each of the names; as `evaluation.t3bench.measure`, but every
        image is read once for all names."""
        subject = MeshSubject(furniture_mesh(model))
        framing = PROTOCOLS[self.scores.protocol].framing(subject.points, HALF_EDGE)
        sphere, size = icosphere(self.scores.subdivisions), self.scores.image_size
        cameras = cameras_towards(
            framing.center, sphere.directions, framing.quality_distance, FIELDS_OF_VIEW_DEG, size
        )
        images, _ = subject.photograph(cameras, self.scores.background)
        rewards = self.scorer.rewards_of_each(images, names).double().numpy()
        rewards = rewards.reshape(len(sphere), len(FIELDS_OF_VIEW_DEG), len(names))
        sides = cameras_towards(
            framing.center,
            icosphere(0).directions,
            framing.caption_distance,
            (CAPTION_FIELD_OF_VIEW_DEG,),
            size,
        )
        captions = self.captions.captions(subject.photograph(sides, self.scores.background)[0], 0)
        merged = self.judge.merge(captions)
        return {
            "quality": [quality_of(rewards[..., index], sphere).score for index in range(len(names))],
            "alignment": [alignment_of(self.judge.rate(name, merged).score) for name in names],
        }


def report(group: str, rows: list[dict[str, Any]]) -> list[str]:
    """A group's lines of the table."""
    lines = []
    for score in SCORES:
        own, others = (np.array([row[score][part] for row in rows]) for part in ("own", "others"))
        area = bootstrap_auc(own, others, np.random.default_rng(0))
        perfect = bootstrap_mean(own, np.random.default_rng(0))
        wrong = bootstrap_mean(others.mean(axis=1), np.random.default_rng(0))
        cells = [
            f"{area.mean:.3f} ({area.low:.3f} to {area.high:.3f})",
            *(f"{part.mean:.1f} ({part.low:.1f} to {part.high:.1f})" for part in (perfect, wrong)),
        ]
        lines.append(f"| {group} | {len(rows)} | `{score}_embedded` | {' | '.join(cells)} |")
    return lines


def main() -> None:
    given = options()
    if given.threads:
        set_cpu_threads(given.threads)
    parameters = check_parameters(
        RunConfigLoader(str(CONF), env="base", base_env="base", default_run_env="base")["parameters"]
    )
    scorer = load_embedded_scorer(folder_of(parameters.models.scorer))
    calibration = Calibration(scorer, parameters.t3bench_eval.scores)
    furniture = {
        one.record.uid: one
        for one in list_furniture(SweetHome3dSource(folder=given.furniture, libraries=(), count=0))
    }
    split, generator = read_split(), np.random.default_rng(0)
    groups = {
        "known": drawn(split.vocabulary, given.known, generator),
        "held out": drawn(split.held_out, given.held_out, generator),
    }
    kept = given.rows.read_text().splitlines() if given.rows and given.rows.exists() else []
    rows = {(row["group"], row["uid"]): row for row in map(json.loads, kept)}
    for group, objects in groups.items():
        names = [with_article(normal_name(one.name)) for one in objects]
        for index, one in enumerate(objects):
            others = generator.permutation([name for name in names if name != names[index]])[: given.others]
            if (group, one.uid) in rows:
                continue
            measured = calibration.measure(furniture[one.uid], [names[index], *map(str, others)])
            row = {"group": group, "uid": one.uid} | {
                score: {"own": values[0], "others": values[1:]} for score, values in measured.items()
            }
            rows[group, one.uid] = row
            if given.rows:
                with given.rows.open("a") as file:
                    file.write(json.dumps(row) + "\n")
            print(
                f"{group}, {names[index]}: { ({score: row[score]['own'] for score in SCORES}) }", flush=True
            )
    print("| objects | number | score | area under the ROC curve | for the own name | for other names |")
    print("|---|---|---|---|---|---|")
    for group in groups:
        print("\n".join(report(group, [row for row in rows.values() if row["group"] == group])))


if __name__ == "__main__":
    with torch.no_grad():
        main()
