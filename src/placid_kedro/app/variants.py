"""Variants of a sweep: a run's parameters with some of them changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from placid_kedro.ablation.config import AblationParameters
from placid_kedro.app import preflight
from placid_kedro.app.config_loader import merged
from placid_kedro.config import Parameters
from placid_kedro.config.check import check_parameters
from placid_kedro.errors import ParameterError, PlacidError

# What a sweep itself decides for each of its cells.
_NOT_A_VARIANTS = ("prompt", "seed", "experiment", "tracking", "ablation")


def experiment_of(sweep: str, variant: str) -> str:
    """The experiment's name of a variant in a sweep: the folder of its objects."""
    return f"{sweep}/{variant}"


def variants_of(parameters: Parameters) -> list[Parameters]:
    """What each variant of a sweep makes of its run's parameters, for the first prompt and seed.

    Raises:
        ParameterError: a variant changes a parameter that there is not, or that is not a variant's to change.
        PlacidError: the prompt or a variant's point cloud cannot be used.
    """
    tree, ablation = parameters.model_dump(mode="json"), parameters.ablation
    first = ablation.prompts[0], ablation.seeds[0]
    return [
        checked_variant(variant_tree(tree, ablation, variant, *first), variant)
        for variant in ablation.variants
    ]


def variant_tree(
    configured: Mapping[str, Any], ablation: AblationParameters, variant: str, prompt: str, seed: int
) -> dict[str, Any]:
    """The whole tree of parameters of one object of a sweep.

    Raises:
        ParameterError: the variant changes what the sweep decides.
    """
    changes = ablation.known_variants[variant]
    for name in _NOT_A_VARIANTS:
        if name in changes:
            raise ParameterError(
                f"The variant {variant!r} changes '{name}', which the sweep decides; take it out of "
                f"ablation.known_variants.{variant}."
            )
    own = {"prompt": prompt, "seed": seed, "experiment": experiment_of(ablation.name, variant)}
    return merged(merged(dict(configured), changes), own)


def checked_variant(tree: dict[str, Any], variant: str) -> Parameters:
    """The parameters of a variant's tree.

    Raises:
        PlacidError: they are wrong; naming the variant.
    """
    try:
        parameters = check_parameters(tree)
        preflight.check_prompt(parameters)
        preflight.check_init(parameters.init, parameters.multiview.plane_preset)
    except PlacidError as error:
        raise type(error)(f"In the variant {variant!r}: {error}") from error
    return parameters
