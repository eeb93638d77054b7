"""Nodes of the stage `t3bench_eval`."""

from placid_kedro.app.run_context import current_run
from placid_kedro.config import DistillationConfig, EvaluationParameters, ModelsParameters, RunParameters
from placid_kedro.pipelines.types import (
    Cameras,
    DataFrame,
    DistillationSummary,
    Gaussians,
    Report,
    Tensor,
)
from placid_kedro.prompts import Prompts
from placid_kedro.versions import package_versions


def film_turntable(gaussians: Gaussians, run: RunParameters, parameters: EvaluationParameters) -> Tensor:
    """Frames [T, 3, H, W] of one turn round the object, over white."""
    import torch

    from placid_kedro.pipelines.loading import start

    gaussians = gaussians.to(start(run))
    cameras = _ring(parameters, parameters.turntable_frames, parameters.turntable_size)
    frames = [
        _over_white(gaussians, cameras[index])
        for index in current_run().progress.track(range(len(cameras)), description="turntable")
    ]
    quarters = [frames[len(frames) * quarter // 4][0] for quarter in range(4)]
    current_run().progress.log_image(0, "turntable", torch.cat(quarters, dim=-1))
    return torch.cat(frames)


def judge(
    gaussians: Gaussians,
    initial_gaussians: Gaussians,
    distillation_summary: DistillationSummary,
    prompts: Prompts,
    seed: int,
    models: ModelsParameters,
    run: RunParameters,
    distillation: DistillationConfig,
    parameters: EvaluationParameters,
    judge_credentials: dict[str, str],
) -> tuple[Report, DataFrame]:
    """T3Bench's scores, how near the object comes to the real one, the prompt's rank among all names that the scorer
    knows, for the object and for its start; and every image and answer behind the scores in a table."""
    import torch

    from placid_kedro.cameras.rays import CUBE_HALF_EXTENT
    from placid_kedro.evaluation.report import Report
    from placid_kedro.pipelines import scorers as scoring
    from placid_kedro.pipelines.loading import start
    from placid_kedro.pipelines.truth import compared, geometry_numbers, real_objects

    device = start(run)
    gaussians = gaussians.to(device)
    scorers = scoring.load_scorers(parameters.scores, models.scorer, judge_credentials, device)
    measured = scoring.measure_gaussians(
        gaussians, prompts.text, scorers, parameters.scores, seed, CUBE_HALF_EXTENT
    )
    truth, geometry = compared(gaussians, prompts.text, real_objects(parameters.truth))
    scorer = scoring.load_embedded(models.scorer)
    sides = _ring(parameters, parameters.views, parameters.image_size)
    retrieval, retrieval_of_start = (
        scoring.retrieval_score(scorer, _over_white(one, sides), prompts.text)
        for one in (gaussians, initial_gaussians.to(device))
    )
    report = Report(
        scorers={**scorers.names(), "protocol": scoring.protocol_in_words(parameters.scores)},
        scores=measured.scores,
        caption=measured.caption,
        missing=measured.missing,
        truth=truth,
        geometry=geometry,
        prompt=prompts.text,
        slug=prompts.slug,
        seed=seed,
        versions=package_versions(),
        threads=torch.get_num_threads(),
        models=_taken(models),
        distillation=distillation.model_dump(),
        stage_seconds=dict(current_run().stage_seconds),
        stage_peak_mib=dict(current_run().stage_peak_mib),
        gaussians=len(gaussians),
        skipped_samples=distillation_summary.skipped_samples,
        skipped_steps=distillation_summary.skipped_steps,
        retrieval=retrieval,
        retrieval_of_start=retrieval_of_start,
    )
    numbers = {"retrieval_rank": retrieval.rank, "retrieval_score": retrieval.score, **measured.scores}
    current_run().progress.log_metrics(0, {**numbers, **geometry_numbers(geometry)})
    return report, measured.table()


def _taken(models: ModelsParameters) -> dict[str, str]:
    """Where each model came from that an object of this run is made with."""
    from placid_kedro.pipelines.loading import taken_source

    unused = current_run().unused_models
    return {name: taken_source(sources) for name, sources in models if name not in unused}


def _ring(parameters: EvaluationParameters, count: int, size: int) -> Cameras:
    from placid_kedro.cameras import ring

    return ring(count, parameters.elevation_deg, parameters.distance, parameters.field_of_view_deg, size)


def _over_white(gaussians: Gaussians, cameras: Cameras) -> Tensor:
    """Images [C, 3, H, W], drawn on the device that the Gaussians are on."""
    import torch

    from placid_kedro.splats import render

    device = gaussians.means.device
    with torch.no_grad():
        views = render(gaussians, cameras.to(device), torch.ones(3, device=device))
    return views.rgb.clamp(0, 1).cpu()
