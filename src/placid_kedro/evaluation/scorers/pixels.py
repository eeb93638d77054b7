"""Images as CLIP, BLIP and BLIP-2 take them."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

# Mean and standard deviation of the channels, as Radford et al. 2021 measured them; BLIP took them over.
_MEAN = (0.48145466, 0.4578275, 0.40821073)
_STD = (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True)
class Pixels:
    """Square images [N, 3, H, H] in [0, 1], resized with bicubic filtering and standardised.

    Attributes:
        size: pixels along each edge.
    """

    size: int

    def __call__(self, images: Tensor) -> Tensor:
        """[N, 3, size, size]."""
        if images.shape[-2:] != (self.size, self.size):
            shape = (self.size, self.size)
            images = F.interpolate(images, shape, mode="bicubic", antialias=True, align_corners=False).clamp(
                0, 1
            )
        mean, std = (images.new_tensor(values)[:, None, None] for values in (_MEAN, _STD))
        return (images - mean) / std
