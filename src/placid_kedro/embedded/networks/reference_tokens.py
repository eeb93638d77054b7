"""What the embedded multi-view UNet attends to: the reference image in patches, and where the wanted view is."""

from __future__ import annotations

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn

from placid_kedro.errors import ShapeError


class ReferenceTokens(ModelMixin, ConfigMixin):
    """Reference latents and a relative pose to cross-attention context.

    Zero-1-to-3 gives its UNet one CLIP token; with small models, tokens that keep their place in the image carry
    much more of the object into the other views.

    Args:
        latent_channels: channels of the autoencoder's latents.
        latent_size: side of the latents.
        width: width of a token, the UNet's `cross_attention_dim`.
        patch_size: side of a token's patch in latent pixels.
    """

    @register_to_config
    def __init__(
        self, latent_channels: int = 16, latent_size: int = 16, width: int = 192, patch_size: int = 2
    ) -> None:
        super().__init__()
        self.latent_shape = (latent_channels, latent_size, latent_size)
        self.patches = nn.Conv2d(latent_channels, width, patch_size, stride=patch_size)
        self.places = nn.Parameter(0.1 * torch.randn((latent_size // patch_size) ** 2, width))
        self.pose = nn.Sequential(nn.Linear(4, width), nn.SiLU(), nn.Linear(width, width))
        self.mix = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.SiLU(), nn.Linear(2 * width, width)
        )

    def forward(self, reference_latents: Tensor, relative_poses: Tensor) -> Tensor:
        """Context of the conditional branch; the unconditional one is all zeros.

        Args:
            reference_latents: [B, C, h, w].
            relative_poses: [B, 4] as `placid_kedro.cameras.relative_pose` gives them.

        Returns:
            [B, 1 + P, width], the pose's token first.

        Raises:
            ShapeError: when the latents are not of the size the model was made for.
        """
        if reference_latents.shape[1:] != self.latent_shape:
            raise ShapeError(
                f"The reference latents are {list(reference_latents.shape[1:])}, "
                f"expected {list(self.latent_shape)}."
            )
        pose = self.pose(relative_poses)[:, None]
        tokens = self.patches(reference_latents).flatten(2).transpose(1, 2) + self.places + pose
        context: Tensor = torch.cat([pose, tokens + self.mix(tokens)], dim=1)
        return context
