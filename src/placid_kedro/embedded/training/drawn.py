"""What the finished models draw of the vocabulary's objects, beside the views that it should have been.

The novel-view model is trained on true references and the decoder on true latents, but both get drawn ones: a little
blurred, a little beside. Trained on those as well they learn to mend what is always wrong about a known object.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

import torch
from torch import Tensor

from placid_kedro.cameras import Cameras
from placid_kedro.diffusion.autoencoding import decode, encode
from placid_kedro.diffusion.multiview import Subject
from placid_kedro.diffusion.novel_view import NovelView
from placid_kedro.diffusion.text_to_image import TextToImage, latents_from_noise
from placid_kedro.embedded.training.autoencoder import ImageBatches, RepairBatch
from placid_kedro.embedded.training.captions import with_article
from placid_kedro.embedded.training.config import DecoderParameters, DrawingParameters
from placid_kedro.embedded.training.split import CuratedObject
from placid_kedro.errors import DataError
from placid_kedro.latent_plane.sampling import sample_views
from placid_kedro.objects.split import normal_name
from placid_kedro.progress import SILENT, Progress


@dataclass(frozen=True, eq=False)
class DrawnViews:
    """D drawn views.

    Attributes:
        latents: [D, C, h, w] float16.
        objects: [D] int64, which of the trained objects each should show.
        views: [D] int64, which of its views.
    """

    latents: Tensor
    objects: Tensor
    views: Tensor

    def __len__(self) -> int:
        return len(self.latents)

    @classmethod
    def joined(cls, parts: Sequence[DrawnViews]) -> DrawnViews:
        """All views of several sets."""
        names = ("latents", "objects", "views")
        return cls(*(torch.cat([getattr(part, name) for part in parts]) for name in names))

    @classmethod
    def none(cls, like: Tensor) -> DrawnViews:
        """No views, of latents [..., C, h, w] like these."""
        nothing = torch.zeros(0, dtype=torch.int64)
        return cls(like.new_zeros(0, *like.shape[-3:]).half(), nothing, nothing)

    @property
    def digest(self) -> str:
        """A short hash of the latents: other ones are another training."""
        return sha256(self.latents.contiguous().numpy().tobytes()).hexdigest()[:16]

    @property
    def tensors(self) -> dict[str, Tensor]:
        """By name, to be saved."""
        return {"latents": self.latents, "objects": self.objects, "views": self.views}


@dataclass(frozen=True, eq=False)
class KnownViews:
    """The true views of the vocabulary's objects.

    Attributes:
        objects: N of the vocabulary.
        rows: [N] where each stands among the trained objects.
        latents: [N, V, C, h, w].
        eighths: indices of the M views that are drawn, the front first.
        cameras: of those M.
    """

    objects: Sequence[CuratedObject]
    rows: Tensor
    latents: Tensor
    eighths: Sequence[int]
    cameras: Cameras

    def by_name(self) -> dict[str, list[int]]:
        """The objects of each name, in alphabetical order."""
        names: dict[str, list[int]] = defaultdict(list)
        for place, one in enumerate(self.objects):
            names[normal_name(one.name)].append(place)
        return dict(sorted(names.items()))


@torch.no_grad()
def draw_known_fronts(
    known: KnownViews,
    text_to_image: TextToImage,
    parameters: DrawingParameters,
    generator: torch.Generator,
    progress: Progress = SILENT,
) -> DrawnViews:
    """Draw every name's front, as a later stage gets it: the latents of the drawn image.

    Of several objects of a name the one is meant whose front is nearest; what is near none is left out.

    Args:
        known: the true views.
        text_to_image: the finished model.
        parameters: how often and how.
        generator: draws all noise, on the CPU.
        progress: shows the names.

    Raises:
        DataError: no drawn front is near a known object's.
    """
    parts = []
    names = [name for name in known.by_name().items() for _ in range(parameters.draws)]
    for name, places in progress.track(names, description="known fronts"):
        front, place, error = _nearest_front(known, name, places, text_to_image, parameters, generator)
        if error <= parameters.farthest:
            image = decode(text_to_image.autoencoder, front.to(text_to_image.device))
            again = encode(text_to_image.autoencoder, image)
            parts.append(_views_of(known, place, again, known.eighths[:1]))
    if not parts:
        raise DataError(
            f"None of the fronts drawn of {len(known.by_name())} names is near a known object's; "
            "train the text-to-image model longer, or raise pretrain.novel_view.drawn.farthest."
        )
    return DrawnViews.joined(parts)


def draw_known_views(
    known: KnownViews,
    text_to_image: TextToImage,
    novel_view: NovelView,
    parameters: DecoderParameters,
    generator: torch.Generator,
    progress: Progress = SILENT,
) -> DrawnViews:
    """Draw every name of the vocabulary from all round, as `generate` does, but without Latent-Plane.

    Of several objects of a name the one is meant whose front is nearest to the drawn one. Where none is near, and in a
    share of the others, the true front is the reference.

    Args:
        known: the true views.
        text_to_image, novel_view: the finished models.
        parameters: how often and how.
        generator: draws all noise, on the CPU.
        progress: shows the names.
    """
    parts: list[DrawnViews] = []
    names = [name for name in known.by_name().items() for _ in range(parameters.draws)]
    for name, places in progress.track(names, description="known views"):
        front, place, error = _nearest_front(known, name, places, text_to_image, parameters, generator)
        chance = float(torch.rand((), generator=generator))
        if error > parameters.farthest or chance < parameters.true_references:
            reference = known.latents[place, :1].float()
        else:
            reference = front
            parts.append(_views_of(known, place, front, known.eighths[:1]))
        image = decode(novel_view.autoencoder, reference.to(novel_view.device))[0]
        views = sample_views(
            novel_view,
            Subject(reference=image, reference_camera=known.cameras[0]),
            known.cameras,
            steps=parameters.steps,
            guidance_scale=parameters.guidance_scale,
            generator=generator,
        )
        parts.append(_views_of(known, place, views.latents, known.eighths))
    return DrawnViews.joined(parts)


def _nearest_front(
    known: KnownViews,
    name: str,
    places: Sequence[int],
    text_to_image: TextToImage,
    parameters: DrawingParameters,
    generator: torch.Generator,
) -> tuple[Tensor, int, float]:
    """Latents [1, C, h, w] drawn of a name, which of its objects is nearest, and how far it is."""
    noise = torch.randn(1, *text_to_image.latent_shape, generator=generator).to(text_to_image.device)
    front = latents_from_noise(
        text_to_image,
        [with_article(name)],
        noise,
        steps=parameters.steps,
        guidance_scale=parameters.guidance_scale,
    ).cpu()
    errors = (known.latents[places, 0].float() - front).square().mean(dim=(1, 2, 3))
    nearest = int(errors.argmin())
    return front, places[nearest], float(errors[nearest])


def _views_of(known: KnownViews, place: int, latents: Tensor, views: Sequence[int]) -> DrawnViews:
    return DrawnViews(
        latents.half().cpu(), known.rows[place].expand(len(views)).clone(), torch.tensor(list(views))
    )


class DrawnBatches:
    """Batches of images of which a share comes with latents that the models drew of them.

    Args:
        images: the other images.
        drawn: the drawn views.
        share: of the drawn ones.
    """

    def __init__(self, images: ImageBatches, drawn: DrawnViews, share: float) -> None:
        self.images = images
        self.drawn = drawn
        self.count = round(share * images.batch_size)

    def __call__(self, number: int, generator: torch.Generator) -> RepairBatch:
        plain = self.images.some(self.images.batch_size - self.count, generator)
        chosen = torch.randint(len(self.drawn), (self.count,), generator=generator)
        objects, views = self.drawn.objects[chosen].numpy(), self.drawn.views[chosen].numpy()
        shown = self.images.views.images(objects, views).to(plain)
        return RepairBatch(torch.cat([shown, plain]), self.drawn.latents[chosen].to(plain.device))
