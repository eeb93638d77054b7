"""Nodes of the stage `reference`."""

from placid_kedro.app.run_context import current_run
from placid_kedro.config import ModelsParameters, ReferenceParameters, RunParameters
from placid_kedro.pipelines.types import Tensor
from placid_kedro.prompts import Prompts
from placid_kedro.randomness import stage_generator


def sample_reference(
    prompts: Prompts, seed: int, models: ModelsParameters, run: RunParameters, parameters: ReferenceParameters
) -> Tensor:
    """Draw the object from the front and cut it out: [4, H, W] in [0, 1]."""
    from placid_kedro.diffusion.text_to_image import load_text_to_image, sample_images
    from placid_kedro.pipelines.loading import folder_of, start
    from placid_kedro.surface.background import fit_with_margin, remove_background

    device = start(run)
    images = sample_images(
        load_text_to_image(folder_of(models.text_to_image), device),
        [parameters.template.format(prompt=prompts.text)],
        steps=parameters.steps,
        guidance_scale=parameters.guidance_scale,
        generator=stage_generator(seed, "reference"),
        progress=current_run().progress,
    )
    cut_out = remove_background(images[0].cpu())
    if parameters.margin is None:
        return cut_out
    return fit_with_margin(cut_out, parameters.margin, cut_out.shape[-1])
