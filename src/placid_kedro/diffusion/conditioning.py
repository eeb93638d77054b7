"""What a novel-view model is told of the reference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers.image_utils import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD

from placid_kedro.cameras import relative_pose


@dataclass(frozen=True, eq=False)
class ReferenceCondition:
    """What a novel-view UNet is told of the reference, for N views. In the unconditional branch all of it is zero.

    Attributes:
        context: [N, L, D] for the cross-attention.
        concatenated: [N, C', h, w] stands behind the noisy latents.
    """

    context: Tensor
    concatenated: Tensor


class ReferenceConditioner(Protocol):
    """What a novel-view model makes of the reference and the cameras."""

    def __call__(
        self, reference: Tensor, latents: Tensor, reference_camera: Tensor, cameras: Tensor
    ) -> ReferenceCondition:
        """The condition of N views.

        Args:
            reference: [1, 3, H, W] in [0, 1].
            latents: [1, C, h, w] of it, as `NovelView.reference_latents` gives them.
            reference_camera: [1, 4, 4] its `world_to_camera`.
            cameras: [N, 4, 4] of the views.
        """


@dataclass(frozen=True, eq=False)
class ClipConditioner:
    """Zero-1-to-3's: one token, projected from CLIP's embedding of the reference and the pose; latents as they are.

    Attributes:
        image_encoder: a `CLIPVisionModelWithProjection`.
        projection: `CCProjection` or `CLIPCameraProjection`.
    """

    image_encoder: Any
    projection: Any

    def __call__(
        self, reference: Tensor, latents: Tensor, reference_camera: Tensor, cameras: Tensor
    ) -> ReferenceCondition:
        size = self.image_encoder.config.image_size
        # Corner to corner and without a low-pass filter, as the images of its training were resized.
        pixels = F.interpolate(reference, (size, size), mode="bicubic", align_corners=True)
        mean, std = pixels.new_tensor([OPENAI_CLIP_MEAN, OPENAI_CLIP_STD])[..., None, None]
        normalised = (pixels - mean) / std
        embedding = self.image_encoder(normalised).image_embeds.expand(len(cameras), -1)
        poses = relative_pose(reference_camera, cameras)
        token: Tensor = self.projection(torch.cat([embedding, poses], dim=-1))
        return ReferenceCondition(token[:, None], latents.expand(len(cameras), -1, -1, -1))
