"""What Latent-Plane is shown: objects, deformed copies and made ones, one after the other."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from placid_kedro.cameras import orbit
from placid_kedro.diffusion.conditioning import ReferenceCondition
from placid_kedro.embedded.training.plane_batches import PackedPlaneObjects, PlaneSource
from placid_kedro.embedded.training.views import ViewArrays


def views(name: str, count: int) -> ViewArrays:
    poses = orbit(torch.arange(8) * 45.0, torch.full((8,), 30.0), 1.5, 17.5, 16).world_to_camera.numpy()
    return ViewArrays(
        uids=tuple(f"{name}{index}" for index in range(count)),
        rgba=np.zeros((count, 8, 16, 16, 4), np.uint8),
        depth=np.zeros((count, 8, 16, 16), np.float16),
        world_to_camera=np.stack([poses] * count),
        K=np.array([[17.5, 0, 8], [0, 17.5, 8], [0, 0, 1]], np.float32),
        digest=name,
    )


@pytest.fixture
def source() -> PlaneSource:
    """Three objects, each deformed twice, and two made ones."""
    sets = [
        (views("object", 3), torch.zeros(3, 8, 4, 2, 2)),
        (views("deformed", 6), torch.zeros(6, 8, 4, 2, 2)),
    ]
    made = (views("made", 2), torch.zeros(2, 8, 4, 2, 2))
    return PlaneSource(sets=sets, made=made, made_share=0.3, vocabulary_rows=torch.tensor([1]), ring=8)


def test_made_objects_stand_behind_the_others(source):
    objects = source.objects(conditioner=None, device=torch.device("cpu"))
    assert len(objects) == 3 + 6 + 2
    uids = [places.views.uids[own] for places, own in objects.places]
    assert uids[:3] == ["object0", "object1", "object2"] and uids[-2:] == ["made0", "made1"]
    assert objects.ring == 8 and len(source.cameras) == 8


def test_the_references_silhouette_comes_with_its_ring():
    class Conditioner:
        def of_latents(self, latents, reference_cameras, cameras):
            return ReferenceCondition(context=latents, concatenated=latents)

    one = views("object", 1)
    one.rgba[0, 5, 4:9, 2:7, 3] = 255
    objects = PackedPlaneObjects(one, torch.zeros(1, 8, 4, 2, 2), 8, Conditioner(), torch.device("cpu"))
    expected = torch.zeros(16, 16)
    expected[4:9, 2:7] = 1
    assert torch.equal(objects.ring_views(0, [5, 6, 7, 0, 1, 2, 3, 4]).silhouette, expected)


def test_deformed_copies_have_silhouettes_cut_from_their_colours(source):
    objects = source.objects(conditioner=None, device=torch.device("cpu"))
    (library, own), (deformed, copy), (made, last) = objects.places[1], objects.places[4], objects.places[-1]
    for one, index in ((library, own), (deformed, copy), (made, last)):
        # A black square whose right half is white: only the alpha channel knows of that half.
        one.views.rgba[index, 2, 4:10, 4:10, 3] = 255
        one.views.rgba[index, 2, 4:10, 7:10, :3] = 255
    whole, half = torch.zeros(16, 16), torch.zeros(16, 16)
    whole[4:10, 4:10] = half[4:10, 4:7] = 1
    assert torch.equal(library.silhouette(library.views, own, 2), whole)
    assert torch.equal(made.silhouette(made.views, last, 2), whole)
    assert torch.equal(deformed.silhouette(deformed.views, copy, 2), half)
    # Nothing to cut: as rendered.
    assert torch.equal(deformed.silhouette(deformed.views, copy, 3), torch.zeros(16, 16))


def test_shares_of_what_is_drawn(source):
    generator = torch.Generator().manual_seed(0)
    drawn = torch.tensor([source.choose(0.6, generator) for _ in range(6000)])
    counts = torch.bincount(drawn, minlength=11) / len(drawn)
    assert counts[9:].tolist() == pytest.approx([0.15, 0.15], abs=0.02)
    # Object 1 is the favourite: 0.6 of the draws and a third of the rest, in each of three shapes alike.
    favourite, other = 0.7 / 3 * (0.6 + 0.4 / 3), 0.7 / 3 * 0.4 / 3
    assert counts[:9].tolist() == pytest.approx([other, favourite, other] * 3, abs=0.02)
