"""Nodes of the stage `bsd_3dgs`."""

from placid_kedro.app.run_context import current_run
from placid_kedro.config import BsdParameters, DistillationConfig, ModelsParameters, RunParameters
from placid_kedro.pipelines.types import Gaussians, Tensor
from placid_kedro.prompts import Prompts
from placid_kedro.randomness import stage_generator


def distill_into_gaussians(
    initial_gaussians: Gaussians,
    lora: dict[str, Tensor],
    prompts: Prompts,
    seed: int,
    models: ModelsParameters,
    run: RunParameters,
    distillation: DistillationConfig,
    parameters: BsdParameters,
) -> Gaussians:
    """Optimise the Gaussians under the fine-tuned model."""
    from placid_kedro.diffusion.lora import lora_applied
    from placid_kedro.diffusion.text_to_image import load_text_to_image
    from placid_kedro.distillation.splats import distill
    from placid_kedro.pipelines.loading import folder_of, start

    device = start(run)
    model = load_text_to_image(folder_of(models.text_to_image), device)
    with lora_applied(model, lora):
        return distill(
            initial_gaussians,
            model,
            {view.azimuth_deg: view.text for view in prompts.views},
            distillation,
            parameters,
            generator=stage_generator(seed, "bsd_3dgs"),
            progress=current_run().progress,
        )
