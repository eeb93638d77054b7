"""The embedded UNets, and how networks are prepared for training on a CPU."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from placid_kedro.pretrain.config import UNetParameters


def make_unet(parameters: UNetParameters, in_channels: int, latent_channels: int, latent_size: int) -> Any:
    """A small `UNet2DConditionModel`: three resolutions, cross-attention at the two lower ones.

    The mean of the context also enters through the time embedding (Stable Diffusion XL's way, here by attention
    pooling): a small network then has the object's identity at every layer.
    """
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(
        sample_size=latent_size,
        in_channels=in_channels,
        out_channels=latent_channels,
        block_out_channels=parameters.channels,
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        mid_block_type="UNetMidBlock2DCrossAttn",
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=parameters.context_width,
        # diffusers' name notwithstanding, this is the number of heads.
        attention_head_dim=parameters.heads,
        norm_num_groups=parameters.norm_groups,
        addition_embed_type="text",
        addition_embed_type_num_heads=parameters.pooling_heads,
        resnet_time_scale_shift="scale_shift",
    )


class Float32GroupNorm(nn.GroupNorm):
    """Group normalisation in float32: in bfloat16 with channels last its CPU kernel is many times slower."""

    @classmethod
    def of(cls, module: nn.GroupNorm) -> Float32GroupNorm:
        """The same normalisation, sharing the weights."""
        twin = cls(module.num_groups, module.num_channels, module.eps, module.affine)
        twin.weight, twin.bias = module.weight, module.bias
        return twin

    def forward(self, input: Tensor) -> Tensor:
        return F.group_norm(input.float(), self.num_groups, self.weight, self.bias, self.eps)


def prepare_for_cpu(network: Any) -> None:
    """Let a network train fast on a CPU; its weights and their names stay.

    Convolutions run with channels last, normalisation in float32, and attention without torch's fused kernel, whose
    backward pass is slow in bfloat16.
    """
    from diffusers import UNet2DConditionModel
    from diffusers.models.attention_processor import AttnProcessor

    for module in list(network.modules()):
        if isinstance(module, UNet2DConditionModel):
            cast(Any, module).set_attn_processor(AttnProcessor())
        for name, child in module.named_children():
            if type(child) is nn.GroupNorm:
                setattr(module, name, Float32GroupNorm.of(child))
    network.to(memory_format=torch.channels_last)
