"""From finished runs of the laboratory to its table and report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from placid_kedro.diffusion.autoencoding import decode
from placid_kedro.diffusion.text_to_image import TextToImage
from placid_kedro.distillation.lab.claims import claims
from placid_kedro.distillation.lab.experiment import LabRun
from placid_kedro.distillation.lab.metrics import comparison_table
from placid_kedro.distillation.lab.plan import PlannedRun
from placid_kedro.distillation.lab.report import LabReport, LabSetting, rows_of
from placid_kedro.evaluation import SimilarityScorer

Snapshots = Mapping[str, Mapping[int, Tensor]]


@torch.no_grad()
def decode_snapshots(model: TextToImage, runs: Mapping[str, LabRun]) -> dict[str, dict[int, Tensor]]:
    """label -> steps -> images [B,3,H,W] in [0,1] on the CPU."""
    return {
        label: {
            steps: decode(model.autoencoder, latents.to(model.device)).cpu()
            for steps, latents in run.snapshots.items()
        }
        for label, run in runs.items()
    }


def study_table(
    plan: Sequence[PlannedRun],
    runs: Mapping[str, LabRun],
    images: Snapshots,
    truth: Tensor,
    prompts: Sequence[str],
    scorer: SimilarityScorer,
    generator: np.random.Generator,
) -> pd.DataFrame:
    """`comparison_table` of all runs, with prompt scores, and what each row is part of.

    Args:
        plan: of all runs.
        runs: by label.
        images: label -> steps -> [P * S,3,H,W], prompt by prompt.
        truth: samples of ordinary diffusion, [P,K,3,H,W].
        prompts: P texts.
        scorer: gives the cosine similarity of an image and its own prompt.
        generator: for the bootstrap.

    Returns:
        The table with the further columns `experiment` (`truth`, `comparison`, `lam` or `ratio`), `value` (of what
        is swept) and `step_milliseconds` (median of the whole run).
    """
    samples = len(next(iter(next(iter(images.values())).values())))
    of_sample = np.repeat(np.arange(len(prompts)), samples // len(prompts))
    of_truth = np.repeat(np.arange(len(prompts)), truth.shape[1])

    def scores(pictures: Tensor, prompt_index: np.ndarray) -> np.ndarray:
        similarities = scorer.similarities(pictures, list(prompts)).double().numpy()
        own: np.ndarray = similarities[np.arange(len(pictures)), prompt_index]
        return own

    table = comparison_table(
        runs,
        images,
        truth.flatten(0, 1),
        generator,
        scores={
            label: {steps: scores(pictures, of_sample) for steps, pictures in kept.items()}
            for label, kept in images.items()
        },
        ground_truth_scores=scores(truth.flatten(0, 1), of_truth),
        ground_truth_prompts=of_truth,
        prompts=of_sample,
    )
    planned = {run.label: run for run in plan}
    labels = table["algorithm"]
    table["experiment"] = [planned[label].experiment if label in planned else "truth" for label in labels]
    table["value"] = [_value(planned.get(label)) for label in labels]
    table["step_milliseconds"] = [
        _median_milliseconds(runs[label]) if label in runs else np.nan for label in labels
    ]
    return table


def study_report(
    plan: Sequence[PlannedRun],
    runs: Mapping[str, LabRun],
    table: pd.DataFrame,
    setting: LabSetting,
    generator: np.random.Generator,
) -> LabReport:
    """The report of a `study_table`; generator: for the bootstrap."""
    rows = rows_of(table)
    return LabReport(
        setting=setting,
        algorithms={run.label: run.algorithm.model_dump(mode="json") for run in plan},
        rows=rows,
        claims=claims(plan, runs, rows, generator),
    )


def _value(run: PlannedRun | None) -> float:
    return np.nan if run is None or run.value is None else run.value


def _median_milliseconds(run: LabRun) -> float:
    steps = torch.diff(run.seconds, prepend=torch.zeros(1, dtype=run.seconds.dtype))
    return 1e3 * float(steps.median())
