"""Eq. 3-9 as they stand, against the float64 oracle; and every faster evaluation against them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from placid_kedro.cameras import orbit
from placid_kedro.errors import ParameterError
from placid_kedro.latent_plane import Evaluation, Extensions, LatentPlane, ObjectInputs
from tests.latent_plane.test_plane import SMALL, authors_names

EXTENDED = Extensions(density_refinement=2, silhouette_factor=4)
PLAIN = Extensions()


def ring_plane(num_views: int, preset: str, extensions: Extensions = PLAIN) -> LatentPlane:
    torch.manual_seed(5)
    cameras = orbit([360.0 * i / num_views for i in range(num_views)], 30.0, 1.5, 280.0, 256)
    plane = LatentPlane.from_preset(preset, **SMALL, cameras=cameras, extensions=extensions).eval()
    with torch.no_grad():
        for name, parameter in plane.named_parameters():
            if name.startswith(("refinement.", "silhouette_head.")):
                parameter.add_(0.1 * torch.randn(parameter.shape))
            else:
                parameter.mul_(1.5)
        plane.sigma_head.weight.mul_(4)
    return plane


def inputs_of(plane: LatentPlane, size: int = 6) -> ObjectInputs:
    generator = torch.Generator().manual_seed(0)
    side = plane.silhouette_factor * size
    return ObjectInputs(
        torch.randn(len(plane.cameras), plane.feature_channels, size, size, generator=generator),
        torch.randn(plane.time_embedding_dim, generator=generator),
        torch.rand(side, side, generator=generator) if side else None,
    )


def by(plane: LatentPlane, method: str) -> LatentPlane:
    return plane.with_evaluation(Evaluation(method=method, block_size=97))


@pytest.mark.parametrize("preset", ["paper", "official"])
@pytest.mark.parametrize("num_views", [4, 8])
def test_the_reference_is_the_formulas(oracle, num_views, preset):
    plane = by(ring_plane(num_views, preset), "reference")
    given = inputs_of(plane)
    coarse, fine = authors_names(plane)
    if plane.config.share_layers:
        for weights in (coarse, fine):
            for name in [n for n in weights if n.startswith("transformer.0.")]:
                weights[name.replace("transformer.0.", "transformer.1.")] = weights[name]
    maps, time = given.features.double().numpy(), given.t_emb.double().numpy()
    poses = oracle.ring([360.0 * i / num_views for i in range(num_views)])
    with torch.no_grad():
        enhanced, occupancy = plane(given.features, given.t_emb)
        points = torch.tensor([[0.1, -0.2, 0.3], [-0.4, 0.0, 0.2]])
        sigma = plane.density(given.features, given.t_emb, points)
    expected = [oracle.density(coarse, maps, time, p, poses) for p in points.double().numpy()]
    np.testing.assert_allclose(sigma, expected, rtol=1e-4, atol=1e-4)
    for view, row, column in ((0, 2, 3), (num_views - 1, 4, 1), (1, 0, 5)):
        value, share = oracle.pixel(
            coarse, fine, maps, time, view, row, column, poses,
            samples=6, combination=plane.config.combination, missed_rays=plane.missed_rays,
        )  # fmt: skip
        assert abs(occupancy[view, 0, row, column].item() - share) < 2e-5
        np.testing.assert_allclose(enhanced[view, :, row, column].double(), value, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("method", ["folded", "compiled"])
@pytest.mark.parametrize("extensions", [PLAIN, EXTENDED], ids=["plain", "extended"])
@pytest.mark.parametrize("preset", ["paper", "official"])
@pytest.mark.parametrize("num_views", [4, 8])
@torch.no_grad()
def test_every_evaluation_is_the_reference(num_views, preset, extensions, method):
    plane = ring_plane(num_views, preset, extensions)
    given = inputs_of(plane)
    points = torch.rand(133, 3, generator=torch.Generator().manual_seed(7)) - 0.5
    expected, ours = (by(plane, one).enhance(given.batch) for one in ("reference", method))
    for name in ("features", "rendered", "occupancy", "depth"):
        torch.testing.assert_close(getattr(ours, name), getattr(expected, name), rtol=1e-4, atol=1e-4)
    densities = [by(plane, one).density_at(given, points) for one in ("reference", method)]
    torch.testing.assert_close(densities[1], densities[0], rtol=1e-4, atol=1e-4)
    assert float(expected.occupancy.max() - expected.occupancy.min()) > 0.2


@pytest.mark.parametrize("extensions", [PLAIN, EXTENDED], ids=["plain", "extended"])
def test_the_folded_gradients_are_the_references(extensions):
    plane = ring_plane(4, "paper", extensions)
    given, gradients = inputs_of(plane, size=4), []
    for method in ("reference", "folded"):
        plane.zero_grad()
        output = by(plane, method).enhance(given.batch)
        (output.features.square().mean() + output.depth.mean()).backward()
        gradients.append({name: p.grad.clone() for name, p in plane.named_parameters()})
    for name, expected in gradients[0].items():
        scale = float(expected.abs().max())
        assert scale > 0, name
        torch.testing.assert_close(gradients[1][name], expected, rtol=1e-3, atol=1e-4 * scale + 1e-7)


def test_the_compiled_attention_has_no_gradients():
    plane = ring_plane(4, "paper")
    with pytest.raises(ParameterError, match="without gradients; use method 'auto'"):
        by(plane, "compiled").enhance(inputs_of(plane).batch)
