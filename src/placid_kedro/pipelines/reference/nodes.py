"""Nodes of the stage `reference`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

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

    from placid_kedro.pipelines.loading import start
    from placid_kedro.surface.matting import load_remover
    from placid_kedro.surface.reference_image import drawn_reference, own_reference

    device = start(run)
    remover = load_remover(parameters.background, Path.cwd())
    if parameters.image:
        return own_reference(Path(parameters.image).expanduser(), remover, parameters)
    source = parameters.source
    if source.kind == "mvdream":
        painter = _mvdream(prompts, models, run, parameters, source.elevation_deg, device)
    else:
        painter = _text_to_image(prompts, models, run, parameters, device)
    with painter as draw:
        return drawn_reference(
            lambda number: draw(stage_generator(seed, f"reference/{number}" if number else "reference")),
            remover,
            parameters,
        )


# What draws one image [3, H, W] on the CPU with a generator.
Draw = Callable[[Any], Tensor]


@contextmanager
def _text_to_image(
    prompts: Prompts,
    models: ModelsParameters,
    run: RunParameters,
    parameters: ReferenceParameters,
    device: Any,
) -> Iterator[Draw]:
    from placid_kedro.diffusion.text_to_image import sample_images, text_to_image_on
    from placid_kedro.pipelines.loading import folder_of

    with text_to_image_on(folder_of(models.text_to_image), device, run.precision) as model:
        yield lambda generator: sample_images(
            model,
            [parameters.template.format(prompt=prompts.drawn)],
            steps=parameters.steps,
            guidance_scale=parameters.guidance_scale,
            generator=generator,
            progress=current_run().progress,
        )[0].cpu()


@contextmanager
def _mvdream(
    prompts: Prompts,
    models: ModelsParameters,
    run: RunParameters,
    parameters: ReferenceParameters,
    elevation_deg: float,
    device: Any,
) -> Iterator[Draw]:
    """The front of four views that are drawn together."""
    from placid_kedro.diffusion.multiview import Subject
    from placid_kedro.diffusion.mvdream import four_views, load_mvdream
    from placid_kedro.latent_plane.sampling import sample_views
    from placid_kedro.pipelines.loading import folder_of

    model = load_mvdream(folder_of(models.mvdream), device, run.precision)
    cameras = four_views(elevation_deg, model.image_size)

    def draw(generator: Any) -> Tensor:
        views = sample_views(
            model,
            Subject(parameters.template.format(prompt=prompts.text)),
            cameras,
            steps=parameters.steps,
            guidance_scale=parameters.guidance_scale,
            generator=generator,
            progress=current_run().progress,
        )
        return views.images[0].cpu()

    yield draw
