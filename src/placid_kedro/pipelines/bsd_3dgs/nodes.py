"""Nodes of the stage `bsd_3dgs`."""

from placid_kedro.app.run_context import current_run
from placid_kedro.config import (
    AnchorParameters,
    BsdParameters,
    DistillationConfig,
    ModelsParameters,
    PromptProcessorParameters,
    RunParameters,
)
from placid_kedro.pipelines.types import (
    DistillationSummary,
    Figure,
    Gaussians,
    PosedViews,
    TargetViews,
    Tensor,
)
from placid_kedro.prompts import Prompts, view_prompt
from placid_kedro.randomness import stage_generator


def distill_into_gaussians(
    initial_gaussians: Gaussians,
    lora: dict[str, Tensor],
    views: PosedViews,
    prompts: Prompts,
    wording: PromptProcessorParameters,
    seed: int,
    models: ModelsParameters,
    run: RunParameters,
    distillation: DistillationConfig,
    parameters: BsdParameters,
) -> tuple[Gaussians, DistillationSummary, PosedViews, Figure]:
    """Optimise the Gaussians under the fine-tuned model; leave out those that nobody sees; keep pictures and curves."""
    from placid_kedro.curves import Curves, curves_plot
    from placid_kedro.diffusion.lora import lora_applied
    from placid_kedro.diffusion.text_to_image import text_to_image_on
    from placid_kedro.distillation import GuidanceGuard
    from placid_kedro.distillation.film import Film
    from placid_kedro.distillation.splats import distill
    from placid_kedro.distillation.summary import DistillationSummary
    from placid_kedro.pipelines.loading import folder_of, start
    from placid_kedro.splats import without_unseen

    device, curves = start(run), Curves()
    guard, film = GuidanceGuard(steps=parameters.steps), Film(parameters.film, parameters.steps)
    with (
        text_to_image_on(folder_of(models.text_to_image), device, run.precision) as model,
        lora_applied(model, lora),
    ):
        gaussians = distill(
            initial_gaussians,
            model,
            {view.azimuth_deg: view.text for view in prompts.views},
            distillation,
            parameters,
            overhead_prompt=view_prompt(prompts.drawn, wording.view_template, "overhead"),
            generator=stage_generator(seed, "bsd_3dgs"),
            views=_anchor(views, parameters.anchor),
            guard=guard,
            film=film,
            curves=curves,
            checkpoint=current_run().checkpoint,
            progress=current_run().progress,
        )
    unseen = parameters.unseen
    seen = gaussians if unseen is None else without_unseen(gaussians.to(device), unseen).to("cpu")
    summary = DistillationSummary(
        steps=parameters.steps,
        samples=parameters.steps * parameters.cameras_per_step,
        skipped_samples=guard.skipped,
        skipped_steps=guard.skipped_steps,
        unseen_gaussians=len(gaussians) - len(seen),
    )
    return seen, summary, film.views(), curves_plot(curves)


def _anchor(views: PosedViews, parameters: AnchorParameters | None) -> TargetViews | None:
    """The views with the object cut out of them."""
    from placid_kedro.splats import TargetViews
    from placid_kedro.surface.background import cut_out

    if parameters is None:
        return None
    return TargetViews(views, cut_out(views.images, parameters.hole_tolerance)[:, 3])
