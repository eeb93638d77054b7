"""Model folders in the diffusers layout: the embedded models, the hub's and a researcher's own."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import nn

from placid_kedro.errors import ModelError
from placid_kedro.files import file_hash
from placid_kedro.finite import first_not_finite
from placid_kedro.models import INDEX, choose_weights, find_model, obtain_model, read_object
from placid_kedro.models.weights import check_weights

# A folder decides which classes are loaded, so only these libraries may be named in it.
_LIBRARIES = {
    "diffusers": "diffusers",
    "transformers": "transformers",
    "placid_kedro": "placid_kedro.embedded.networks",
    "placid_kedro.latent_plane": "placid_kedro.latent_plane",
    # The names under which Zero-1-to-3's checkpoints know their projection of image and pose.
    "pipeline_zero1to3": "placid_kedro.diffusion.pose_projection",
    "zero123": "placid_kedro.diffusion.pose_projection",
    # That under which diffusers knows Shap-E's renderer.
    "shap_e": "diffusers.pipelines.shap_e",
    # Those under which the ports of MVDream know its UNet.
    "mv_unet": "placid_kedro.diffusion.mvdream.unet",
    "mvdream.mv_unet": "placid_kedro.diffusion.mvdream.unet",
    "mvdream.models": "placid_kedro.diffusion.mvdream.unet",
}

logger = logging.getLogger(__name__)


def model_folder(source: str | Sequence[str], root: Path) -> Path:
    """The local folder of a model, fetched from the hub where it is not here yet.

    Args:
        source: where it comes from, or several such places, best first (see `placid_kedro.models.find_model`).
        root: the project's folder.

    Raises:
        ModelError: when none of the sources has it, or the hub cannot be reached.
    """
    available = find_model(source, root)
    for reason in available.passed_over:
        logger.info("%s is taken: %s", available.pinned, reason)
    return obtain_model(available)


def component_names(folder: Path) -> tuple[str, ...]:
    """The components that a model folder's index lists."""
    return tuple(
        name for name, entry in read_object(folder / INDEX).items() if isinstance(entry, list) and entry[0]
    )


def load_component(folder: Path, name: str) -> Any:
    """One component of a model (a frozen network in float32 and evaluation mode, a tokenizer, a scheduler).

    Raises:
        ModelError: when the index does not list it, names a class of an unknown library, or its files are
            missing, damaged or of another architecture.
    """
    entry = read_object(folder / INDEX).get(name)
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
    weights = choose_weights(path.name for path in folder.iterdir())
    if weights is None:
        raise ModelError(
            f"{folder} holds no weights (a .safetensors or .bin file); get the missing files again."
        )
    for name in weights.files:
        check_weights(folder / name)
    # Pickles are read with torch's `weights_only`, by both libraries: tensors, no code.
    options: dict[str, Any] = {
        "use_safetensors": weights.safetensors,
        "variant": weights.variant,
        "output_loading_info": True,
    }
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


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or ["no further word"])[0][:200]


def model_identity(folder: Path) -> str:
    """16 hexadecimal digits of what decides a noise prediction: the UNet's files and the scheduler's."""
    weights = choose_weights(path.name for path in (folder / "unet").iterdir())
    taken = weights.files if weights else ()
    digest = hashlib.sha256()
    for part in ("unet", "scheduler"):
        for path in sorted((folder / part).iterdir()):
            if path.suffix == ".json" or path.name in taken:
                digest.update(f"{part}/{path.name} {file_hash(path)}\n".encode())
    return digest.hexdigest()[:16]
