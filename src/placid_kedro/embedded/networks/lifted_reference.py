"""The reference image lifted into a volume of features, and that volume seen from other sides.

What the embedded novel-view model knows of geometry. Attention alone has to learn from examples which pixels of two
views see the same point; a volume that is sampled along the wanted view's rays has it built in, which small networks
and few objects need (GeNVS, Chan et al. 2023, conditions a diffusion model so; the volume stands in the reference's
own frustum, as in pixelNeRF's descendants). Zero-1-to-3 has no such part.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from diffusers.models.attention_processor import Attention
from diffusers.models.resnet import ResnetBlock2D
from torch import Tensor, nn
from torch.nn import functional as F

from placid_kedro.cameras.camera import camera_positions
from placid_kedro.cameras.rays import compositing_weights
from placid_kedro.embedded.networks.conditioner import EmbeddedConditioner
from placid_kedro.errors import ParameterError, ShapeError

_RAY_CHANNELS = 6
_HEAD_WIDTH = 32
# Raw densities start low, and a density of one makes a sample of one step opaque.
_DENSITY_SHIFT = -1.0
_OPTICAL_DEPTH = 20.0


@dataclass(frozen=True, eq=False)
class LiftedViews:
    """What a lifted reference tells of B x K views.

    Attributes:
        maps: [B * K, M, h, w] features along the rays, composited, then occupancy and expected depth, then latents.
        occupancy: [B * K, h, w] in [0, 1].
        latents: [B * K, C, h, w] the expected latents of the views.
    """

    maps: Tensor
    occupancy: Tensor
    latents: Tensor


class LiftedReference(ModelMixin, ConfigMixin):
    """Reference latents and cameras to what is to be expected in other views.

    Args:
        latent_channels: C of the autoencoder's latents.
        latent_size: h = w of the latents, divisible by four.
        widths: of the convolutions at three resolutions, the finest first.
        groups: of their group normalisations.
        volume_channels: of the volume: features and a raw density.
        planes: of the volume, in depth.
        samples_per_ray: along the rays of a wanted view.
        near, far: depths between which the object lies, from every camera.
        focal: of all cameras, in image widths.

    Raises:
        ParameterError: for a latent size that is not divisible by four, or a volume without features.
    """

    @register_to_config
    def __init__(
        self,
        latent_channels: int = 16,
        latent_size: int = 16,
        widths: tuple[int, int, int] = (80, 128, 160),
        groups: int = 16,
        volume_channels: int = 24,
        planes: int = 16,
        samples_per_ray: int = 20,
        near: float = 0.65,
        far: float = 2.35,
        focal: float = 1.09375,
    ) -> None:
        super().__init__()
        if latent_size % 4 or volume_channels < 2 or samples_per_ray < 2:
            raise ParameterError(
                "A lifted reference wants a latent_size divisible by 4 and at least 2 volume_channels and "
                f"samples_per_ray, got {latent_size}, {volume_channels} and {samples_per_ray}."
            )
        self.latent_shape = (latent_channels, latent_size, latent_size)
        self.near, self.far, self.focal = near, far, focal
        self.volume_shape = (volume_channels, planes, latent_size, latent_size)
        self.encoder = _Encoder(latent_channels + _RAY_CHANNELS, latent_size, widths, groups)
        self.to_volume = nn.Conv2d(widths[0], volume_channels * planes, 1)
        self.places = nn.Parameter(0.1 * torch.randn(self.volume_shape))
        self.volume = _VolumeBlock(volume_channels)
        self.finish = _Finish(volume_channels + 1 + _RAY_CHANNELS, latent_channels, widths, groups)
        centres = (torch.arange(latent_size) + 0.5 - latent_size / 2) / (latent_size * focal)
        v, u = torch.meshgrid(centres, centres, indexing="ij")
        self.register_buffer("directions", torch.stack([u, v, torch.ones_like(u)]), persistent=False)
        self.register_buffer("depths", torch.linspace(near, far, samples_per_ray), persistent=False)

    @property
    def map_channels(self) -> int:
        """M of `LiftedViews.maps`."""
        return self.volume_shape[0] + 1 + self.latent_shape[0]

    def conditioner(self, tokens: nn.Module) -> EmbeddedConditioner:
        """What a model folder's `reference_tokens` and this volume tell of the reference."""
        return EmbeddedConditioner(tokens, self)

    def forward(self, reference_latents: Tensor, reference_cameras: Tensor, cameras: Tensor) -> LiftedViews:
        """See K views of each of B references.

        Args:
            reference_latents: [B, C, h, w], without the autoencoder's scaling factor.
            reference_cameras: [B, 4, 4] `world_to_camera` of the references.
            cameras: [B, K, 4, 4] `world_to_camera` of the wanted views.

        Raises:
            ShapeError: when the latents are not of the size the model was made for, or the cameras do not fit them.
        """
        count = len(reference_latents)
        if reference_latents.shape[1:] != self.latent_shape:
            raise ShapeError(
                f"The reference latents are {list(reference_latents.shape[1:])}, expected {list(self.latent_shape)}."
            )
        if (
            reference_cameras.shape != (count, 4, 4)
            or cameras.dim() != 4
            or cameras.shape[::2] != (count, 4)
            or cameras.shape[3] != 4
        ):
            raise ShapeError(
                f"{count} references need cameras [{count}, 4, 4] and [{count}, K, 4, 4], "
                f"got {list(reference_cameras.shape)} and {list(cameras.shape)}."
            )
        # Positions and distances need float32 in mixed precision too.
        with torch.autocast(reference_latents.device.type, enabled=False):
            reference_rays, rays = self._rays(reference_cameras), self._rays(cameras.flatten(0, 1))
        volume = self._lift(reference_latents, reference_rays)
        with torch.autocast(reference_latents.device.type, enabled=False):
            composited = self._composite(volume.float(), reference_cameras, cameras)
        latents = self.finish(torch.cat([composited, rays], dim=1)).float()
        return LiftedViews(torch.cat([composited, latents], dim=1), composited[:, -2], latents)

    def _rays(self, world_to_camera: Tensor) -> Tensor:
        """[B, 6, h, w] directions and origins, in the world turned about +z until the camera is at azimuth 0: the
        image's place and the camera's elevation are known, its azimuth means nothing."""
        position = camera_positions(world_to_camera)
        level = F.normalize(position[:, :2], dim=1)
        turn = torch.zeros_like(world_to_camera[:, :3, :3])
        turn[:, 0, :2], turn[:, 2, 2] = level, 1
        turn[:, 1, 0], turn[:, 1, 1] = -level[:, 1], level[:, 0]
        # Camera to world is the transposed rotation.
        directions = torch.einsum("bij,bkj,khw->bihw", turn, world_to_camera[:, :3, :3], self.directions)
        origins = (turn @ position[..., None])[..., None].expand_as(directions)
        return torch.cat([F.normalize(directions, dim=1), origins], dim=1)

    def _lift(self, latents: Tensor, rays: Tensor) -> Tensor:
        """[B, V, D, h, w] in the reference's frustum; depth is evenly divided from `near` to `far`."""
        seen = self.encoder(torch.cat([latents, rays], dim=1))
        volume: Tensor = self.to_volume(F.silu(seen)).unflatten(1, self.volume_shape[:2]) + self.places
        return self.volume(volume)

    def _composite(self, volume: Tensor, reference_cameras: Tensor, cameras: Tensor) -> Tensor:
        """[B * K, V + 1, h, w] features, occupancy and expected depth along the wanted views' rays (rendered
        as in Eq. 7-8)."""
        count, size = len(volume), volume.shape[-1]
        to_reference = reference_cameras[:, None] @ torch.linalg.inv(cameras)
        points = self.directions[:, None] * self.depths[:, None, None]
        points = torch.einsum("bkij,jshw->bkshwi", to_reference[..., :3, :3], points)
        points = points + to_reference[:, :, None, None, None, :3, 3]
        depth = points[..., 2:].clamp(min=0.1)
        along = (depth - self.near) / (self.far - self.near) * 2 - 1
        grid = torch.cat([points[..., :2] / depth * self.focal * 2, along], dim=-1)
        # A tenth outside the frustum its border still speaks; beyond that nobody has seen anything.
        known = grid.abs().amax(dim=-1) < 1.1
        sampled = F.grid_sample(
            volume,
            grid.reshape(count, -1, size, size, 3),
            padding_mode="border",
            align_corners=False,
        )
        sampled = sampled.permute(0, 2, 3, 4, 1).reshape(*grid.shape[:-1], -1)
        raw_density = (sampled[..., -1] + _DENSITY_SHIFT).masked_fill(~known, -torch.inf)
        step = (self.far - self.near) / (len(self.depths) - 1)
        distances = raw_density.new_full((len(self.depths),), step * _OPTICAL_DEPTH)
        weights = compositing_weights(raw_density.movedim(2, -1), distances).movedim(-1, 2)
        features = torch.einsum("bkshw,bkshwc->bkchw", weights, sampled[..., :-1])
        expected_depth = (weights * self.depths[:, None, None]).sum(dim=2)
        maps = [features, weights.sum(dim=2)[:, :, None], expected_depth[:, :, None]]
        return torch.cat(maps, dim=2).flatten(0, 1)


def _block(channels: int, width: int, groups: int) -> ResnetBlock2D:
    # Without a time embedding; diffusers' signature says int, its code means "int or None".
    no_time: Any = None
    block = ResnetBlock2D(
        in_channels=channels, out_channels=width, temb_channels=no_time, groups=groups, eps=1e-5
    )
    nn.init.zeros_(block.conv2.weight)
    return block


def _attention(width: int, groups: int) -> Attention:
    heads = max(1, width // _HEAD_WIDTH)
    layer = Attention(
        width,
        heads=heads,
        dim_head=width // heads,
        norm_num_groups=groups,
        bias=True,
        residual_connection=True,
    )
    nn.init.zeros_(cast(nn.Linear, layer.to_out[0]).weight)
    return layer


def _enlarged(images: Tensor) -> Tensor:
    return F.interpolate(images, scale_factor=2.0)


class _Encoder(nn.Module):
    """A small U-shaped network: every place sees the whole image."""

    def __init__(self, channels: int, size: int, widths: tuple[int, int, int], groups: int) -> None:
        super().__init__()
        fine, middle, coarse = widths
        self.entry = nn.Conv2d(channels, fine, 3, padding=1)
        self.places = nn.Parameter(0.1 * torch.randn(fine, size, size))
        self.fine_in = _block(fine, fine, groups)
        self.to_middle = nn.Conv2d(fine, middle, 3, stride=2, padding=1)
        self.middle_in = _block(middle, middle, groups)
        self.middle_attention_in = _attention(middle, groups)
        self.to_coarse = nn.Conv2d(middle, coarse, 3, stride=2, padding=1)
        self.coarse_in = _block(coarse, coarse, groups)
        self.coarse_attention = _attention(coarse, groups)
        self.coarse_out = _block(coarse, coarse, groups)
        self.middle_out = _block(coarse + middle, middle, groups)
        self.middle_attention_out = _attention(middle, groups)
        self.fine_out = _block(middle + fine, fine, groups)

    def forward(self, images: Tensor) -> Tensor:
        fine = self.fine_in(self.entry(images) + self.places, None)
        middle = self.middle_attention_in(self.middle_in(self.to_middle(fine), None))
        coarse = self.coarse_attention(self.coarse_in(self.to_coarse(middle), None))
        coarse = self.coarse_out(coarse, None)
        middle = self.middle_out(torch.cat([_enlarged(coarse), middle], dim=1), None)
        middle = self.middle_attention_out(middle)
        seen: Tensor = self.fine_out(torch.cat([_enlarged(middle), fine], dim=1), None)
        return seen


class _VolumeBlock(nn.Module):
    """A residual block of three-dimensional convolutions."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        groups = min(4, channels)
        self.norm1, self.norm2 = nn.GroupNorm(groups, channels), nn.GroupNorm(groups, channels)
        self.conv1 = nn.Conv3d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv3d(channels, channels, 3, padding=1)

    def forward(self, volume: Tensor) -> Tensor:
        inner = self.conv1(F.silu(self.norm1(volume)))
        result: Tensor = volume + self.conv2(F.silu(self.norm2(inner)))
        return result


class _Finish(nn.Module):
    """From what the rays met to the latents that are to be expected."""

    def __init__(
        self, channels: int, latent_channels: int, widths: tuple[int, int, int], groups: int
    ) -> None:
        super().__init__()
        fine, middle, _ = widths
        self.entry = nn.Conv2d(channels, fine, 3, padding=1)
        self.fine_in = _block(fine, fine, groups)
        self.to_middle = nn.Conv2d(fine, middle, 3, stride=2, padding=1)
        self.middle = _block(middle, middle, groups)
        self.fine_out = _block(middle + fine, fine, groups)
        self.out = nn.Conv2d(fine, latent_channels, 3, padding=1)

    def forward(self, maps: Tensor) -> Tensor:
        fine = self.fine_in(self.entry(maps), None)
        middle = self.middle(self.to_middle(fine), None)
        fine = self.fine_out(torch.cat([_enlarged(middle), fine], dim=1), None)
        latents: Tensor = self.out(F.silu(fine))
        return latents
