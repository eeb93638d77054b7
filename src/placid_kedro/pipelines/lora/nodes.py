"""Nodes of the stage `lora`."""

from placid_kedro.app.run_context import current_run
from placid_kedro.config import LoraParameters, ModelsParameters, RunParameters
from placid_kedro.pipelines.types import Figure, PosedViews, Tensor
from placid_kedro.prompts import Prompts
from placid_kedro.randomness import stage_generator


def personalise(
    prompts: Prompts,
    views: PosedViews,
    seed: int,
    models: ModelsParameters,
    run: RunParameters,
    parameters: LoraParameters,
) -> tuple[dict[str, Tensor], Figure]:
    """Fine-tune the text-to-image UNet on the views and their directional prompts: the LoRA's weights, its loss."""
    from torch.nn import functional as F

    from placid_kedro.curves import Curves, curves_plot
    from placid_kedro.diffusion.lora import fine_tune
    from placid_kedro.diffusion.text_to_image import text_to_image_on
    from placid_kedro.pipelines.loading import folder_of, start

    device, curves = start(run), Curves()
    with text_to_image_on(folder_of(models.text_to_image), device, run.precision) as model:
        size = model.image_size
        images = F.interpolate(
            views.images, (size, size), mode="bilinear", antialias=True, align_corners=False
        )
        weights = fine_tune(
            model,
            images.clamp(0, 1),
            [prompts.at(azimuth).text for azimuth in views.azimuths_deg()],
            rank=parameters.rank,
            learning_rate=parameters.learning_rate,
            steps=parameters.steps,
            batch_size=parameters.batch_size,
            generator=stage_generator(seed, "lora"),
            curves=curves,
            checkpoint=current_run().checkpoint,
            progress=current_run().progress,
        )
    return weights, curves_plot(curves)
