"""The embedded autoencoder: principal components of 8 x 8 patches, and a network that repairs what these leave open.

Distillation sends its gradient through the encoder at every step. Here the encoder is one strided convolution, so
that costs almost nothing on a CPU. A white image is the zero latent.
"""

from __future__ import annotations

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from diffusers.models.autoencoders.vae import DecoderOutput, DiagonalGaussianDistribution
from diffusers.models.modeling_outputs import AutoencoderKLOutput
from torch import Tensor, nn

from placid_kedro.embedded.networks.repair import UPSAMPLED, repair_network
from placid_kedro.errors import ParameterError

# The encoder is deterministic; diffusers' interface wants a distribution, so its variance is negligible.
_LOG_VARIANCE = -30.0


class PatchAutoencoder(ModelMixin, ConfigMixin):
    """An f8 autoencoder with the interface of diffusers' `AutoencoderKL`.

    Args:
        latent_channels: how many principal components are kept.
        patch_size: side of a patch in pixels, divisible by four.
        widths: of the decoder's repair network (`repair.repair_network`).
        blocks: of it, at the latents' resolution.
        scaling_factor: as in `AutoencoderKL`; the latents are already scaled, so 1.

    Raises:
        ParameterError: for another patch size.
    """

    @register_to_config
    def __init__(
        self,
        latent_channels: int = 16,
        patch_size: int = 8,
        widths: tuple[int, int, int] = (112, 64, 32),
        blocks: int = 3,
        scaling_factor: float = 1.0,
    ) -> None:
        super().__init__()
        if patch_size % UPSAMPLED:
            raise ParameterError(
                f"A patch autoencoder wants a patch_size divisible by {UPSAMPLED}, got {patch_size}."
            )
        self.latent_channels = latent_channels
        self.patch_size = patch_size
        self.analysis = nn.Conv2d(3, latent_channels, patch_size, stride=patch_size, bias=False)
        self.synthesis = nn.ConvTranspose2d(latent_channels, 3, patch_size, stride=patch_size, bias=False)
        self.repair = repair_network(latent_channels, widths, blocks, patch_size)

    def encode(self, images: Tensor) -> AutoencoderKLOutput:
        """Images [B, 3, H, W] in [-1, 1] to a distribution over latents [B, C, H/8, W/8]."""
        mean = self.analysis(images - 1)
        moments = torch.cat([mean, torch.full_like(mean, _LOG_VARIANCE)], dim=1)
        return AutoencoderKLOutput(latent_dist=DiagonalGaussianDistribution(moments))

    def decode(self, latents: Tensor) -> DecoderOutput:
        """Latents [B, C, h, w] to images [B, 3, 8h, 8w] around [-1, 1]."""
        return DecoderOutput(sample=1 + self.synthesis(latents) + self.repair(latents))

    @torch.no_grad()
    def fit_components(self, second_moment: Tensor) -> Tensor:
        """Set the linear part to the leading principal components of the patches.

        A component's latent has the square root of its natural deviation: between plain components (training would
        see only the coarse ones) and whitened ones (noise in the finest would weigh as much as the colour).

        Args:
            second_moment: [D, D] float64 mean of p p^T over patches p of `images - 1`, D = 3 patch_size^2.

        Returns:
            [C] the share of the patches' energy that each component holds.
        """
        energies, vectors = torch.linalg.eigh(second_moment.double())
        count = self.latent_channels
        energies, vectors = energies.flip(0), vectors.flip(1)[:, :count]
        deviation = energies[:count].sqrt()
        gain = deviation.rsqrt()
        # Mean square of all latents, background included, becomes one.
        gain = gain / (gain * deviation).square().mean().sqrt()
        patch = self.patch_size
        self.analysis.weight.copy_((vectors * gain).T.reshape(count, 3, patch, patch))
        self.synthesis.weight.copy_((vectors / gain).T.reshape(count, 3, patch, patch))
        return (energies[:count] / energies.sum()).float()
