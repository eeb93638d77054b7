"""What the finished models draw of known objects, against models that draw what they are told to."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from placid_kedro.cameras import orbit
from placid_kedro.diffusion.multiview import GuidedViews
from placid_kedro.diffusion.schedule import NoiseSchedule
from placid_kedro.diffusion.text_to_image import TextToImage
from placid_kedro.embedded.networks.patch_autoencoder import PatchAutoencoder
from placid_kedro.embedded.training.autoencoder import ImageBatches
from placid_kedro.embedded.training.config import DecoderParameters, ImageShares
from placid_kedro.embedded.training.drawn import (
    DrawnBatches,
    DrawnViews,
    KnownViews,
    draw_known_fronts,
    draw_known_views,
)
from placid_kedro.embedded.training.export import embedded_scheduler
from placid_kedro.embedded.training.split import CuratedObject
from placid_kedro.embedded.training.views import ViewArrays
from placid_kedro.errors import DataError

CHANNELS, SIDE, VIEWS = 4, 2, 6
EIGHTHS = [0, 2, 4]
OBJECTS = [
    CuratedObject(uid, uid, name, "vocabulary", ())
    for uid, name in (("a", "Lamp"), ("b", "Ball"), ("c", "Lamp"))
]
CAMERAS = orbit(torch.tensor([0.0, 120.0, 240.0]), torch.full((3,), 30.0), 1.5, 20.0, 16)
LATENTS = torch.randn(3, VIEWS, CHANNELS, SIDE, SIDE, generator=torch.Generator().manual_seed(0)) * 0.3
SCHEDULER = embedded_scheduler()
SCHEDULE = NoiseSchedule.from_scheduler(SCHEDULER)


class Perfect:
    """A UNet whose clean latents are the `wanted` ones of its context [B, 1, 1]."""

    config = SimpleNamespace(
        in_channels=CHANNELS, out_channels=CHANNELS, sample_size=SIDE, cross_attention_dim=1
    )

    def __init__(self, wanted):
        self.wanted = wanted

    def __call__(self, x_t, t, encoder_hidden_states, return_dict):
        x0 = self.wanted[encoder_hidden_states[:, 0, 0].long()]
        steps = t.expand(len(x_t))
        a, s = SCHEDULE.a(steps), SCHEDULE.s(steps)
        noise = (x_t - a * x0) / s
        return (a * noise - s * x0,)


def autoencoder():
    torch.manual_seed(0)
    result = PatchAutoencoder(CHANNELS, 8, (8, 8, 4), 1)
    moment = torch.randn(192, 192, dtype=torch.float64)
    result.fit_components(moment @ moment.T)
    return result.eval()


def text_to_image(fronts):
    """Draws the front of a number for each caption."""
    order = {"": 0, "a lamp": 1, "a ball": 2}

    def embed(texts):
        return torch.tensor([float(order[text]) for text in texts])[:, None, None]

    wanted = torch.stack([torch.zeros(CHANNELS, SIDE, SIDE), fronts["lamp"], fronts["ball"]])
    return TextToImage(Perfect(wanted), autoencoder(), embed, SCHEDULER, SCHEDULE, torch.device("cpu"))


@dataclass
class NovelViews:
    """Draws the views of one object, whatever the reference; remembers the references."""

    views: torch.Tensor
    references: list = field(default_factory=list)
    scheduler = SCHEDULER
    schedule = SCHEDULE
    image_size = 16
    device = torch.device("cpu")

    def __post_init__(self):
        self.unet = Perfect(torch.cat([torch.zeros_like(self.views), self.views]))
        self.autoencoder = autoencoder()

    def guided(self, subject, cameras):
        self.references.append(subject.reference)
        assert torch.equal(subject.reference_camera.world_to_camera, CAMERAS[0].world_to_camera)
        return GuidedViews(self, torch.arange(2.0 * len(cameras))[:, None, None])


def parameters(**changes):
    plain = {
        "draws": 1,
        "steps": 3,
        "guidance_scale": 1.0,
        "true_references": 0.0,
        "farthest": 0.5,
        "share": 0.5,
    }
    return DecoderParameters.model_construct(**{**plain, **changes})


def known():
    return KnownViews(OBJECTS, torch.tensor([7, 8, 9]), LATENTS, EIGHTHS, CAMERAS)


def drawn(fronts, novel_view, **changes):
    return draw_known_views(
        known(), text_to_image(fronts), novel_view, parameters(**changes), torch.Generator().manual_seed(0)
    )


def test_drawn_views_stand_beside_the_object_whose_front_is_nearest():
    fronts = {"lamp": LATENTS[2, 0] + 0.01, "ball": LATENTS[1, 0]}
    novel_view = NovelViews(LATENTS[2, EIGHTHS])
    result = drawn(fronts, novel_view)
    # Names in alphabetical order; a drawn front, then the eighths.
    assert result.objects.tolist() == [8] * 4 + [9] * 4
    assert result.views.tolist() == [0, *EIGHTHS] * 2
    expected = torch.cat(
        [fronts["ball"][None], LATENTS[2, EIGHTHS], fronts["lamp"][None], LATENTS[2, EIGHTHS]]
    )
    torch.testing.assert_close(result.latents.float(), expected, atol=2e-3, rtol=0)
    with torch.no_grad():
        picture = novel_view.autoencoder.decode(fronts["lamp"][None]).sample[0] / 2 + 0.5
    torch.testing.assert_close(novel_view.references[1], picture.clamp(0, 1), atol=1e-3, rtol=0)


def test_drawn_fronts_are_latents_of_the_drawn_image_and_far_ones_are_left_out():
    fronts = {"lamp": LATENTS[2, 0] + 0.01, "ball": LATENTS[1, 0] + 5}
    model = text_to_image(fronts)
    result = draw_known_fronts(known(), model, parameters(draws=2), torch.Generator().manual_seed(0))
    assert result.objects.tolist() == [9, 9] and result.views.tolist() == [0, 0]
    with torch.no_grad():
        image = model.autoencoder.decode(fronts["lamp"][None]).sample.clamp(-1, 1)
        expected = model.autoencoder.encode(image).latent_dist.mode()
    torch.testing.assert_close(result.latents.float(), expected.expand(2, -1, -1, -1), atol=5e-3, rtol=0)
    other = draw_known_fronts(
        known(), text_to_image(fronts | {"lamp": LATENTS[0, 0]}), parameters(draws=2), torch.Generator()
    )
    assert other.digest != result.digest
    with pytest.raises(DataError, match="2 names"):
        draw_known_fronts(known(), model, parameters(farthest=1e-9), torch.Generator().manual_seed(0))


@pytest.mark.parametrize("change", [{"farthest": 1e-6}, {"true_references": 1.0}])
def test_the_true_front_is_the_reference_where_none_is_near_and_in_a_share(change):
    fronts = {"lamp": LATENTS[0, 0] + 0.1, "ball": LATENTS[1, 0] + 0.1}
    novel_view = NovelViews(LATENTS[0, EIGHTHS])
    result = drawn(fronts, novel_view, draws=2, **change)
    assert result.objects.tolist() == [8] * 6 + [7] * 6
    assert result.views.tolist() == EIGHTHS * 4
    with torch.no_grad():
        picture = novel_view.autoencoder.decode(LATENTS[1, :1]).sample[0] / 2 + 0.5
    for reference in novel_view.references[:2]:
        torch.testing.assert_close(reference, picture.clamp(0, 1), atol=1e-5, rtol=0)


def test_a_share_of_the_batches_comes_with_drawn_latents():
    rgba = np.random.default_rng(0).integers(0, 255, (3, VIEWS, 16, 16, 4), np.uint8)
    poses = np.tile(CAMERAS.world_to_camera[:1].numpy(), (3, VIEWS, 1, 1))
    views = ViewArrays(
        ("a", "b", "c"), rgba, np.zeros(rgba.shape[:4], np.float16), poses, CAMERAS.K[0].numpy(), "digest"
    )
    shares = ImageShares.model_construct(vocabulary=0.0, eighths=0.0, exchanged=0.0, mirrored=0.0)
    images = ImageBatches(views, torch.tensor([0]), EIGHTHS, shares, 8, torch.device("cpu"))
    places = DrawnViews(
        LATENTS[:, :2].flatten(0, 1), torch.tensor([0, 0, 1, 1, 2, 2]), torch.tensor([3, 5] * 3)
    )
    batch = DrawnBatches(images, places, 0.4)(4, torch.Generator().manual_seed(0))
    assert batch.images.shape == (8, 3, 16, 16) and batch.drawn.shape == (3, CHANNELS, SIDE, SIDE)
    for image, latents in zip(batch.images, batch.drawn, strict=False):
        (place,) = [index for index in range(6) if torch.equal(places.latents[index], latents)]
        assert torch.equal(image, views.images(place // 2, [3, 5][place % 2]))
