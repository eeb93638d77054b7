"""Nodes of the stage `reference`."""

from placid_kedro.app.run_context import current_run
from placid_kedro.config import ModelsParameters, ReferenceParameters, RunParameters
from placid_kedro.pipelines.types import Tensor
from placid_kedro.prompts import Prompts
from placid_kedro.randomness import stage_generator


def sample_reference(
    prompts: Prompts, seed: int, models: ModelsParameters, run: RunParameters, parameters: ReferenceParameters
) -> Tensor:
    """The object from the front, drawn or in a picture of the user's own, cut out: [4, H, W] in [0, 1]."""
    from pathlib import Path

    from placid_kedro.diffusion.text_to_image import load_text_to_image, sample_images
    from placid_kedro.embedded.nearest_names import warn_if_far
    from placid_kedro.pipelines.loading import folder_of, start
    from placid_kedro.surface.matting import load_remover
    from placid_kedro.surface.reference_image import drawn_reference, own_reference

    device = start(run)
    remover = load_remover(parameters.background, Path.cwd())
    if parameters.image:
        return own_reference(Path(parameters.image).expanduser(), remover, parameters)
    folder = folder_of(models.text_to_image)
    warn_if_far(prompts.text, folder)
    model = load_text_to_image(folder, device, run.precision)

    def draw(attempt: int) -> Tensor:
        return sample_images(
            model,
            [parameters.template.format(prompt=prompts.text)],
            steps=parameters.steps,
            guidance_scale=parameters.guidance_scale,
            generator=stage_generator(seed, f"reference/{attempt}" if attempt else "reference"),
            progress=current_run().progress,
        )[0].cpu()

    return drawn_reference(draw, remover, parameters)
