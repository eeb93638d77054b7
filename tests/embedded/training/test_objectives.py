"""Losses against their formulas, networks prepared for a CPU, and the distortions of the scorer's images."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from placid_kedro.cameras import orbit
from placid_kedro.embedded.networks.lifted_reference import LiftedViews
from placid_kedro.embedded.training.config import ScorerParameters
from placid_kedro.embedded.training.networks import Float32GroupNorm, prepare_for_cpu
from placid_kedro.embedded.training.objectives import (
    LiftingObjective,
    NovelViewBatch,
    NovelViewObjective,
    TextToImageBatch,
    TextToImageObjective,
    x0_losses,
)
from placid_kedro.embedded.training.recipes import embedded_schedule
from placid_kedro.embedded.training.scorer_training import distort

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
