"""What the library asks of a diffusion model's networks: diffusers' classes have it, and so have the project's own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol, Self

import torch
from torch import Tensor, nn


class HasParts(Protocol):
    """A network whose parts have names."""

    def get_submodule(self, target: str, /) -> nn.Module: ...


class Network(HasParts, Protocol):
    """What every part of a model folder has."""

    @property
    def config(self) -> Any: ...

    def parameters(self, recurse: bool = True, /) -> Iterator[nn.Parameter]: ...

    def requires_grad_(self, requires_grad: bool = True, /) -> Any: ...

    def to(self, *where: Any, **how: Any) -> Self: ...


class Denoiser(Network, Protocol):
    """A UNet: noisy latents [B, C, h, w], timesteps and context [B, L, D] to its prediction of the same shape."""

    def __call__(self, sample: Tensor, timestep: Any, /, **inputs: Any) -> Any: ...


class Autoencoder(Network, Protocol):
    """A KL autoencoder: images [B, 3, H, W] in [-1, 1] to the distribution of their latents, and back."""

    @property
    def dtype(self) -> torch.dtype: ...

    def encode(self, x: Tensor, /) -> Any: ...

    def decode(self, z: Tensor, /) -> Any: ...
