"""Losses against their formulas; batches of Latent-Plane and scorer; the patch autoencoder."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from placid_kedro.cameras import orbit
from placid_kedro.embedded.networks.lifted_reference import LiftedViews
from placid_kedro.embedded.networks.patch_autoencoder import PatchAutoencoder
from placid_kedro.embedded.training.autoencoder import (
    ImageBatches,
    RepairBatch,
    RepairObjective,
    local_sharpness,
    near_object,
    patch_moment,
)
from placid_kedro.embedded.training.config import AutoencoderParameters, ImageShares, ScorerParameters
from placid_kedro.embedded.training.copies import encode_copy
from placid_kedro.embedded.training.networks import Float32GroupNorm, prepare_for_cpu
from placid_kedro.embedded.training.objectives import (
    LiftingObjective,
    NovelViewBatch,
    NovelViewObjective,
    TextToImageBatch,
    TextToImageObjective,
    x0_losses,
)
from placid_kedro.embedded.training.plane_batches import plane_cameras
from placid_kedro.embedded.training.recipes import embedded_schedule
from placid_kedro.embedded.training.scorer_training import distort
from placid_kedro.embedded.training.views import ViewArrays
from placid_kedro.latent_plane.training.batches import turned_back

SCHEDULE = embedded_schedule()


def gaussian(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_the_weight_is_the_clamped_signal_to_noise_ratio():
    x0, target = gaussian(3, 2, 4, 4), gaussian(3, 2, 4, 4, seed=1)
    t = torch.tensor([10, 400, 999])
    losses = x0_losses(x0, target, t, SCHEDULE)
    expected = []
    for row, step in enumerate(t.tolist()):
        alpha_bar = float(SCHEDULE.alphas_cumprod[step])
        weight = min(max(alpha_bar / (1 - alpha_bar), 0.4), 1.5)
        expected.append(weight * float((x0[row] - target[row]).square().mean()))
    assert float(losses["loss"]) == pytest.approx(np.mean(expected), rel=1e-5)
    for name, row in (("error_low_noise", 0), ("error_middle_noise", 1), ("error_high_noise", 2)):
        assert float(losses[name]) == pytest.approx(float((x0[row] - target[row]).square().mean()), rel=1e-5)
    assert torch.isnan(x0_losses(x0[:1], target[:1], t[:1], SCHEDULE)["error_high_noise"])


class KnowsVelocity(nn.Module):
    """A "UNet" that is told x0 and noise, and puts out v; it remembers what it saw."""

    def __init__(self, x0, noise):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))
        self.x0, self.noise, self.seen = x0, noise, []
        self.up_blocks = nn.ModuleList([nn.Identity()])

    def forward(self, sample, t, context, return_dict):
        self.seen.append((sample, context))
        self.up_blocks[0](2 * self.x0)
        v = SCHEDULE.a(t) * self.noise - SCHEDULE.s(t) * self.x0
        return (self.scale * v,)


class Ones(nn.Module):
    """Reference tokens that tell nothing but that they are there."""

    def forward(self, reference, poses):
        return torch.ones(len(reference), 3, 5)


def lifted_ones(reference, reference_cameras, cameras):
    views = torch.ones(cameras.shape[0] * cameras.shape[1], 3, 4, 4)
    return LiftedViews(views, views[:, 0], views)


def test_text_to_image_has_no_loss_where_v_is_right():
    x0, noise, t = gaussian(4, 2, 4, 4), gaussian(4, 2, 4, 4, seed=1), torch.tensor([0, 300, 800, 999])
    batch = TextToImageBatch(SCHEDULE.add_noise(x0, noise, t), t, gaussian(4, 3, 5), x0)
    objective = TextToImageObjective(KnowsVelocity(x0, noise), SCHEDULE)
    with torch.no_grad():
        assert objective(batch, torch.Generator())["loss"].item() < 1e-9
        objective.network.scale.fill_(0.9)
        assert objective(batch, torch.Generator())["loss"].item() > 1e-3


def test_novel_view_drops_reference_and_context_together():
    unet = KnowsVelocity(torch.zeros(400, 2, 4, 4), torch.zeros(400, 2, 4, 4))
    parts = {"unet": unet, "reference_tokens": Ones(), "from_decoder": nn.Identity()}
    objective = NovelViewObjective(nn.ModuleDict(parts), lifted_ones, SCHEDULE, 0.3, 0.0)
    batch = novel_view_batch(100, 4)
    objective(batch, torch.Generator().manual_seed(0))
    ((sample, context),) = unet.seen
    assert sample.shape == (400, 2 + 2 + 3, 4, 4)
    kept = sample[:, 2:].flatten(1).mean(dim=1)
    assert set(kept.tolist()) == {0.0, 1.0}
    assert torch.equal(context.flatten(1).mean(dim=1), kept)
    assert float(kept.mean()) == pytest.approx(0.7, abs=0.09)


def test_the_decoder_block_is_asked_for_the_clean_latents():
    """The block puts out twice x0: a map that halves it has no loss, the identity has x0's own weighted square."""

    batch = novel_view_batch(50, 4)
    clean = batch.latents.flatten(0, 1)
    halving, same = nn.Conv2d(2, 2, 1, bias=False), nn.Identity()
    with torch.no_grad():
        halving.weight.copy_(0.5 * torch.eye(2)[..., None, None])
    unet = KnowsVelocity(clean, torch.zeros_like(clean))
    losses = []
    for decoder_map, weight in ((halving, 1.0), (same, 0.0), (same, 0.5)):
        parts = {"unet": unet, "reference_tokens": Ones(), "from_decoder": decoder_map}
        objective = NovelViewObjective(nn.ModuleDict(parts), lifted_ones, SCHEDULE, 0.0, weight)
        with torch.no_grad():
            losses.append(objective(batch, torch.Generator().manual_seed(0)))
    t = torch.randint(1000, (200,), generator=torch.Generator().manual_seed(0))
    expected = x0_losses(2 * clean, clean, t, SCHEDULE)["loss"]
    assert float(losses[0]["decoder_loss"]) < 1e-12
    torch.testing.assert_close(losses[1]["decoder_loss"], expected)
    torch.testing.assert_close(losses[2]["loss"] - losses[1]["loss"], 0.5 * expected)
    assert not unet.up_blocks[0]._forward_hooks


def novel_view_batch(references, wanted):
    """References of ones, views of noise."""
    poses = orbit(torch.arange(wanted) * 45.0, 30.0, 1.5, 17.5, 16).world_to_camera
    poses = poses.expand(references, wanted, 4, 4)
    latents = gaussian(references, wanted, 2, 4, 4)
    coverage = (gaussian(references, wanted, 4, 4, seed=1) > 0).float()
    return NovelViewBatch(latents, coverage, torch.ones(references, 2, 4, 4), poses[:, 0], poses)


def test_lifting_is_measured_by_latents_and_silhouettes():
    batch = novel_view_batch(2, 3)
    latents, coverage = batch.latents.flatten(0, 1), batch.coverage.flatten(0, 1)

    class Lifted(nn.Module):
        def __init__(self, views):
            super().__init__()
            self.views = views

        def forward(self, reference, reference_cameras, cameras):
            return self.views

    # Occupancy 0.9 where there is something and 0.1 elsewhere.
    unsure = Lifted(LiftedViews(latents, 0.8 * coverage + 0.1, latents + 0.5))
    losses = LiftingObjective(unsure, 0.3, 0.0)(batch, torch.Generator())
    assert float(losses["loss"]) == pytest.approx(0.25 - 0.3 * np.log(0.9), rel=1e-4)
    assert float(losses["silhouette_iou"]) == 1
    with_overlap = LiftingObjective(unsure, 0.3, 0.5)(batch, torch.Generator())
    covered = coverage.sum((1, 2)).double()  # of 16
    shared = 0.9 * covered / (0.1 * 16 + 0.9 * covered)
    assert float(with_overlap["loss"] - losses["loss"]) == pytest.approx(
        0.5 * float(1 - shared.mean()), rel=1e-4
    )
    perfect = Lifted(LiftedViews(latents, coverage, latents))
    assert float(LiftingObjective(perfect, 0.3, 0.3)(batch, torch.Generator())["loss"]) < 1e-3


def test_networks_prepared_for_the_cpu_compute_the_same():
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.GroupNorm(2, 8), nn.Sequential(nn.GroupNorm(4, 8)))
    nn.init.normal_(network[1].weight)
    images, names = gaussian(2, 3, 6, 6), list(network.state_dict())
    before = network(images)
    parameters = [id(one) for one in network.parameters()]
    prepare_for_cpu(network)
    assert isinstance(network[1], Float32GroupNorm) and isinstance(network[2][0], Float32GroupNorm)
    assert [id(one) for one in network.parameters()] == parameters and list(network.state_dict()) == names
    torch.testing.assert_close(network(images), before)


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


PLAIN = {"blur_share": 0.0, "noise": 0.0, "colour_cast": 0.0, "scale": 0.0, "shift": 0.0}


def distorted(images, **changes):
    fields = {name: changes.get(name, value) for name, value in PLAIN.items()}
    return distort(images, ScorerParameters.model_construct(**fields), torch.Generator().manual_seed(0))


def test_distortions_are_as_strong_as_asked_for():
    images = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(distorted(images), images, rtol=0, atol=1e-4)
    white = torch.ones(4, 3, 32, 32)
    moved = distorted(white, shift=0.5, scale=0.2)
    torch.testing.assert_close(moved, white)  # what comes in from outside is background
    grey = torch.full((16, 3, 8, 8), 0.5)
    tinted = distorted(grey, colour_cast=0.1)
    assert float(tinted.min()) >= 0.45 and float(tinted.max()) <= 0.55
    assert float(tinted[:, :, 0, 0].std()) > 0.01 and float(tinted.std(dim=(2, 3)).max()) < 1e-6
    assert float(distorted(images, blur_share=1.0).std()) < 0.7 * float(images.std())
    assert 0 < float((distorted(grey, noise=0.06) - grey).std()) <= 0.062
