"""Nodes of the pipeline `distill_2d`."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from placid_kedro.app.run_context import current_run
from placid_kedro.config import Distill2dParameters, PromptProcessorParameters, RunParameters
from placid_kedro.pipelines.types import DataFrame, LabReport, LabRun, ModelSource, Tensor
from placid_kedro.prompts import check_text
from placid_kedro.versions import package_versions

if TYPE_CHECKING:
    from placid_kedro.distillation.lab.report import LabSetting

FIGURES = (
    "figure3_converged",
    "figure3_over_trained",
    "figure5",
    "figure5_images",
    "figure9",
    "figure10",
    "figure10_images",
    "figure11",
)

logger = logging.getLogger(__name__)


def sample_ground_truth(
    rules: PromptProcessorParameters, source: ModelSource, run: RunParameters, parameters: Distill2dParameters
) -> dict[str, Tensor]:
    """Samples of ordinary diffusion: `images` [P, K, 3, H, W] in [0, 1]."""
    from placid_kedro.distillation.lab.plan import ground_truth

    size, model = parameters.chosen, _load(source, run)[1]
    images = ground_truth(
        model,
        _checked_prompts(rules, parameters),
        size.seeds,
        size.truth_per_prompt,
        steps=parameters.truth.steps,
        guidance_scale=parameters.truth.guidance_scale,
        progress=current_run().progress,
    )
    return {"images": images}


def run_algorithms(
    rules: PromptProcessorParameters, source: ModelSource, run: RunParameters, parameters: Distill2dParameters
) -> dict[str, LabRun]:
    """Every run by its label; what a run before has finished is read back."""
    from placid_kedro.diffusion.loading import model_identity
    from placid_kedro.distillation.lab.experiment import LabSettings
    from placid_kedro.distillation.lab.plan import carry_out, make_lab, seconds_left

    size = parameters.chosen
    prompts = _checked_prompts(rules, parameters)
    folder, model = _load(source, run)
    settings = LabSettings(
        snapshots=(size.converged, size.over_trained),
        learning_rate=parameters.learning_rate,
        timesteps=parameters.timesteps,
        checkpoint_every=parameters.checkpoint_every,
        patience=parameters.patience,
    )
    lab = make_lab(model, prompts, size.seeds, parameters.negative_prompt, settings, model_identity(folder))
    plan, kept = _plan(parameters), Path(parameters.folder)
    logger.info(
        "%d runs of %d steps, %d samples each: about %.0f s are left to compute",
        len(plan),
        size.over_trained,
        len(prompts) * len(size.seeds),
        seconds_left(lab, plan, kept),
    )
    return carry_out(lab, plan, kept, current_run().progress)


def measure(
    runs: dict[str, LabRun],
    truth: dict[str, Tensor],
    seed: int,
    scorer: ModelSource,
    source: ModelSource,
    run: RunParameters,
    parameters: Distill2dParameters,
) -> tuple[dict[str, Tensor], DataFrame, LabReport]:
    """The images of all runs (`LABEL@STEPS`), the table and the report."""
    import numpy as np

    from placid_kedro.distillation.lab.study import decode_snapshots, study_report, study_table
    from placid_kedro.embedded.networks.scorer import load_scorer
    from placid_kedro.pipelines.loading import folder_of

    folder, model = _load(source, run)
    plan, generator = _plan(parameters), np.random.default_rng(seed)
    images = decode_snapshots(model, runs)
    prompts, samples = parameters.chosen.prompts, truth["images"]
    table = study_table(plan, runs, images, samples, prompts, load_scorer(folder_of(scorer)), generator)
    setting = _setting(parameters, source, folder, str(model.device))
    report = study_report(plan, runs, table, setting, generator)
    return (
        {f"{label}@{steps}": kept for label, each in images.items() for steps, kept in each.items()},
        table,
        report,
    )


def plot_figures(
    runs: dict[str, LabRun],
    images: dict[str, Tensor],
    truth: dict[str, Tensor],
    table: DataFrame,
    parameters: Distill2dParameters,
) -> dict[str, Any]:
    """The paper's figures, each as an image [3, H, W] and as an interactive plot."""
    from placid_kedro.distillation.lab.gallery import Exhibits

    size = parameters.chosen
    kept: dict[str, dict[int, Tensor]] = {}
    for name, pictures in images.items():
        label, _, steps = name.rpartition("@")
        kept.setdefault(label, {})[int(steps)] = pictures
    exhibits = Exhibits(
        plan=_plan(parameters),
        runs=runs,
        images=kept,
        truth=truth["images"][:, : len(size.seeds)].flatten(0, 1),
        table=table,
        samples=[f"{prompt}, seed {seed}" for prompt in size.prompts for seed in size.seeds],
    )
    figures = exhibits.figures()
    return {
        **{f"{name}_image": image for name, (image, _) in figures.items()},
        **{f"{name}_plot": plot for name, (_, plot) in figures.items()},
    }


def _plan(parameters: Distill2dParameters) -> Any:
    from placid_kedro.distillation.lab.plan import plan_runs

    return plan_runs(parameters.algorithms, parameters.chosen.lam, parameters.chosen.ratios, parameters.swept)


def _load(source: ModelSource, run: RunParameters) -> tuple[Path, Any]:
    """The model's folder and the model."""
    from placid_kedro.diffusion.text_to_image import load_text_to_image
    from placid_kedro.pipelines.loading import folder_of, start

    device = start(run)
    folder = folder_of(source)
    return folder, load_text_to_image(folder, device, run.precision)


def _checked_prompts(rules: PromptProcessorParameters, parameters: Distill2dParameters) -> tuple[str, ...]:
    """The prompts; PromptError for one that no text encoder reads."""
    return tuple(
        check_text(prompt, rules.max_characters, rules.scripts) for prompt in parameters.chosen.prompts
    )


def _setting(parameters: Distill2dParameters, source: ModelSource, folder: Path, device: str) -> "LabSetting":

    import torch

    from placid_kedro.diffusion.loading import model_identity
    from placid_kedro.distillation.lab.report import LabSetting
    from placid_kedro.pipelines.loading import taken_source

    size = parameters.chosen
    return LabSetting(
        size=parameters.size,
        model=taken_source(source),
        identity=model_identity(folder),
        prompts=size.prompts,
        seeds=size.seeds,
        converged=size.converged,
        over_trained=size.over_trained,
        swept=parameters.swept,
        learning_rate=parameters.learning_rate,
        truth_samples=len(size.prompts) * size.truth_per_prompt,
        truth_steps=parameters.truth.steps,
        truth_guidance_scale=parameters.truth.guidance_scale,
        device=device,
        threads=torch.get_num_threads(),
        versions=package_versions(),
    )
