"""Networks of half the bytes that still take and give float32, so that everything between them stays exact."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

# bfloat16 has float32's range: no gradient vanishes for want of a loss scale, as it would in float16.
Precision = Literal["float32", "bf16"]
_DTYPES = {"float32": torch.float32, "bf16": torch.bfloat16}
# What a UNet is given in its weights' precision; timesteps are not: 999 is no bfloat16.
_NARROWED = ("sample", "encoder_hidden_states")


def dtype_of(precision: Precision) -> torch.dtype:
    """torch's name of a precision."""
    return _DTYPES[precision]


def narrow_unet(unet: Any, precision: Precision) -> Any:
    """The UNet itself, its weights in a precision, its inputs and outputs in float32."""
    dtype = dtype_of(precision)
    if dtype != torch.float32:
        nn.Module.to(unet, dtype)
        unet.register_forward_pre_hook(_Narrow(dtype), with_kwargs=True)
        unet.register_forward_hook(_widen)
    return unet


def narrow_autoencoder(autoencoder: Any, precision: Precision) -> Any:
    """The autoencoder itself, its weights in a precision; `autoencoding` gives it what it takes."""
    dtype = dtype_of(precision)
    return autoencoder if dtype == torch.float32 else nn.Module.to(autoencoder, dtype)


class _Narrow:
    """Turns latents and context into the weights' precision."""

    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype = dtype

    def __call__(self, module: nn.Module, given: tuple[Any, ...], named: dict[str, Any]) -> Any:
        narrowed = {
            name: value.to(self.dtype) if name in _NARROWED and isinstance(value, Tensor) else value
            for name, value in named.items()
        }
        first = tuple(value.to(self.dtype) if isinstance(value, Tensor) else value for value in given[:1])
        return (*first, *given[1:]), narrowed


def _widen(module: nn.Module, given: Any, output: Any) -> Any:
    if not isinstance(output, tuple):
        raise TypeError("a UNet in half precision is called with return_dict=False")
    return tuple(value.float() for value in output)
