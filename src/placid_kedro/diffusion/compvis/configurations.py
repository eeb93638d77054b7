"""Configurations of Zero-1-to-3's networks from the shapes of their tensors.

What no shape tells is the same in all checkpoints of its family: eight attention heads, groups of 32, images of 256 px.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from placid_kedro.diffusion.compvis.checkpoint import REMEDY, Checkpoint
from placid_kedro.errors import ModelError

IMAGE_SIZE = 256
PIXELS_PER_LATENT = 8
SCALING_FACTOR = 0.18215
NUM_HEADS = 8
CLIP_HEAD_DIM = 64
# Of Stable Diffusion's training, the square root of beta grows linearly between these.
BETA_START, BETA_END = 0.00085, 0.012


def unet_configuration(unet: Checkpoint) -> dict[str, Any]:
    """Of a `UNet2DConditionModel`; `unet` holds the tensors below `model.diffusion_model.`.

    Raises:
        ModelError: a tensor is missing, or the blocks are none of that model's.
    """
    levels = unet.count(r"input_blocks\.(\d+)\.0\.op\.weight") + 1
    blocks = unet.count(r"input_blocks\.(\d+)\.")
    # A convolution first, then every level's residual blocks, and between two levels a convolution again.
    if blocks % levels:
        raise ModelError(
            f"{unet.path} has {blocks} input blocks on {levels} levels, which do not fit; {REMEDY}."
        )
    each = blocks // levels
    first = [level * each + 1 for level in range(levels)]
    widths = tuple(unet[f"input_blocks.{block}.0.out_layers.3.weight"].shape[0] for block in first)
    attends = [f"input_blocks.{block}.1.norm.weight" in unet for block in first]
    inner = "middle_block.1"
    return {
        "sample_size": IMAGE_SIZE // PIXELS_PER_LATENT,
        "in_channels": unet["input_blocks.0.0.weight"].shape[1],
        "out_channels": unet["out.2.weight"].shape[0],
        "block_out_channels": widths,
        "down_block_types": tuple("CrossAttnDownBlock2D" if one else "DownBlock2D" for one in attends),
        "up_block_types": tuple("CrossAttnUpBlock2D" if one else "UpBlock2D" for one in reversed(attends)),
        "layers_per_block": each - 1,
        "cross_attention_dim": unet[f"{inner}.transformer_blocks.0.attn2.to_k.weight"].shape[1],
        "attention_head_dim": NUM_HEADS,
        "use_linear_projection": unet[f"{inner}.proj_in.weight"].dim() == 2,
    }


def autoencoder_configuration(autoencoder: Checkpoint) -> dict[str, Any]:
    """Of an `AutoencoderKL`; `autoencoder` holds the tensors below `first_stage_model.`."""
    levels = autoencoder.count(r"encoder\.down\.(\d+)\.")
    widths = tuple(
        autoencoder[f"encoder.down.{level}.block.0.conv1.weight"].shape[0] for level in range(levels)
    )
    return {
        "block_out_channels": widths,
        "down_block_types": ("DownEncoderBlock2D",) * levels,
        "up_block_types": ("UpDecoderBlock2D",) * levels,
        "layers_per_block": autoencoder.count(r"encoder\.down\.0\.block\.(\d+)\."),
        "latent_channels": autoencoder["post_quant_conv.weight"].shape[0],
        "sample_size": IMAGE_SIZE,
        "scaling_factor": SCALING_FACTOR,
    }


def clip_configuration(visual: Checkpoint) -> dict[str, Any]:
    """Of a `CLIPVisionConfig`; `visual` holds the tensors below OpenAI's `visual.`."""
    width, _, patch, _ = visual["conv1.weight"].shape
    side = round((visual["positional_embedding"].shape[0] - 1) ** 0.5)
    return {
        "hidden_size": width,
        "intermediate_size": visual["transformer.resblocks.0.mlp.c_fc.weight"].shape[0],
        "num_hidden_layers": visual.count(r"transformer\.resblocks\.(\d+)\."),
        "num_attention_heads": max(1, width // CLIP_HEAD_DIM),
        "image_size": side * patch,
        "patch_size": patch,
        "projection_dim": visual["proj"].shape[1],
        "hidden_act": "quick_gelu",
    }


def scheduler_configuration(checkpoint: Checkpoint) -> dict[str, Any]:
    """Of a `DDIMScheduler`.

    Raises:
        ModelError: the file's noise levels are not Stable Diffusion's.
    """
    betas = checkpoint["betas"].double().numpy()
    expected = np.linspace(BETA_START**0.5, BETA_END**0.5, len(betas)) ** 2
    if not np.allclose(betas, expected, rtol=1e-4, atol=0):
        raise ModelError(
            f"{checkpoint.path} was trained with other noise levels than Stable Diffusion's ({BETA_START} to "
            f"{BETA_END}, linear in the square root); {REMEDY}."
        )
    return {
        "num_train_timesteps": len(betas),
        "beta_start": BETA_START,
        "beta_end": BETA_END,
        "beta_schedule": "scaled_linear",
        "clip_sample": False,
        "set_alpha_to_one": False,
        "steps_offset": 1,
        "prediction_type": "epsilon",
    }


def projection_configuration(weight: torch.Tensor) -> dict[str, Any]:
    """Of a `CCProjection`, from its matrix."""
    wide, narrow = weight.shape[1], weight.shape[0]
    return {"in_channel": wide, "out_channel": narrow}
