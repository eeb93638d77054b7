"""The embedded UNets, and how networks are prepared for training on a CPU."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from placid_kedro.embedded.networks.lifted_reference import LiftedReference
from placid_kedro.embedded.networks.reference_tokens import ReferenceTokens
from placid_kedro.embedded.training.config import LiftedParameters, UNetParameters
from placid_kedro.latent_plane import decoder_block


def make_unet(parameters: UNetParameters, in_channels: int, latent_channels: int, latent_size: int) -> Any:
    """A small `UNet2DConditionModel` of three resolutions.

    The mean of the context also enters through the time embedding (Stable Diffusion XL's way, here by attention
    pooling): a small network then has the object's identity at every layer.
    """
    from diffusers import UNet2DConditionModel

    down = ["CrossAttnDownBlock2D" if attention else "DownBlock2D" for attention in parameters.attention]
    up = ["CrossAttnUpBlock2D" if attention else "UpBlock2D" for attention in parameters.attention]
    return UNet2DConditionModel(
        sample_size=latent_size,
        in_channels=in_channels,
        out_channels=latent_channels,
        block_out_channels=parameters.channels,
        layers_per_block=1,
        down_block_types=tuple(down),
        mid_block_type="UNetMidBlock2DCrossAttn" if parameters.middle else None,
        up_block_types=tuple(reversed(up)),
        cross_attention_dim=parameters.context_width,
        # diffusers' name notwithstanding, this is the number of heads.
        attention_head_dim=parameters.heads,
        norm_num_groups=parameters.norm_groups,
        addition_embed_type="text",
        addition_embed_type_num_heads=parameters.pooling_heads,
        resnet_time_scale_shift="scale_shift",
    )


def make_novel_view(
    parameters: UNetParameters, latent_channels: int, latent_size: int, map_channels: int
) -> nn.ModuleDict:
    """A new novel-view network beside a lifted reference.

    Args:
        parameters: of the UNet.
        latent_channels, latent_size: of the autoencoder's latents.
        map_channels: of the lifted reference (`LiftedReference.map_channels`).

    Returns:
        The parts `unet` and `reference_tokens`, and `from_decoder`, which only their training needs.
    """
    unet = make_unet(parameters, 2 * latent_channels + map_channels, latent_channels, latent_size)
    tokens = ReferenceTokens(latent_channels, latent_size, parameters.context_width)
    parts = {"unet": unet, "reference_tokens": tokens, "from_decoder": make_decoder_map(unet)}
    return nn.ModuleDict(parts)


def make_decoder_map(unet: Any) -> nn.Conv2d:
    """One linear map from the decoder block that Latent-Plane enhances to clean latents; at first it knows nothing."""
    channels = unet.get_submodule(decoder_block(unet)).resnets[-1].out_channels
    decoder_map = nn.Conv2d(channels, unet.config.out_channels, 1)
    nn.init.zeros_(decoder_map.weight)
    return decoder_map


def make_lifted_reference(
    parameters: LiftedParameters, latent_channels: int, latent_size: int, focal: float
) -> Any:
    """A `LiftedReference` for cameras of one focal length, in image widths."""
    near, far = parameters.depth
    return LiftedReference(
        latent_channels=latent_channels,
        latent_size=latent_size,
        widths=parameters.widths,
        groups=parameters.groups,
        volume_channels=parameters.volume_channels,
        planes=parameters.planes,
        samples_per_ray=parameters.samples_per_ray,
        near=near,
        far=far,
        focal=focal,
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
    from diffusers.models.attention_processor import Attention, AttnProcessor

    for module in list(network.modules()):
        if isinstance(module, Attention):
            module.set_processor(AttnProcessor())
        if isinstance(module, nn.Conv2d):
            module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        for name, child in module.named_children():
            if type(child) is nn.GroupNorm:
                setattr(module, name, Float32GroupNorm.of(child))
