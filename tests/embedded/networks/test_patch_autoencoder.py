"""The embedded autoencoder against a principal component analysis by numpy."""

from pathlib import Path

import numpy as np
import pytest
import torch

from placid_kedro.diffusion.autoencoding import decode, encode, pixels_per_latent
from placid_kedro.embedded.networks.patch_autoencoder import PatchAutoencoder
from placid_kedro.errors import ParameterError

PATCH = 4


@pytest.fixture(scope="module")
def pictures() -> torch.Tensor:
    """[6, 3, 16, 16] smooth pictures in [0, 1] on white."""
    coarse = torch.rand(6, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    result = torch.nn.functional.interpolate(coarse, (16, 16), mode="bicubic").clamp(0, 1)
    result[:, :, :4] = 1.0
    return result


def patches(pictures: torch.Tensor) -> np.ndarray:
    """[P, 48] rows (channel, y, x) of what the autoencoder sees: images in [-1, 1], minus white."""
    centred = pictures.double().numpy() * 2 - 2
    rows = [
        centred[n, :, y : y + PATCH, x : x + PATCH].reshape(-1)
        for n in range(len(centred))
        for y in range(0, 16, PATCH)
        for x in range(0, 16, PATCH)
    ]
    return np.stack(rows)


def fitted(pictures: torch.Tensor, channels: int) -> tuple[PatchAutoencoder, torch.Tensor]:
    torch.manual_seed(0)
    autoencoder = PatchAutoencoder(channels, PATCH, widths=(8, 8, 4), blocks=1)
    rows = patches(pictures)
    share = autoencoder.fit_components(torch.from_numpy(rows.T @ rows / len(rows)))
    return autoencoder, share


@pytest.mark.parametrize("channels", [1, 5, 12])
def test_decoding_projects_on_the_leading_components(pictures: torch.Tensor, channels: int) -> None:
    autoencoder, share = fitted(pictures, channels)
    rows = patches(pictures)
    _, singular, components = np.linalg.svd(rows, full_matrices=False)
    energies = singular**2
    np.testing.assert_allclose(share, (energies / energies.sum())[:channels], rtol=1e-4)
    leading = components[:channels]
    expected = torch.from_numpy((rows @ leading.T @ leading).astype(np.float32))
    with torch.no_grad():
        latents = autoencoder.encode(pictures * 2 - 1).latent_dist.mode()
        decoded = autoencoder.decode(latents).sample
    assert latents.shape == (6, channels, 4, 4)
    torch.testing.assert_close(
        torch.from_numpy(patches((decoded + 1) / 2).astype(np.float32)), expected, atol=1e-4, rtol=0
    )


def test_latents_have_unit_mean_square_and_falling_deviations(pictures: torch.Tensor) -> None:
    autoencoder, share = fitted(pictures, 6)
    with torch.no_grad():
        latents = autoencoder.encode(pictures * 2 - 1).latent_dist.mode()
    squares = latents.square().mean(dim=(0, 2, 3))
    assert float(squares.mean()) == pytest.approx(1.0, rel=1e-4)
    # The square root of the natural deviation: energies to the power of one half.
    torch.testing.assert_close(squares / squares[0], (share / share[0]).sqrt(), rtol=1e-3, atol=1e-4)


def test_all_components_lose_nothing(pictures: torch.Tensor) -> None:
    autoencoder, _ = fitted(
        torch.rand(40, 3, 16, 16, generator=torch.Generator().manual_seed(1)), 3 * PATCH**2
    )
    with torch.no_grad():
        restored = decode(autoencoder, encode(autoencoder, pictures))
    torch.testing.assert_close(restored, pictures, atol=1e-4, rtol=0)


def test_white_is_zero_both_ways(pictures: torch.Tensor) -> None:
    autoencoder, _ = fitted(pictures, 5)
    with torch.no_grad():
        assert torch.equal(encode(autoencoder, torch.ones(1, 3, 16, 16)), torch.zeros(1, 5, 4, 4))
        assert torch.equal(decode(autoencoder, torch.zeros(1, 5, 4, 4)), torch.ones(1, 3, 16, 16))


def test_distillation_gets_the_encoders_gradient(pictures: torch.Tensor) -> None:
    autoencoder, _ = fitted(pictures, 5)
    image = pictures[:1].clone().requires_grad_()
    weights = torch.randn(1, 5, 4, 4, generator=torch.Generator().manual_seed(0))
    (encode(autoencoder, image) * weights).sum().backward()
    # Linear: the transposed convolution of the weights, twice for [0, 1] to [-1, 1].
    expected = 2 * torch.nn.functional.conv_transpose2d(weights, autoencoder.analysis.weight, stride=PATCH)
    torch.testing.assert_close(image.grad, expected)


def test_saving_and_the_interface_of_autoencoder_kl(pictures: torch.Tensor, tmp_path: Path) -> None:
    autoencoder, _ = fitted(pictures, 5)
    autoencoder.save_pretrained(tmp_path)
    loaded = PatchAutoencoder.from_pretrained(tmp_path)
    distribution = loaded.encode(pictures * 2 - 1).latent_dist
    assert torch.equal(encode(loaded, pictures), encode(autoencoder, pictures))
    torch.testing.assert_close(
        distribution.sample(torch.Generator().manual_seed(0)), distribution.mode(), atol=1e-5, rtol=0
    )
    assert loaded.config.scaling_factor == 1.0
    assert pixels_per_latent(loaded) == PATCH


@pytest.mark.parametrize("patch_size", [4, 8])
def test_a_repair_knows_the_whole_object_around_a_patch(patch_size: int) -> None:
    torch.manual_seed(0)
    autoencoder = PatchAutoencoder(5, patch_size, widths=(8, 8, 4), blocks=2)
    with torch.no_grad():
        for parameter in autoencoder.repair.parameters():
            parameter.copy_(torch.randn(parameter.shape) * 0.3)
    latents = torch.randn(1, 5, 12, 12, requires_grad=True)
    decoded = autoencoder.decode(latents).sample
    assert decoded.shape == (1, 3, 12 * patch_size, 12 * patch_size)
    middle = 6 * patch_size
    decoded[0, :, middle, middle].sum().backward()
    assert latents.grad is not None
    seen = latents.grad[0].abs().sum(0) > 0
    # Two blocks of 7 x 7 and the convolutions before and behind them.
    assert bool(seen[0, 6]) and bool(seen[6, 0])


def test_another_patch_size_is_refused() -> None:
    with pytest.raises(ParameterError, match="divisible by 4, got 6"):
        PatchAutoencoder(5, 6)


def test_pixels_per_latent_of_stable_diffusion() -> None:
    from diffusers import AutoencoderKL

    blocks = {"down_block_types": ("DownEncoderBlock2D",) * 4, "up_block_types": ("UpDecoderBlock2D",) * 4}
    vae = AutoencoderKL(block_out_channels=(4, 4, 4, 4), norm_num_groups=2, **blocks)
    assert pixels_per_latent(vae) == 8
    with torch.no_grad():
        assert encode(vae, torch.zeros(1, 3, 32, 32)).shape == (1, 4, 4, 4)
