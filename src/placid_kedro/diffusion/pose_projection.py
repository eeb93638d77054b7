"""Zero-1-to-3's projection of a CLIP image embedding and a relative pose to one context token."""

from __future__ import annotations

from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn


class CCProjection(ModelMixin, ConfigMixin):
    """A linear layer from the concatenation of image embedding and pose, under its checkpoints' names.

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
