"""How much memory of a GPU Stable Diffusion takes while it is fine-tuned and distilled, from its configurations alone.

Weights are counted, and what a backward pass keeps is gathered from a forward pass on tensors without data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from peft import LoraConfig
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.overrides import TorchFunctionMode
from transformers import CLIPTextConfig, CLIPTextModel

from placid_kedro.diffusion.lora import TARGET_MODULES
from placid_kedro.diffusion.precision import Precision, dtype_of

_GIB = 2**30
_META = torch.device("meta")
_TOKENS = 77
# The driver's context, the Gaussians and their pictures; 0.7 GiB of it were measured beside the networks (docs/gpu.md).
_BESIDE_GIB = 1.2

Configs = Mapping[str, Mapping[str, Any]]


def can_be_counted(configs: Configs) -> bool:
    """Whether the networks are Stable Diffusion's; the embedded ones fit everywhere."""
    classes = (configs.get("unet", {}).get("_class_name"), configs.get("vae", {}).get("_class_name"))
    return classes == ("UNet2DConditionModel", "AutoencoderKL")


def distillation_gib(configs: Configs, precision: Precision, image_size: int, images: int) -> float:
    """GiB of a step of the stage `bsd_3dgs`.

    Args:
        configs: `config.json` of each component of a text-to-image model.
        precision: of the weights of UNet and autoencoder.
        image_size: pixels along each edge of the rendered images.
        images: that the encoder works on at a time.
    """
    autoencoder = _network(AutoencoderKL, configs["vae"], precision)
    pixels = torch.empty(
        images, 3, image_size, image_size, device=_META, dtype=dtype_of(precision), requires_grad=True
    )
    kept = _kept_bytes(lambda: autoencoder.encode(pixels).latent_dist.mode(), autoencoder)
    return kept / _GIB + _weights_gib(configs, precision) + _BESIDE_GIB


def lora_gib(configs: Configs, precision: Precision, rank: int, batch: int) -> float:
    """GiB of a step of the stage `lora` with `batch` views; the others as of `distillation_gib`.

    `fine_tune` encodes as many views at a time without a gradient, which takes less.
    """
    unet = _network(UNet2DConditionModel, configs["unet"], precision)
    unet.add_adapter(LoraConfig(r=rank, target_modules=list(TARGET_MODULES)))
    for name, parameter in unet.named_parameters():
        if "lora_" in name:
            parameter.data = parameter.data.float()  # as `fine_tune` trains it
    size, channels = unet.config.sample_size, unet.config.in_channels
    latents = torch.empty(batch, channels, size, size, device=_META, dtype=dtype_of(precision))
    context = torch.empty(
        batch, _TOKENS, unet.config.cross_attention_dim, device=_META, dtype=dtype_of(precision)
    )
    t = torch.empty(batch, device=_META, dtype=torch.long)
    kept = _kept_bytes(lambda: unet(latents, t, encoder_hidden_states=context, return_dict=False)[0], unet)
    return kept / _GIB + _weights_gib(configs, precision) + _BESIDE_GIB


def _weights_gib(configs: Configs, precision: Precision) -> float:
    """Of all networks; the text encoder stays float32."""
    networks = [
        _network(UNet2DConditionModel, configs["unet"], precision),
        _network(AutoencoderKL, configs["vae"], precision),
    ]
    if "text_encoder" in configs:
        with _META:
            networks.append(CLIPTextModel(CLIPTextConfig.from_dict(dict(configs["text_encoder"]))))
    return sum(p.numel() * p.element_size() for network in networks for p in network.parameters()) / _GIB


def _network(network_class: Any, config: Mapping[str, Any], precision: Precision) -> Any:
    with _META:
        network = network_class.from_config(dict(config))
    frozen: nn.Module = nn.Module.to(network, dtype_of(precision)).eval().requires_grad_(False)
    return frozen


def _kept_bytes(forward: Callable[[], Tensor], network: nn.Module) -> int:
    """Bytes that a backward pass keeps of a forward pass, the network's own weights apart."""
    weights = _storages(network.parameters())
    kept: dict[int, Any] = {}

    def note(tensor: Tensor) -> Tensor:
        kept.update(_storages([tensor]))
        return tensor

    with saved_tensors_hooks(note, lambda tensor: tensor), _FusedAttention():
        result = forward()
    assert result.requires_grad, "something of it is to be learned"
    return sum(storage.nbytes() for key, storage in kept.items() if key not in weights)


def _storages(tensors: Iterable[Tensor]) -> dict[int, Any]:
    """By an identity that lasts as long as the storage is held."""
    storages = [tensor.untyped_storage() for tensor in tensors]
    return {storage._cdata: storage for storage in storages}


class _FusedAttention(TorchFunctionMode):
    """Attention as a GPU computes it, in one kernel that keeps its inputs and its output but no weights of pixels."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is nn.functional.scaled_dot_product_attention:
            given = kwargs or {}
            named = [given.get(name) for name in ("query", "key", "value")]
            return _Fused.apply(*(list(args[:3]) + named[len(args[:3]) :]))
        return func(*args, **(kwargs or {}))


class _Fused(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        result = torch.empty_like(query)
        ctx.save_for_backward(query, key, value, result)
        return result
