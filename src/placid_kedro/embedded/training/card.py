"""The model card of the embedded models."""

from __future__ import annotations

from collections.abc import Sequence

from placid_kedro.embedded.training.cost import PretrainPlan, StageCost
from placid_kedro.embedded.training.split import ObjectSplit

_TEXT = """\
# Embedded models

Small models that let the whole pipeline run on a CPU without a download. `kedro run --pipeline pretrain` makes them
from scratch; each is a folder in the diffusers layout with float16 weights.

| folder | what it is |
|---|---|
| `text_to_image` | latent diffusion UNet at {size} px, conditioned on MiniLM's token states |
| `zero123` | latent diffusion UNet that draws an object from another side, from an image lifted into a volume |
| `latent_plane` | Latent-Plane for `zero123` |
| `scorer` | image-text scorer for evaluation; it never guides a generation |

The autoencoder (`vae`, f8) is made of the principal components of {patch} x {patch} patches, with a small network that
repairs what these leave open. At last it learned from what both models draw of the vocabulary.

## What they know

The text-to-image model knows {vocabulary} objects of {names} names, some with the word of their colour or `wooden`:

> {known}

Any other prompt gives something that resembles one of these. View words ("..., back view") are in a half of its
captions, plain captions mostly show the front. The other models saw views of
{objects} objects. {held_out} objects were drawn by seed before any training and, with every object that shares a name
with one of them, were seen by no model: measurements use them.

## How they were trained

{objects} objects of Sweet Home 3D's furniture libraries, {views} views each at {size} px. The novel-view model and
Latent-Plane also learned from each of them in other shapes, stretched, tapered and turned at random, and from {made}
objects made by chance (`placid_kedro.embedded.made`: tables, lamps, plants, figures). The text-to-image model
regresses on the exact posterior mean over all latents that a caption admits, both UNets predict v with the x0 error
weighted by the clamped signal-to-noise ratio, and all weights are exponential averages. The novel-view model first
lifts its reference into a volume of features in the reference's frustum (`lifted_reference`, trained on the latents and
silhouettes of the other views) and hands the UNet what the wanted view's rays meet there. What `generate` wants of it,
eight views around and as many from lower down, it learns most often.

| stage | steps | samples | estimated hours |
|---|---|---|---|
{costs}

Estimated on {machine}.

## Limits

Objects stand alone on white, upright, at one distance, without cast shadows. Shapes are coarse, texts and thin parts
are lost, people and animals are few.

## Licence

The weights are under Apache-2.0. The objects that they learned from are under CC0 and CC-BY licences: whoever shares
the weights keeps `ATTRIBUTION.md` with them.
"""


def model_card(split: ObjectSplit, plan: PretrainPlan, size: int, views: int, patch: int) -> str:
    """The card (Markdown).

    Args:
        split: of the objects.
        plan: of the training.
        size: of the images in pixels.
        views: of each object.
        patch: side of the autoencoder's patches.
    """
    names = split.vocabulary_names
    return _TEXT.format(
        size=size,
        patch=patch,
        vocabulary=len(split.vocabulary),
        names=len(names),
        known=", ".join(names),
        objects=len(split.trained),
        held_out=len(split.held_out),
        views=views,
        made=plan.made,
        costs="\n".join(_rows(plan.stages)),
        machine=plan.machine,
    )


def _rows(stages: Sequence[StageCost]) -> list[str]:
    return [
        f"| {cost.stage} | {cost.steps or '-'} | {cost.samples or '-'} | "
        f"{'-' if cost.hours is None else f'{cost.hours:.2f}'} |"
        for cost in stages
    ]
