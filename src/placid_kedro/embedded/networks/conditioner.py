"""What the embedded novel-view model is told of the reference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from placid_kedro.cameras import relative_pose
from placid_kedro.diffusion.conditioning import ReferenceCondition


@dataclass(frozen=True, eq=False)
class EmbeddedConditioner:
    """The embedded model's: patches of the reference's latents, and those latents lifted and seen from the views.

    Attributes:
        tokens: a `ReferenceTokens`.
        lifted: a `LiftedReference`.
    """

    tokens: Any
    lifted: Any

    def __call__(
        self, reference: Tensor, latents: Tensor, reference_camera: Tensor, cameras: Tensor
    ) -> ReferenceCondition:
        return self.of_latents(latents, reference_camera, cameras[None])

    def of_latents(self, latents: Tensor, reference_cameras: Tensor, cameras: Tensor) -> ReferenceCondition:
        """The condition of K views of each of B references, the views of one reference together.

        Args:
            latents: [B, C, h, w].
            reference_cameras: [B, 4, 4].
            cameras: [B, K, 4, 4].
        """
        count = cameras.shape[1]
        repeated = latents.repeat_interleave(count, dim=0)
        poses = relative_pose(reference_cameras.repeat_interleave(count, dim=0), cameras.flatten(0, 1))
        maps = self.lifted(latents, reference_cameras, cameras).maps
        return ReferenceCondition(self.tokens(repeated, poses), torch.cat([repeated, maps], dim=1))
