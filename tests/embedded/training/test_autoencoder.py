"""The patch autoencoder: its components, the images that its decoder learns from, and what an error costs."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from placid_kedro.cameras import orbit
from placid_kedro.embedded.networks.patch_autoencoder import PatchAutoencoder
from placid_kedro.embedded.training.autoencoder import (
    ImageBatches,
    RepairBatch,
    RepairObjective,
    local_sharpness,
    near_object,
    patch_moment,
)
from placid_kedro.embedded.training.config import AutoencoderParameters, ImageShares
from placid_kedro.embedded.training.copies import encode_copy
from placid_kedro.embedded.training.plane_batches import plane_cameras
from placid_kedro.embedded.training.views import ViewArrays
from placid_kedro.latent_plane.training.batches import turned_back


def gaussian(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def views():
    """Two objects of noise, eight views each."""
    random = np.random.default_rng(0)
    rgba = random.integers(0, 256, (2, 8, 16, 16, 4), dtype=np.uint8)
    cameras = orbit(torch.arange(8) * 45.0, 30.0, 1.5, 17.5, 16)
    poses = np.stack([cameras.world_to_camera.numpy()] * 2)
    depth = np.ones((2, 8, 16, 16), np.float16)
    return ViewArrays(("a", "b"), rgba, depth, poses, cameras.K[0].numpy(), "digest")


def test_views_over_white_and_their_azimuths(views):
    assert views.azimuths_deg().tolist() == [0, 45, 90, 135, 180, 225, 270, 315]
    images = views.images(np.array([0, 1]), np.array([3, 5]))
    rgba = torch.from_numpy(views.rgba[1, 5].astype(np.float64)) / 255
    expected = rgba[..., :3] * rgba[..., 3:] + 1 - rgba[..., 3:]
    torch.testing.assert_close(images[1].double(), expected.permute(2, 0, 1), rtol=0, atol=1e-6)
    assert views.images(0, slice(None)).shape == (8, 3, 16, 16)


def test_turning_the_world_moves_a_view_to_the_front(views):
    ring = plane_cameras(views, 8)
    turned = turned_back(ring, 90.0)
    # What was seen from azimuth 90 degrees is now seen from the front.
    torch.testing.assert_close(turned.world_to_camera, ring.world_to_camera[(torch.arange(8) - 2) % 8])


def test_the_patches_moment_is_their_mean_product(views):
    moment = patch_moment(views, 8, every=4)
    total, count = np.zeros((192, 192)), 0
    for index in range(2):
        for view in (0, 4):
            image = views.images(index, [view])[0].double().numpy() * 2 - 2
            for y in (0, 8):
                for x in (0, 8):
                    patch = image[:, y : y + 8, x : x + 8].reshape(-1)
                    total += np.outer(patch, patch)
                    count += 1
    np.testing.assert_allclose(moment.numpy(), total / count, rtol=1e-4)


def test_all_components_reconstruct_and_latents_have_unit_scale(views):
    # As many components as there are patches in all.
    autoencoder = PatchAutoencoder(64, 8, (8, 8, 4), 1)
    autoencoder.fit_components(patch_moment(views, 8, 1))
    latents = encode_copy(autoencoder, views, 0)
    assert latents.shape == (2, 8, 64, 2, 2)
    assert float(latents.square().mean()) == pytest.approx(1, rel=1e-2)
    decoded = autoencoder.decode(latents[1]).sample
    torch.testing.assert_close(decoded, views.images(1, slice(None)) * 2 - 1, rtol=0, atol=2e-3)


def repair(autoencoder, **changes):
    plain = {"latent_noise": 0.0, "noisy_share": 1.0, "background_weight": 1.0}
    fields = {**plain, "absolute_weight": 0.0, "gradient_weight": 0.0, "sharpness_weight": 0.0, **changes}
    return RepairObjective(autoencoder, AutoencoderParameters.model_construct(**fields))


def images_of(views, count=3, seed=0, **shares):
    shares = {"vocabulary": 0.0, "eighths": 0.0, "exchanged": 0.0, "mirrored": 0.0, **shares}
    batches = ImageBatches(
        views, torch.tensor([1]), [0, 3], ImageShares.model_construct(**shares), count, torch.device("cpu")
    )
    return batches(0, torch.Generator().manual_seed(seed)).images


def drawn_from(views, images):
    """The place of each image among all views of all objects."""
    every = views.images(slice(None), slice(None))
    return [int((every - image).abs().sum(dim=(2, 3, 4)).argmin()) for image in images]


def test_images_are_of_the_vocabulary_and_its_ring_as_often_as_asked_for(views):
    places = torch.tensor(drawn_from(views, images_of(views, 40, vocabulary=1.0, eighths=1.0)))
    assert set((places // views.view_count).tolist()) == {1}
    assert set((places % views.view_count).tolist()) == {0, 3}
    places = torch.tensor(drawn_from(views, images_of(views, 60)))
    assert set((places // views.view_count).tolist()) == {0, 1}
    assert max((places % views.view_count).tolist()) > 3


def test_images_come_in_a_mirror_and_in_other_colours(views):
    plain, mirrored, exchanged = (
        images_of(views, **shares) for shares in ({}, {"mirrored": 1.0}, {"exchanged": 1.0})
    )
    assert torch.equal(mirrored, plain.flip(-1))
    channels = [exchanged[:, channel] for channel in range(3)]
    orders = [
        order
        for order in itertools.permutations(range(3))
        if all(torch.equal(channels[i], plain[:, order[i]]) for i in range(3))
    ]
    assert orders


def test_repair_trains_its_own_network_only(views):
    autoencoder = PatchAutoencoder(4, 8, (8, 8, 4), 1)
    autoencoder.fit_components(patch_moment(views, 8, 1))
    repair(autoencoder)(RepairBatch(images_of(views)), torch.Generator().manual_seed(0))["loss"].backward()
    trained = {name for name, value in autoencoder.named_parameters() if value.grad is not None}
    assert trained == {name for name, _ in autoencoder.named_parameters() if name.startswith("repair")}


def test_repair_sees_squared_and_absolute_error_edges_and_noise(views):
    autoencoder = PatchAutoencoder(4, 8, (8, 8, 4), 1)
    autoencoder.fit_components(patch_moment(views, 8, 1))
    images = views.images(0, slice(None))
    with torch.no_grad():
        decoded = autoencoder.decode(autoencoder.encode(images * 2 - 1).latent_dist.mean).sample / 2 + 0.5
        error = (decoded - images).double()
        losses = repair(autoencoder, absolute_weight=0.5)(RepairBatch(images), torch.Generator())
        edged = repair(autoencoder, gradient_weight=0.25)(RepairBatch(images), torch.Generator())
        noisy = [
            repair(autoencoder, latent_noise=level)(RepairBatch(images), torch.Generator().manual_seed(1))[
                "psnr"
            ].item()
            for level in (0.0, 0.5, 2.0)
        ]
    squared, absolute = float(error.square().mean()), float(error.abs().mean())
    assert float(losses["loss"]) == pytest.approx(4 * squared + 0.5 * 2 * absolute, rel=1e-4)
    assert float(losses["psnr"]) == pytest.approx(-10 * np.log10(squared), rel=1e-4)
    edges = sum(np.abs(np.diff(error.numpy(), axis=axis)).mean() for axis in (2, 3))
    assert float(edged["loss"]) == pytest.approx(4 * squared + 0.25 * 2 * edges, rel=1e-4)
    assert noisy[0] > noisy[1] > noisy[2]


def test_drawn_latents_are_decoded_as_they_are_and_the_others_encoded(views):
    autoencoder = PatchAutoencoder(4, 8, (8, 8, 4), 1)
    autoencoder.fit_components(patch_moment(views, 8, 1))
    images = views.images(0, slice(None, 4))
    drawn = gaussian(3, 4, 2, 2)
    with torch.no_grad():
        own = autoencoder.encode(images[3:] * 2 - 1).latent_dist.mode()
        error = autoencoder.decode(torch.cat([drawn, own])).sample - (images * 2 - 1)
        loss = repair(autoencoder)(RepairBatch(images, drawn), torch.Generator())["loss"]
    assert float(loss) == pytest.approx(float(error.square().mean()), rel=1e-5)


def test_sharpness_does_not_ask_where_an_edge_lies_but_how_steep_it_is():
    edge = torch.zeros(1, 3, 17, 17)
    edge[..., 6:] = 1.0
    beside, blurred = edge.clone(), edge.clone()
    beside[..., 6] = 0.0
    blurred[..., 4:7] = torch.tensor([0.25, 0.5, 0.75])
    sharp, other, soft = (local_sharpness(image)[0, 0, 0] for image in (edge, beside, blurred))
    # Means of two make two steps of a half of one, and of four quarters an eighth, three quarters and an eighth.
    # The windows begin at 0, 4 and 8.
    torch.testing.assert_close(sharp, torch.tensor([2 / 4 / 8, 2 / 4 / 8, 0.0]).add(1e-4).sqrt())
    assert torch.equal(other, sharp)
    steps = [2 / 64 + 3 / 16, 1 / 64 + 2 / 16, 0.0]
    torch.testing.assert_close(soft, torch.tensor(steps).div(8).add(1e-4).sqrt())
    noise = torch.randn(2, 3, 17, 17, generator=torch.Generator().manual_seed(0)).double()
    values = noise.numpy()
    means = (values[..., :-1, :-1] + values[..., :-1, 1:] + values[..., 1:, :-1] + values[..., 1:, 1:]) / 4
    expected = np.zeros((2, 3, 16, 16))
    expected[..., :-1] += np.diff(means, axis=3) ** 2
    expected[..., :-1, :] += np.diff(means, axis=2) ** 2
    window = np.sqrt(expected[1, 2, 4:12, 8:16].mean() + 1e-4)
    assert float(local_sharpness(noise)[1, 2, 1, 2]) == pytest.approx(window, rel=1e-9)


def test_a_chequer_pattern_is_not_sharp():
    rows = torch.arange(16)
    chequers = ((rows[:, None] + rows) % 2).float().expand(1, 3, 16, 16)
    torch.testing.assert_close(local_sharpness(chequers), torch.full((1, 3, 2, 2), 0.01))


def test_a_blurred_image_pays_for_its_sharpness():
    autoencoder = PatchAutoencoder(4, 8, (8, 8, 4), 1)
    images = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        autoencoder.synthesis.weight.zero_()
        plain = repair(autoencoder)(RepairBatch(images), torch.Generator())["loss"]
        losses = repair(autoencoder, sharpness_weight=0.5)(RepairBatch(images), torch.Generator())
    # Everything decodes to white, which has none.
    missing = float(local_sharpness(images * 2 - 1).mean()) - 0.01
    assert float(losses["sharpness_error"]) == pytest.approx(missing, rel=1e-5)
    assert float(losses["loss"] - plain) == pytest.approx(0.5 * missing, rel=1e-4)


def test_errors_far_from_the_object_weigh_less():
    images = torch.ones(1, 3, 16, 16)
    images[0, 1, 8, 4] = 0.5
    near = near_object(images)[0, 0]
    expected = torch.zeros(16, 16, dtype=torch.bool)
    expected[6:11, 2:7] = True
    assert torch.equal(near, expected)
    torch.manual_seed(0)
    autoencoder = PatchAutoencoder(4, 8, (8, 8, 4), 1)
    with torch.no_grad():
        error = autoencoder.decode(autoencoder.encode(images * 2 - 1).latent_dist.mode()).sample - (
            images * 2 - 1
        )
        loss = repair(autoencoder, background_weight=0.25)(RepairBatch(images), torch.Generator())["loss"]
    squared = error.square()
    weighted = (squared[0, :, near].sum() + 0.25 * squared[0, :, ~near].sum()) / squared.numel()
    assert float(loss) == pytest.approx(float(weighted), rel=1e-4)
