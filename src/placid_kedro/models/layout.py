"""Which files a model in the diffusers layout needs, whether they lie in a folder or are listed by the hub."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from placid_kedro.errors import ModelError

INDEX = "model_index.json"
NAMES = "names.txt"
# Filters of a hosted service, their preprocessing, and the copy of `shap_e_renderer` (0.9 GB) that openai/shap-e keeps
# under its older name: no stage of this project takes them.
_UNUSED = ("safety_checker", "feature_extractor", "image_processor", "renderer")
# Components that are no networks, by the end of their class's name, and what each needs: one of these sets.
_PLAIN: dict[str, tuple[tuple[str, ...], ...]] = {
    "Scheduler": (("scheduler_config.json",),),
    "Tokenizer": (("vocab.json", "merges.txt"), ("tokenizer.json",)),
    "TokenizerFast": (("tokenizer.json",), ("vocab.json", "merges.txt")),
    "MiniLMTextEncoder": (("settings.json",),),
}
_PLAIN_SUFFIXES = (".json", ".txt", ".model")
# diffusers' and transformers' names of a network's weights; code inside a pickle is never run (`weights_only`).
_STEMS = (("diffusion_pytorch_model", "safetensors"), ("model", "safetensors"))
_PICKLED_STEMS = (("diffusion_pytorch_model", "bin"), ("pytorch_model", "bin"))
_VARIANTS = (None, "fp16")


@dataclass(frozen=True)
class WeightFiles:
    """The weights that are taken of a network's folder, where it holds several copies.

    Attributes:
        files: their names in the folder, with the index of a split one first.
        safetensors: whether they are safetensors, else pickled tensors.
        variant: `fp16`, or None for the plain names.
    """

    files: tuple[str, ...]
    safetensors: bool
    variant: str | None


def file_sizes(folder: Path) -> dict[str, int]:
    """Every file below a folder, by its path in it, and its bytes; half-written ones are left out."""
    return {
        path.relative_to(folder).as_posix(): path.stat().st_size
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix != ".incomplete"
    }


def read_object(path: Path) -> dict[str, Any]:
    """The content of a `model_index.json` or of a component's configuration.

    Raises:
        ModelError: it is missing, damaged or no object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} is missing or damaged; a model folder needs it.") from error
    if not isinstance(content, dict):
        raise ModelError(f"{path} must hold an object with names and values; get it again.")
    return content


def components(index: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Library and class of each component that a stage can take, by name."""
    return {
        name: (entry[0], entry[1])
        for name, entry in index.items()
        if isinstance(entry, list) and len(entry) == 2 and entry[0] and name not in _UNUSED
    }


def is_network(class_name: str) -> bool:
    """Whether a component of this class has a configuration and weights."""
    return not class_name.endswith(tuple(_PLAIN))


def choose_weights(names: Iterable[str]) -> WeightFiles | None:
    """The weights to take of a network's folder: safetensors before pickles, plain names before fp16 ones.

    Args:
        names: of the folder's files.

    Returns:
        None where there are none, or only some parts of split ones.
    """
    present = frozenset(names)
    for stems, safetensors in ((_STEMS, True), (_PICKLED_STEMS, False)):
        for variant in _VARIANTS:
            for stem, suffix in stems:
                files = _one_file(present, stem, suffix, variant) or _parts(present, stem, suffix, variant)
                if files:
                    return WeightFiles(files, safetensors, variant)
    return None


def _one_file(present: frozenset[str], stem: str, suffix: str, variant: str | None) -> tuple[str, ...]:
    name = f"{stem}.{variant}.{suffix}" if variant else f"{stem}.{suffix}"
    return (name,) if name in present else ()


def _parts(present: frozenset[str], stem: str, suffix: str, variant: str | None) -> tuple[str, ...]:
    """The files of weights that are split: `STEM-00001-of-00002.SUFFIX`, with the variant in either place."""
    index = f"{stem}.{suffix}.index.{variant}.json" if variant else f"{stem}.{suffix}.index.json"
    part = r"-\d{5}-of-(\d{5})"
    names = (rf"\.{variant}{part}", rf"{part}\.{variant}") if variant else (part,)
    pattern = re.compile("|".join(rf"{stem}{name}\.{suffix}" for name in names))
    parts = sorted(name for name in present if pattern.fullmatch(name))
    totals = {int(next(filter(None, found.groups()))) for found in map(pattern.fullmatch, parts) if found}
    return (index, *parts) if index in present and totals == {len(parts)} else ()


def needed_files(index: Mapping[str, Any], present: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What a model needs of the files that there are, and what it lacks.

    Args:
        index: of the model, as `read_object` gives it.
        present: paths of all files there are, in the model's folder or repository.

    Returns:
        The paths of the files to take, and for every lack one phrase such as "weights in unet".
    """
    files = list(present)
    taken, lacking = [INDEX, *(name for name in files if name == NAMES)], []
    for component, (_, class_name) in components(index).items():
        prefix = f"{component}/"
        inside = [name[len(prefix) :] for name in files if name.startswith(prefix)]
        names, lack = _of_network(inside) if is_network(class_name) else _of_plain(class_name, inside)
        taken += [prefix + name for name in names]
        lacking += [f"{what} in {component}" for what in lack]
    return tuple(dict.fromkeys(taken)), tuple(lacking)


def _of_network(inside: list[str]) -> tuple[list[str], list[str]]:
    weights = choose_weights(inside)
    names = [name for name in ("config.json",) if name in inside] + list(weights.files if weights else ())
    lack = [] if "config.json" in inside else ["config.json"]
    return names, lack + ([] if weights else ["weights (a .safetensors or .bin file)"])


def _of_plain(class_name: str, inside: list[str]) -> tuple[list[str], list[str]]:
    names = [name for name in inside if "/" not in name and name.endswith(_PLAIN_SUFFIXES)]
    choices = next(sets for end, sets in _PLAIN.items() if class_name.endswith(end))
    complete = any(all(name in inside for name in one) for one in choices)
    return names, [] if complete else [" and ".join(choices[0])]
