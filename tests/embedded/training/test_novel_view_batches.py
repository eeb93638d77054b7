"""Copies of the training views, and the references and views that are drawn from them."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch

from placid_kedro.cameras import Cameras, orbit
from placid_kedro.embedded.training.config import ReferenceShares
from placid_kedro.embedded.training.copies import (
    ObjectCopy,
    copied,
    deformed_copies,
    encode_copy,
    encode_twice,
    is_mirrored,
    mirrored_cameras,
)
from placid_kedro.embedded.training.drawn import DrawnViews
from placid_kedro.embedded.training.novel_view_batches import NovelViewBatches, NovelViewSource
from placid_kedro.embedded.training.views import ViewArrays

SHARES = ReferenceShares(
    unconditional=0.0, vocabulary=0.9, painted=0.0, front=0.6, drawn=0.0, eighths=0.5, lower_ring=0.3
)
ELEVATIONS = torch.cat([torch.full((16,), 30.0), torch.linspace(-10, 40, 16), torch.full((8,), 5.0)])
AZIMUTHS = torch.cat([torch.arange(32) % 16 * 22.5, 22.5 + 45 * torch.arange(8)])
CAMERAS = orbit(AZIMUTHS, ELEVATIONS, 1.5, 140.0, 16).world_to_camera


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_a_mirrored_camera_sees_the_mirrored_world_in_a_mirror():
    cameras = orbit(torch.tensor([33.0, 200.0]), torch.tensor([10.0, -20.0]), 1.5, 20.0, 16)
    mirrored = Cameras(mirrored_cameras(cameras.world_to_camera), cameras.K, 16, 16)
    points = torch.randn(50, 3, generator=generator(0)) * 0.3
    other = points * torch.tensor([1.0, -1.0, 1.0])

    def projected(cameras, points):
        seen = points @ cameras.world_to_camera[:, :3, :3].mT + cameras.world_to_camera[:, None, :3, 3]
        return (seen @ cameras.K.mT)[..., :2] / seen[..., 2:]

    first, second = projected(cameras, points), projected(mirrored, other)
    torch.testing.assert_close(second[..., 0], 16 - first[..., 0], atol=1e-4, rtol=1e-5)
    torch.testing.assert_close(second[..., 1], first[..., 1], atol=1e-4, rtol=1e-5)
    # It is a camera of the same ring, not an image turned inside out.
    expected = orbit(-torch.tensor([33.0, 200.0]), torch.tensor([10.0, -20.0]), 1.5, 20.0, 16)
    torch.testing.assert_close(mirrored.world_to_camera, expected.world_to_camera, atol=1e-5, rtol=0)


def test_copies_are_mirrored_and_have_other_colours():
    images = torch.rand(4, 3, 6, 6, generator=generator(0))
    assert [is_mirrored(copy) for copy in range(4)] == [False, True, False, True]
    assert torch.equal(copied(images, 0, 5), images)
    assert torch.equal(copied(images, 1, 5), images.flip(-1))
    exchanges = set()
    for index in range(5):
        plain, mirrored = copied(images, 2, index), copied(images, 3, index)
        (order,) = (
            order for order in itertools.permutations(range(3)) if torch.equal(plain, images[:, list(order)])
        )
        exchanges.add(order)
        assert not torch.equal(mirrored, plain.flip(-1))  # another exchange
    assert len(exchanges) == 5 and (0, 1, 2) not in exchanges


def test_latents_of_a_copy_are_those_of_its_images(tiny_models):
    from placid_kedro.diffusion.loading import load_component

    autoencoder = load_component(tiny_models.zero123, "vae")
    rgba = np.random.default_rng(0).integers(0, 256, (2, 8, 16, 16, 4), dtype=np.uint8)
    poses = np.stack([CAMERAS[:8].numpy()] * 2)
    views = ViewArrays(
        ("a", "b"), rgba, np.ones((2, 8, 16, 16), np.float16), poses, np.eye(3, dtype=np.float32), "x"
    )
    latents = encode_copy(autoencoder, views, 3)
    assert latents.shape == (2, 8, 4, 2, 2) and latents.dtype == torch.float16
    image = copied(views.images(1, 5), 3, 1)
    with torch.no_grad():
        expected = autoencoder.encode(image[None] * 2 - 1).latent_dist.mode()[0]
    torch.testing.assert_close(latents[1, 5].float(), expected, atol=5e-3, rtol=2e-3)


def test_deformed_objects_come_in_blocks_as_they_are_and_mirrored(tiny_models):
    """Two objects, deformed twice each."""
    from placid_kedro.diffusion.loading import load_component

    autoencoder = load_component(tiny_models.zero123, "vae")
    rgba = np.random.default_rng(0).integers(0, 256, (4, 8, 16, 16, 4), dtype=np.uint8)
    poses = np.stack([CAMERAS[8 * row : 8 * row + 8].numpy() for row in range(4)])
    views = ViewArrays(
        ("a", "b") * 2, rgba, np.ones((4, 8, 16, 16), np.float16), poses, np.eye(3, dtype=np.float32), "x"
    )
    latents = encode_twice(autoencoder, views)
    copies = deformed_copies(views, latents, 2)
    assert [copy.mirrored for copy in copies] == [False, True, False, True]
    second = copies[3]  # the second deformation, in the mirror: rows 2 and 3
    assert torch.equal(second.latents, latents[1, 2:])
    torch.testing.assert_close(second.world_to_camera, mirrored_cameras(torch.tensor(poses[2:])))
    cover = torch.tensor(rgba[3, 5, :, :, 3] / 255.0).reshape(2, 8, 2, 8).mean((1, 3)).float()
    torch.testing.assert_close(second.coverage_of(1, torch.tensor([5]))[0], cover.flip(-1))
    torch.testing.assert_close(copies[2].coverage_of(1, torch.tensor([5]))[0], cover)
    with torch.no_grad():
        image = copied(views.images(2, 4), 3, 2)
        expected = autoencoder.encode(image[None] * 2 - 1).latent_dist.mode()[0]
    torch.testing.assert_close(second.latents[0, 4].float(), expected, atol=5e-3, rtol=2e-3)


@pytest.fixture
def source():
    """Every latent says which copy, object and view it is; an object covers the left half of every image."""
    numbers = torch.meshgrid(torch.arange(2.0), torch.arange(5.0), torch.arange(40.0), indexing="ij")
    latents = torch.stack(numbers, dim=-1)[..., None, None].expand(2, 5, 40, 3, 1, 2)
    coverage = torch.tensor([1.0, 0.0]).expand(5, 40, 1, 2)
    cameras = CAMERAS.expand(5, 40, 4, 4)
    return NovelViewSource(
        copies=(
            ObjectCopy(latents[0], coverage, cameras, mirrored=False),
            ObjectCopy(latents[1], coverage, mirrored_cameras(cameras), mirrored=True),
        ),
        made=(ObjectCopy(latents[0, :3] + 10, coverage[:3], cameras[:3], mirrored=False),),
        made_share=0.0,
        drawn=DrawnViews.none(latents),
        painted=ObjectCopy(latents[0, :2] + 20, coverage[:2], cameras[:2], mirrored=False),
        vocabulary_rows=torch.tensor([3]),
        ring=16,
        lower_ring=8,
        focal=1.09375,
    )


def test_references_and_the_views_that_are_wanted_of_them(source):
    batches = NovelViewBatches(source, SHARES, 64, 4, torch.device("cpu"))
    mirrored_poses = orbit(-AZIMUTHS, ELEVATIONS, 1.5, 140.0, 16).world_to_camera
    favourite = front = eighths = lower = total = mirrored = 0
    for seed in range(40):
        batch = batches(seed, generator(seed))
        assert batch.latents.shape == (16, 4, 3, 1, 2) and batch.reference.shape == (16, 3, 1, 2)
        copies, objects, wanted = batch.latents[..., 0, 0].long().movedim(-1, 0)
        copy, index, reference = batch.reference[..., 0, 0].long().T
        assert torch.equal(copies, copy[:, None].expand(16, 4)) and torch.equal(
            objects, index[:, None].expand(16, 4)
        )
        assert all(len(set(row.tolist())) == 4 for row in wanted)
        for row, poses in enumerate(mirrored_poses if one else CAMERAS for one in copy):
            torch.testing.assert_close(batch.reference_cameras[row], poses[reference[row]], atol=1e-5, rtol=0)
            torch.testing.assert_close(batch.cameras[row], poses[wanted[row]], atol=1e-5, rtol=0)
        assert torch.equal(batch.coverage[..., 0, 0] == 0, copies == 1)
        inside = (wanted < 16) & ((wanted - reference[:, None]) % 2 == 0)
        total += 16
        mirrored += int(copy.sum())
        favourite += int((index == 3).sum())
        front += int((reference == 0).sum())
        eighths += int(inside.all(dim=1).sum())
        lower += int((wanted >= 32).all(dim=1).sum())
        assert int(reference.max()) < 32
    assert favourite / total == pytest.approx(0.9 + 0.1 / 5, abs=0.04)
    assert front / total == pytest.approx(0.6 + 0.4 / 32, abs=0.06)
    # Any four views are seldom of the eight: 8 of 40 choose 4.
    assert eighths / total == pytest.approx(0.5 + 0.2 * 70 / 91390, abs=0.06)
    assert lower / total == pytest.approx(0.3 + 0.2 * 70 / 91390, abs=0.06)
    assert mirrored / total == pytest.approx(0.5, abs=0.06)
    again, first = batches(7, generator(7)), batches(7, generator(7))
    assert torch.equal(again.latents, first.latents)


def test_so_many_references_show_made_objects(source):
    batches = NovelViewBatches(replace(source, made_share=0.3), SHARES, 64, 4, torch.device("cpu"))
    drawn = torch.cat([batches(seed, generator(seed)).reference[:, :2, 0, 0] for seed in range(80)])
    made = drawn[:, 0] >= 10
    assert float(made.float().mean()) == pytest.approx(0.3, abs=0.05)
    # All of them alike, without vocabulary_rows.
    shares = torch.bincount((drawn[made, 1] - 10).long()) / made.sum()
    assert shares.tolist() == pytest.approx([1 / 3] * 3, abs=0.1)


def test_so_many_references_show_painted_objects_beside_the_made_ones(source):
    """Made ones come first: of the rest, a quarter is painted."""
    shares = SHARES.model_copy(update={"painted": 0.25})
    batches = NovelViewBatches(replace(source, made_share=0.2), shares, 64, 4, torch.device("cpu"))
    drawn = [batches(seed, generator(seed)) for seed in range(80)]
    first = torch.cat([batch.reference[:, 0, 0, 0] for batch in drawn])
    assert float((first >= 20).float().mean()) == pytest.approx(0.8 * 0.25, abs=0.05)
    assert float(((first >= 10) & (first < 20)).float().mean()) == pytest.approx(0.2, abs=0.05)
    indices = torch.cat([batch.reference[:, 1, 0, 0] for batch in drawn])[first >= 20] - 20
    assert sorted(indices.unique().tolist()) == [0, 1]


def test_so_many_references_are_drawn_fronts(source):
    """Made and painted objects, of which there are more, are never drawn; the wanted views are of the object meant."""
    latents = torch.tensor([100.0, 101.0])[:, None, None, None].expand(2, 3, 1, 2)
    fronts = DrawnViews(latents, torch.tensor([3, 1]), torch.tensor([0, 0]))
    many = source.made[0].latents[:1].repeat(9, 1, 1, 1, 1)
    coverage, cameras = (one[:1].repeat(9, 1, 1, 1) for one in (source.painted.coverage, CAMERAS[None]))
    larger = replace(
        source,
        drawn=fronts,
        made=(ObjectCopy(many, coverage, cameras, mirrored=False),),
        made_share=0.3,
        painted=ObjectCopy(many + 10, coverage, cameras, mirrored=False),
    )
    shares = SHARES.model_copy(update={"drawn": 0.5, "painted": 0.2, "eighths": 1.0, "lower_ring": 0.0})
    batches = NovelViewBatches(larger, shares, 64, 4, torch.device("cpu"))
    of_own, drawn_of = 0, {3: 0, 1: 0}
    for seed in range(80):
        batch = batches(seed, generator(seed))
        drawn = batch.reference[:, 0, 0, 0] >= 100
        copies, objects, views = batch.latents[..., 0, 0].movedim(-1, 0)
        of_own += int((copies[:, 0] < 10).sum())
        assert bool((copies[drawn] == 0).all()) and bool((views[drawn] % 2 == 0).all())
        torch.testing.assert_close(batch.reference_cameras[drawn], CAMERAS[:1].expand(int(drawn.sum()), 4, 4))
        meant = torch.where(batch.reference[drawn, 0, 0, 0] == 100, 3, 1)
        assert torch.equal(objects[drawn].long(), meant[:, None].expand(-1, 4))
        for name in drawn_of:
            drawn_of[name] += int((meant == name).sum())
    assert sum(drawn_of.values()) / of_own == pytest.approx(0.5, abs=0.05)
    assert drawn_of[3] / sum(drawn_of.values()) == pytest.approx(0.5, abs=0.08)
