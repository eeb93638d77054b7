"""What the text-to-image model draws for prompts of all kinds, as the reference of `generate`, in one picture.

    python benchmarks/prompt_tries.py docs/images/prompt_tries.png "a teddy bear" "a blue teddy bear" "a dragon"

Seed 0, parameters of `conf/base`; `--as-they-are` puts no prompt into words that the model knows. Run it in the
project's folder. A prompt for which nothing can be cut out is told, with the sentence of the run, and its place stays
empty.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from matplotlib.figure import Figure
from PIL import Image
from what_if_perfect import parameters_of

from placid_kedro.errors import DataError
from placid_kedro.images import over_white
from placid_kedro.pipelines.prompt.nodes import process_prompt
from placid_kedro.pipelines.reference.nodes import sample_reference

COLUMNS, INCHES = 5, 1.7
SEED = 0


def main() -> None:
    """Draw all prompts of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("target", type=Path)
    parser.add_argument("prompts", nargs="+")
    parser.add_argument("--as-they-are", action="store_true", help="every word as it stands")
    given = parser.parse_args()
    parameters = parameters_of("prompt_processor.known_words=null" if given.as_they_are else "")
    models = parameters.models
    rows = -(-len(given.prompts) // COLUMNS)
    figure = Figure(figsize=(INCHES * COLUMNS, (INCHES + 0.25) * rows), layout="constrained", dpi=100)
    places = list(figure.subplots(rows, COLUMNS, squeeze=False).flat)
    for place in places:
        place.axis("off")
    for place, prompt in zip(places, given.prompts, strict=False):
        place.set_title(prompt, fontsize=8)
        prompts = process_prompt(prompt, SEED, models.text_to_image, parameters.prompt_processor)
        try:
            image = sample_reference(prompts, SEED, models, parameters.run, parameters.reference)
            place.imshow(over_white(image).permute(1, 2, 0).numpy())
        except DataError as error:
            print(f"{prompt}: {error}")
    figure.savefig(given.target)
    with Image.open(given.target) as image:
        image.convert("RGB").quantize(256).save(given.target, optimize=True)


if __name__ == "__main__":
    main()
