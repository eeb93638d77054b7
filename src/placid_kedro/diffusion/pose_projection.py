"""Zero-1-to-3's projection of a CLIP image embedding and a relative pose to one context token.

Two conversions of its checkpoints are in use; they differ in the names only.
"""

from __future__ import annotations

from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn


class CCProjection(ModelMixin, ConfigMixin):
    """A linear layer from image embedding and pose, as `pipeline_zero1to3` names it (component `cc_projection`).

    Args:
        in_channel: width of the image embedding plus four.
        out_channel: width of the context.
    """

    @register_to_config
    def __init__(self, in_channel: int = 772, out_channel: int = 768) -> None:
        super().__init__()
        self.projection = nn.Linear(in_channel, out_channel)

    def forward(self, x: Tensor) -> Tensor:
        """[..., in_channel] to [..., out_channel]."""
        projected: Tensor = self.projection(x)
        return projected


class CLIPCameraProjection(ModelMixin, ConfigMixin):
    """The same layer under the names of the other conversion (component `clip_camera_projection`).

    Args:
        embedding_dim: width of the image embedding and of the context.
        additional_embeddings: numbers of a relative pose.
    """

    @register_to_config
    def __init__(self, embedding_dim: int = 768, additional_embeddings: int = 4) -> None:
        super().__init__()
        self.proj = nn.Linear(embedding_dim + additional_embeddings, embedding_dim)

    def forward(self, embedding: Tensor) -> Tensor:
        """[..., embedding_dim + additional_embeddings] to [..., embedding_dim]."""
        projected: Tensor = self.proj(embedding)
        return projected
