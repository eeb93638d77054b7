"""What the text-to-image model draws for prompts of all kinds, as the reference of `generate`, in one picture.

    python benchmarks/prompt_tries.py docs/images/prompt_tries.png "a teddy bear" "a blue teddy bear" "a dragon"

Seed 0, parameters of `conf/base/parameters_reference.yml`. Run it in the project's folder. A prompt for which nothing
can be cut out is told, with the sentence of the run, and its place stays empty.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
import yaml
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from placid_kedro.config import ReferenceParameters
from placid_kedro.diffusion.text_to_image import TextToImage, load_text_to_image, sample_images
from placid_kedro.embedded.nearest_names import warn_if_far
from placid_kedro.errors import DataError
from placid_kedro.images import over_white
from placid_kedro.randomness import stage_generator
from placid_kedro.surface.matting import load_remover
from placid_kedro.surface.reference_image import drawn_reference

COLUMNS, INCHES = 5, 1.7
MODEL = Path("models/text_to_image")
PARAMETERS = Path("conf/base/parameters_reference.yml")


def reference(prompt: str, model: TextToImage, parameters: ReferenceParameters) -> Tensor:
    """What the node `sample_reference` makes of a prompt with seed 0: [4, H, W]."""

    def draw(number: int) -> Tensor:
        stage = f"reference/{number}" if number else "reference"
        return sample_images(
            model,
            [parameters.template.format(prompt=prompt)],
            steps=parameters.steps,
            guidance_scale=parameters.guidance_scale,
            generator=stage_generator(0, stage),
        )[0]

    return drawn_reference(draw, load_remover(parameters.background, Path.cwd()), parameters)


def main() -> None:
    """Draw all prompts of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("target", type=Path)
    parser.add_argument("prompts", nargs="+")
    given = parser.parse_args()
    parameters = ReferenceParameters.model_validate(yaml.safe_load(PARAMETERS.read_text())["reference"])
    model = load_text_to_image(MODEL, torch.device("cpu"))
    rows = -(-len(given.prompts) // COLUMNS)
    figure = Figure(figsize=(INCHES * COLUMNS, (INCHES + 0.25) * rows), layout="constrained", dpi=100)
    places = list(figure.subplots(rows, COLUMNS, squeeze=False).flat)
    for place in places:
        place.axis("off")
    for place, prompt in zip(places, given.prompts, strict=False):
        warn_if_far(prompt, MODEL)
        place.set_title(prompt, fontsize=8)
        try:
            place.imshow(over_white(reference(prompt, model, parameters)).permute(1, 2, 0).numpy())
        except DataError as error:
            print(f"{prompt}: {error}")
    figure.savefig(given.target)
    with Image.open(given.target) as image:
        image.convert("RGB").quantize(256).save(given.target, optimize=True)


if __name__ == "__main__":
    main()
