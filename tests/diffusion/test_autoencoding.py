"""A few images at a time through the encoder: the same latents and gradients, in less memory."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from placid_kedro.diffusion.autoencoding import encode, encode_sample
from placid_kedro.diffusion.loading import load_component


@pytest.fixture(scope="module")
def autoencoder(stable_diffusion_folder: Path) -> Any:
    return load_component(stable_diffusion_folder, "vae")


def encoded(autoencoder: Any, kind: str, at_once: int | None) -> tuple[Tensor, Tensor, int]:
    """Latents, the gradient of a function of them by the images, and the bytes kept for it in between."""
    images = torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        if kind == "mode":
            latents = encode(autoencoder, images, at_once)
        else:
            latents = encode_sample(autoencoder, images, torch.Generator().manual_seed(3), at_once)
    weights = torch.randn(latents.shape, generator=torch.Generator().manual_seed(1))
    (gradient,) = torch.autograd.grad((latents * weights).sum(), images)
    return latents.detach(), gradient, sum(tensor.untyped_storage().nbytes() for tensor in kept.values())


@pytest.mark.parametrize("kind", ["mode", "sample"])
@pytest.mark.parametrize("at_once", [1, 3])
def test_parts_give_the_same(autoencoder: Any, kind: str, at_once: int) -> None:
    latents, gradient, kept = encoded(autoencoder, kind, None)
    in_parts = encoded(autoencoder, kind, at_once)
    torch.testing.assert_close(in_parts[0], latents, rtol=1e-5, atol=1e-6)
    assert float((in_parts[1] - gradient).norm() / gradient.norm()) < 1e-5
    # The images themselves, and no activation of the encoder.
    assert in_parts[2] < 0.25 * kept


def test_parts_give_the_same_without_a_gradient(autoencoder: Any) -> None:
    images = torch.rand(5, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        whole, parts = encode(autoencoder, images), encode(autoencoder, images, 2)
    assert not parts.requires_grad
    torch.testing.assert_close(parts, whole, rtol=1e-5, atol=1e-6)


def test_as_many_as_there_are_is_all(autoencoder: Any) -> None:
    alone, whole = (encoded(autoencoder, "mode", at_once) for at_once in (4, None))
    assert torch.equal(alone[0], whole[0]) and torch.equal(alone[1], whole[1])
