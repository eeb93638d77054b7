"""A published checkpoint of Zero-1-to-3 as a model folder in the diffusers layout."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from placid_kedro.diffusion.compvis.checkpoint import REMEDY, Checkpoint, read_checkpoint
from placid_kedro.diffusion.compvis.clip_vision import clip_tensors
from placid_kedro.diffusion.compvis.configurations import (
    autoencoder_configuration,
    clip_configuration,
    projection_configuration,
    scheduler_configuration,
    unet_configuration,
)
from placid_kedro.diffusion.compvis.networks import UNET_PREFIX, diffusers_network
from placid_kedro.diffusion.pose_projection import CCProjection
from placid_kedro.diffusion.saving import write_index
from placid_kedro.errors import ModelError
from placid_kedro.foreign import reading

# Zero123-XL has 15 GiB: beside the networks an average of the UNet and the state of its optimiser.
MAX_BYTES = 64 * 2**30
_AUTOENCODER, _VISUAL = "first_stage_model.", "cond_stage_model.model.visual."
_INDEX = {
    "unet": ("diffusers", "UNet2DConditionModel"),
    "vae": ("diffusers", "AutoencoderKL"),
    "image_encoder": ("transformers", "CLIPVisionModelWithProjection"),
    "cc_projection": ("pipeline_zero1to3", "CCProjection"),
    "scheduler": ("diffusers", "DDIMScheduler"),
}


@dataclass(frozen=True, eq=False)
class Zero123Folder:
    """A Zero-1-to-3 on its way into a folder.

    Attributes:
        parts: networks and scheduler by the names of their components.
    """

    parts: dict[str, Any]

    def save_pretrained(self, save_directory: Path) -> None:
        """Write every part, as float32, and the index."""
        for name, part in self.parts.items():
            part.save_pretrained(save_directory / name)
        write_index(save_directory, "Zero1to3StableDiffusionPipeline", _INDEX)


def import_zero123(path: Path) -> Zero123Folder:
    """The networks of a checkpoint such as `zero123-xl.ckpt`. Weights stay on the disk until they are needed.

    The UNet's weights are those that were trained, not their average (`model_ema`), as in the public conversions.

    Args:
        path: of the file that torch has saved.

    Raises:
        ModelError: it is missing, damaged, or no checkpoint of Zero-1-to-3.
    """
    with reading(path, "a checkpoint of Zero-1-to-3", REMEDY, max_bytes=MAX_BYTES, error=ModelError):
        checkpoint = read_checkpoint(path)
        return Zero123Folder(
            {
                "unet": _converted(UNet2DConditionModel, unet_configuration, checkpoint, UNET_PREFIX),
                "vae": _converted(AutoencoderKL, autoencoder_configuration, checkpoint, _AUTOENCODER),
                "image_encoder": _image_encoder(checkpoint.below(_VISUAL)),
                "cc_projection": _projection(checkpoint),
                "scheduler": DDIMScheduler(**scheduler_configuration(checkpoint)),
            }
        )


def _converted(
    network_class: Any,
    configuration_of: Callable[[Checkpoint], dict[str, Any]],
    checkpoint: Checkpoint,
    prefix: str,
) -> nn.Module:
    inside = checkpoint.below(prefix)
    if not inside:
        raise ModelError(f"{checkpoint.path} holds no tensors {prefix}*; {REMEDY}.")
    return diffusers_network(network_class, configuration_of(inside), inside, prefix)


def _image_encoder(visual: Checkpoint) -> nn.Module:
    configuration = clip_configuration(visual)
    with torch.device("meta"):
        encoder = CLIPVisionModelWithProjection(CLIPVisionConfig(**configuration))
    return _filled(encoder, clip_tensors(visual, configuration["num_hidden_layers"]))


def _projection(checkpoint: Checkpoint) -> nn.Module:
    tensors = {f"projection.{kind}": checkpoint[f"cc_projection.{kind}"] for kind in ("weight", "bias")}
    return _filled(CCProjection(**projection_configuration(tensors["projection.weight"])), tensors)


def _filled(network: nn.Module, tensors: dict[str, Tensor]) -> nn.Module:
    """The network with these tensors in place of its own."""
    network.load_state_dict({name: tensor.float() for name, tensor in tensors.items()}, assign=True)
    return network
