"""Model folders in the diffusers layout: the embedded models, the hub's and a researcher's own."""

from __future__ import annotations

import hashlib
import json
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import nn

from placid_kedro.errors import ModelError
from placid_kedro.files import file_hash, is_local
from placid_kedro.finite import first_not_finite

# A folder decides which classes are loaded, so only these libraries may be named in it.
_LIBRARIES = {
    "diffusers": "diffusers",
    "transformers": "transformers",
    "placid_kedro": "placid_kedro.embedded.networks",
    "placid_kedro.latent_plane": "placid_kedro.latent_plane",
    # The names under which Zero-1-to-3's checkpoints know their projection of image and pose.
    "pipeline_zero1to3": "placid_kedro.diffusion.pose_projection",
    "zero123": "placid_kedro.diffusion.pose_projection",
}
INDEX = "model_index.json"
# Only the components' own folders: beside them lie single-file checkpoints and copies in other precisions.
_HUB_FILES = ["*.json", "*.txt", "*/*.safetensors"]
_HUB_COPIES = ["*.fp16.*", "*.non_ema.*", "*.fp16_ema.*", "safety_checker/*"]


def model_folder(source: str, root: Path) -> Path:
    """The local folder of a model.

    Args:
        source: a path that begins with `.`, `/` or `~` (relative to `root`), or a hub id, which is downloaded
            once into the hub's cache.
        root: the project's folder.

    Raises:
        ModelError: when there is no such folder, or the hub cannot be reached.
    """
    if is_local(source):
        folder = (root / Path(source).expanduser()).resolve()
        if not (folder / INDEX).is_file():
            raise ModelError(
                f"{source} holds no model ({INDEX} is missing); give a folder in the diffusers layout or a hub id."
            )
        return folder
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(source, allow_patterns=_HUB_FILES, ignore_patterns=_HUB_COPIES))
    except Exception as error:  # the client raises its own, requests' and the operating system's errors
        raise ModelError(
            f"The model {source} cannot be fetched from the hub ({type(error).__name__}); "
            "check the name and the network, or give a local folder."
        ) from error


def component_names(folder: Path) -> tuple[str, ...]:
    """The components that a model folder's index lists."""
    return tuple(name for name, entry in _index(folder).items() if isinstance(entry, list) and entry[0])


def load_component(folder: Path, name: str) -> Any:
    """One component of a model (a frozen network in float32 and evaluation mode, a tokenizer, a scheduler).

    Raises:
        ModelError: when the index does not list it, names a class of an unknown library, or its files are
            missing, damaged or of another architecture.
    """
    entry = _index(folder).get(name)
    if not isinstance(entry, list) or len(entry) != 2 or not entry[0]:
        raise ModelError(f"{folder / INDEX} lists no component {name!r}, which this stage needs.")
    library, class_name = entry
    if library not in _LIBRARIES:
        raise ModelError(
            f"{folder / INDEX} wants {name!r} from the library {library!r}; known are {', '.join(_LIBRARIES)}."
        )
    try:
        loaded_class = getattr(import_module(_LIBRARIES[library]), class_name)
    except AttributeError as error:
        raise ModelError(
            f"{library} has no class {class_name}, which {folder / INDEX} names for {name!r}."
        ) from error
    if not (folder / name).is_dir():
        raise ModelError(f"{folder / name} is missing; {folder / INDEX} lists it as a part of the model.")
    try:
        if issubclass(loaded_class, nn.Module):
            return _load_network(loaded_class, folder / name)
        return loaded_class.from_pretrained(folder / name)
    except ModelError:
        raise
    except Exception as error:  # safetensors, json, torch and the two libraries each raise their own
        raise ModelError(
            f"{folder / name} cannot be loaded as {class_name} ({type(error).__name__}: {_first_line(error)}); "
            "its files are missing, damaged or of another model."
        ) from error


def _load_network(network_class: Any, folder: Path) -> nn.Module:
    options: dict[str, Any] = {"use_safetensors": True, "output_loading_info": True}
    if network_class.__module__.startswith("transformers."):
        options["dtype"] = torch.float32
    else:
        options.update(torch_dtype=torch.float32, low_cpu_mem_usage=False)
    network, found = network_class.from_pretrained(folder, **options)
    # Both libraries only warn of weights that are not in the file, and go on with random ones.
    if found["missing_keys"]:
        first, *others = sorted(found["missing_keys"])
        more = f" and {len(others)} more" if others else ""
        raise ModelError(f"The weights in {folder} lack {first}{more}; they are of another model.")
    unusable = first_not_finite({**dict(network.named_parameters()), **dict(network.named_buffers())})
    if unusable is not None:
        raise ModelError(
            f"The weights in {folder} hold values that are not finite, in {unusable}; get them anew."
        )
    frozen: nn.Module = network.eval().requires_grad_(False)
    return frozen


def _index(folder: Path) -> dict[str, Any]:
    try:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{folder / INDEX} is missing or damaged; a model folder needs it.") from error
    if not isinstance(index, dict):
        raise ModelError(f"{folder / INDEX} must hold an object with a line for each component.")
    return index


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or ["no further word"])[0][:200]


def model_identity(folder: Path) -> str:
    """16 hexadecimal digits of what decides a noise prediction: the UNet's files and the scheduler's."""
    digest = hashlib.sha256()
    for part in ("unet", "scheduler"):
        for path in sorted((folder / part).iterdir()):
            if path.suffix in (".json", ".safetensors"):
                digest.update(f"{part}/{path.name} {file_hash(path)}\n".encode())
    return digest.hexdigest()[:16]
