"""What the text-to-image model draws for prompts of all kinds, as the reference of `generate`, in one picture.

    python benchmarks/prompt_tries.py docs/images/prompt_tries.png "a teddy bear" "a blue teddy bear" "a dragon"

Seed 0, parameters of `conf/base`; `--as-they-are` puts no prompt into words that the model knows. Run it in the
project's folder. A prompt for which nothing can be cut out is told, with the sentence of the run, and its place stays
empty.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch
import yaml
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from placid_kedro.config import PromptProcessorParameters, ReferenceParameters
from placid_kedro.diffusion.text_to_image import TextToImage, load_text_to_image, sample_images
from placid_kedro.embedded.known_words import in_known_words
from placid_kedro.errors import DataError
from placid_kedro.images import over_white
from placid_kedro.randomness import stage_generator
from placid_kedro.surface.matting import load_remover
from placid_kedro.surface.reference_image import drawn_reference

COLUMNS, INCHES = 5, 1.7
MODEL = Path("models/text_to_image")
PARAMETERS = Path("conf/base")


def parameters_of(group: str, stage: str) -> Any:
    """The group of a stage's parameters, as they are shipped."""
    return yaml.safe_load((PARAMETERS / f"parameters_{stage}.yml").read_text())[group]


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
    parser.add_argument("--as-they-are", action="store_true", help="every word as it stands")
    given = parser.parse_args()
    parameters = ReferenceParameters.model_validate(parameters_of("reference", "reference"))
    words = PromptProcessorParameters.model_validate(parameters_of("prompt_processor", "prompt"))
    nearest = None if given.as_they_are else words.known_words
    model = load_text_to_image(MODEL, torch.device("cpu"))
    rows = -(-len(given.prompts) // COLUMNS)
    figure = Figure(figsize=(INCHES * COLUMNS, (INCHES + 0.25) * rows), layout="constrained", dpi=100)
    places = list(figure.subplots(rows, COLUMNS, squeeze=False).flat)
    for place in places:
        place.axis("off")
    for place, prompt in zip(places, given.prompts, strict=False):
        drawn = in_known_words(prompt, MODEL, nearest)
        place.set_title(prompt, fontsize=8)
        try:
            place.imshow(over_white(reference(drawn, model, parameters)).permute(1, 2, 0).numpy())
        except DataError as error:
            print(f"{prompt}: {error}")
    figure.savefig(given.target)
    with Image.open(given.target) as image:
        image.convert("RGB").quantize(256).save(given.target, optimize=True)


if __name__ == "__main__":
    main()
