"""MVDream's UNet as one of diffusers: Stable Diffusion's, told of the cameras, with self-attention across the views."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import Attention, AttnProcessor2_0
from safetensors.torch import load_file
from torch import Tensor

from placid_kedro.diffusion.compvis.checkpoint import Checkpoint
from placid_kedro.diffusion.compvis.configurations import unet_configuration
from placid_kedro.diffusion.compvis.networks import UNET_PREFIX, diffusers_network
from placid_kedro.diffusion.config import MVDREAM_VIEWS
from placid_kedro.errors import ModelError
from placid_kedro.models import choose_weights, read_object

# MVDream's layers of the camera, and where diffusers looks for those of a class label, which compute the same.
_CAMERA_LAYERS = {"camera_embed.": "label_emb.0."}


class CrossViewAttention:
    """Self-attention in which every pixel sees those of all views of its object (Sec. 3.1 of MVDream)."""

    def __init__(self) -> None:
        self._plain = AttnProcessor2_0()

    def __call__(self, attn: Attention, hidden_states: Tensor, **others: Any) -> Tensor:
        """[B x 4, L, C] to the same; an object's views lie next to each other."""
        joined = hidden_states.reshape(-1, MVDREAM_VIEWS * hidden_states.shape[1], hidden_states.shape[2])
        seen: Tensor = self._plain(attn, joined, **others)
        return seen.reshape(hidden_states.shape)


class MultiViewUNetModel(UNet2DConditionModel):
    """Called as its base class, with `class_labels` [B, 16] for the cameras (`mvdream_camera`).

    The batch holds `MVDREAM_VIEWS` views of each object, one object after the other.
    """

    @classmethod
    def from_pretrained(cls, folder: Path, **options: Any) -> tuple[Any, dict[str, list[str]]]:
        """Read a folder of the port of MVDream to diffusers, which keeps the names and the configuration of its own
        code (`mv_unet.py`).

        Args:
            folder: `config.json` and the weights.
            options: how the base class would load it; the choice of the weights' file is made here as well.

        Returns:
            The network in float32; and what is not as it should be, as diffusers tells it: nothing.

        Raises:
            ModelError: tensors are missing.
        """
        tensors = {
            next(
                (new + name.removeprefix(old) for old, new in _CAMERA_LAYERS.items() if name.startswith(old)),
                name,
            ): t
            for name, t in _weights(folder).items()
        }
        checkpoint = Checkpoint(folder, tensors)
        network = diffusers_network(
            cls, _configuration(read_object(folder / "config.json"), checkpoint), checkpoint, UNET_PREFIX
        )
        own: Any = network
        own.set_attn_processor(
            {
                name: CrossViewAttention() if name.endswith("attn1.processor") else processor
                for name, processor in own.attn_processors.items()
            }
        )
        return own, {"missing_keys": []}


def _weights(folder: Path) -> dict[str, Tensor]:
    chosen = choose_weights(path.name for path in folder.iterdir())
    if chosen is None:
        raise ModelError(
            f"{folder} holds no weights (a .safetensors or .bin file); get the missing files again."
        )
    tensors: dict[str, Tensor] = {}
    for name in chosen.files:
        if name.endswith(".safetensors"):
            tensors.update(load_file(folder / name))
        elif name.endswith(".bin"):
            tensors.update(torch.load(folder / name, map_location="cpu", weights_only=True))
    return tensors


def _configuration(given: dict[str, Any], tensors: Checkpoint) -> dict[str, Any]:
    """Of a `UNet2DConditionModel`."""
    configuration = unet_configuration(tensors)
    width = given.get("num_head_channels", -1)
    # diffusers calls the number of heads their dimension.
    heads = (
        [channels // width for channels in configuration["block_out_channels"]]
        if width > 0
        else given["num_heads"]
    )
    return {
        **configuration,
        "sample_size": given["image_size"],
        "attention_head_dim": heads,
        "class_embed_type": "projection",
        "projection_class_embeddings_input_dim": tensors["label_emb.0.0.weight"].shape[1],
    }
