"""Finer maps for the density: against the formulas in float64, and in the UNet's hook."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from diffusers import UNet2DConditionModel
from pydantic import ValidationError
from scipy.ndimage import correlate

from placid_kedro.cameras import multiview_cameras
from placid_kedro.errors import ShapeError
from placid_kedro.latent_plane import Evaluation, Extensions, LatentPlane, LatentPlaneAttachment, ObjectInputs
from placid_kedro.latent_plane.extensions.silhouette import FineDetail, silhouette_texels
from placid_kedro.latent_plane.presets import Action, PlannedCall
from tests.latent_plane.test_plane import authors_names

VIEWS = 4
RING = multiview_cameras(azimuths_deg=[0.0, 90.0, 180.0, 270.0])
SIZES = {
    "token_channels": 8,
    "num_heads": 8,
    "density_head_dim": 2,
    "feature_head_dim": 4,
    "samples_per_ray": 6,
}


def refined_plane(factor: int = 2, silhouette_factor: int = 2, **config) -> LatentPlane:
    torch.manual_seed(5)
    extensions = Extensions(density_refinement=factor, silhouette_factor=silhouette_factor)
    plane = LatentPlane(12, 16, RING, extensions=extensions, **{**SIZES, **config}).eval()
    with torch.no_grad():
        for parameter in plane.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape))
    return plane


def inputs(plane: LatentPlane, size: int = 5) -> ObjectInputs:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(VIEWS, plane.feature_channels, size, size, generator=generator)
    t_emb = torch.randn(plane.time_embedding_dim, generator=generator)
    side = plane.silhouette_factor * size
    silhouette = torch.rand(side, side, generator=generator) if side else None
    return ObjectInputs(features, t_emb, silhouette)


def points(count: int = 9) -> torch.Tensor:
    return torch.rand(count, 3, generator=torch.Generator().manual_seed(7)) - 0.5


def silu(x: np.ndarray) -> np.ndarray:
    return x / (1 + np.exp(-x))


def normalised(maps: np.ndarray, groups: int, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Group normalisation of one view [C, H, W]."""
    parts = np.split(maps, groups)
    maps = np.concatenate([(part - part.mean()) / np.sqrt(part.var() + 1e-5) for part in parts])
    return maps * weight[:, None, None] + bias[:, None, None]


def convolved(maps: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """One view [C, H, W] through a convolution [O, C, k, k] with zeros around."""
    rows = [
        sum(correlate(m, w, mode="constant") for m, w in zip(maps, kernels, strict=True))
        for kernels in weight
    ]
    return np.stack(rows) + bias[:, None, None]


def upsampled(image: np.ndarray, factor: int) -> np.ndarray:
    """One image [H, W] bilinearly, its border repeated, pixel by pixel."""
    H, W = image.shape
    result = np.zeros((factor * H, factor * W))
    for row, column in np.ndindex(*result.shape):
        y = np.clip((row + 0.5) / factor - 0.5, 0, H - 1)
        x = np.clip((column + 0.5) / factor - 0.5, 0, W - 1)
        top, left = int(y), int(x)
        bottom, right = min(top + 1, H - 1), min(left + 1, W - 1)
        upper = (1 - x + left) * image[top, left] + (x - left) * image[top, right]
        lower = (1 - x + left) * image[bottom, left] + (x - left) * image[bottom, right]
        result[row, column] = (1 - y + top) * upper + (y - top) * lower
    return result


def texel_pixels(plane: LatentPlane, silhouette: torch.Tensor | None, size: int) -> np.ndarray:
    """[N, s * s, H, W] the signed pixels of the first view's silhouette in each texel, zero for the other views."""
    s = plane.silhouette_factor
    pixels = np.zeros((VIEWS, s * s, size, size))
    for row, column in np.ndindex(s * size, s * size):
        value = 2 * float(silhouette[row, column]) - 1
        pixels[0, row % s * s + column % s, row // s, column // s] = value
    return pixels


def fine_maps(plane: LatentPlane, given: ObjectInputs) -> np.ndarray:
    """[N, c, rH, rW] float64 maps that the density reads."""
    state = {name: value.double().numpy() for name, value in plane.state_dict().items()}
    r, c = plane.density_refinement, SIZES["token_channels"]
    features = given.features.double().numpy()
    silhouettes = texel_pixels(plane, given.silhouette, features.shape[-1])

    def weights(layer: str) -> tuple[np.ndarray, np.ndarray]:
        return state[f"{layer}.weight"], state[f"{layer}.bias"]

    weight, bias = weights("feature_projection")
    views = []
    for own, silhouette in zip(features, silhouettes, strict=True):
        hidden = np.concatenate([silu(normalised(own, 1, *weights("refinement.norm_in"))), silhouette])
        hidden = convolved(hidden, *weights("refinement.conv_in"))
        inner = silu(normalised(hidden, 8, *weights("refinement.norm_middle")))
        hidden = hidden + convolved(inner, *weights("refinement.conv_middle"))
        detail = convolved(
            silu(normalised(hidden, 8, *weights("refinement.norm_out"))), *weights("refinement.conv_out")
        )
        coarse = np.einsum("oc,chw->ohw", weight, own) + bias[:, None, None]
        fine = np.stack([upsampled(one, r) for one in coarse])
        for channel, row, column in np.ndindex(c, r, r):
            fine[channel, row::r, column::r] += detail[channel * r * r + row * r + column]
        views.append(fine)
    return np.stack(views)


def added_by_silhouette(plane, given, point, oracle, poses) -> float:
    """To the raw density of one point."""
    s, r = plane.silhouette_factor, plane.density_refinement
    if not s:
        return 0.0
    size = given.features.shape[-1]
    pooled = np.zeros((r * size, r * size))
    for row, column in np.ndindex(s * size, s * size):
        pixel = 2 * float(given.silhouette[row, column]) - 1
        pooled[row * r // s, column * r // s] += pixel * r**2 / s**2
    seen = oracle.sample_views(np.stack([pooled[None]] * VIEWS), point, poses)[0]
    head = {name: value.double().numpy() for name, value in plane.silhouette_head.state_dict().items()}
    hidden = silu(head["hidden.weight"] @ seen + head["hidden.bias"])
    return 20.0 * float((head["out.weight"] @ hidden + head["out.bias"])[0])


@pytest.mark.parametrize(("factor", "silhouette_factor"), [(2, 4), (3, 0), (1, 2)])
def test_density_equals_the_formulas(oracle, factor, silhouette_factor):
    plane = refined_plane(factor, silhouette_factor)
    given = inputs(plane)
    coarse, _ = authors_names(plane)
    # The oracle projects features itself; here the maps are projected already.
    channels = SIZES["token_channels"]
    coarse |= {"latent_feature_ln.weight": np.eye(channels), "latent_feature_ln.bias": np.zeros(channels)}
    maps, poses = fine_maps(plane, given), oracle.ring([0.0, 90.0, 180.0, 270.0])
    where = points()
    expected = [
        oracle.density(coarse, maps, given.t_emb.double().numpy(), p, poses)
        + added_by_silhouette(plane, given, p, oracle, poses)
        for p in where.double().numpy()
    ]
    differentiable = plane.density_at(given, where)
    assert differentiable.requires_grad
    with torch.no_grad():
        compiled = plane.density_at(given, where)
    np.testing.assert_allclose(differentiable.detach(), expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(compiled, expected, rtol=1e-4, atol=1e-4)


def test_occupancy_is_the_refined_densitys_and_features_are_those_of_the_coarse_maps():
    """Along a ray the density is read from the finer maps, with and without the coarse grid."""
    plane = refined_plane(2)
    given = inputs(plane, size=6)
    with torch.no_grad():
        output, occupancy = plane(given.features, given.t_emb, given.silhouette)
        rays = plane.view_rays(6, 6)
        origins, directions = RING.resized(6, 6).rays()
        along = rays.depths[..., None] * directions.reshape(-1, 1, 3)[rays.rays]
        raw = plane.density_at(given, (origins.reshape(-1, 1, 3)[rays.rays] + along).reshape(-1, 3))
        optical = (torch.nn.functional.softplus(raw).reshape(rays.distances.shape) * rays.distances).sum(-1)
        closer = plane.with_evaluation(Evaluation(lattice_size=3, lattice_threshold=-1.0))
        looked_at = closer(given.features, given.t_emb, given.silhouette)
    expected = torch.zeros(VIEWS * 36).index_copy(0, rays.rays, -torch.expm1(-optical))
    torch.testing.assert_close(occupancy.flatten(), expected, rtol=1e-3, atol=1e-4)
    assert output.shape == (VIEWS, 12, 6, 6)
    torch.testing.assert_close(looked_at[0], output, rtol=1e-4, atol=1e-4)


def test_a_new_refinement_knows_no_detail_and_trains():
    detail = FineDetail(6, 2, 3, 2)
    maps, features, reference = torch.randn(1, 3, 4, 4), torch.randn(1, 6, 4, 4), torch.randn(1, 2, 4, 4)
    fine = detail(maps, features, reference)
    expected = np.stack([upsampled(one, 2) for one in maps[0].double().numpy()])
    np.testing.assert_allclose(fine[0].detach(), expected, atol=1e-6)
    fine.square().sum().backward()
    assert detail.conv_out.weight.grad.abs().max() > 0


def test_a_silhouettes_pixels_stand_in_their_texels():
    silhouette = torch.rand(12, 12, generator=torch.Generator().manual_seed(1))
    expected = texel_pixels(refined_plane(1, 3), silhouette, 4)
    np.testing.assert_allclose(silhouette_texels(silhouette, 3, VIEWS), expected, atol=1e-6)


def small_unet() -> UNet2DConditionModel:
    torch.manual_seed(1)
    return UNet2DConditionModel(
        sample_size=8,
        in_channels=4,
        out_channels=4,
        block_out_channels=(8, 12),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=16,
        attention_head_dim=4,
        norm_num_groups=4,
    ).eval()


def plane_of_unet() -> LatentPlane:
    torch.manual_seed(2)
    plane = LatentPlane(
        12, 32, RING, extensions=Extensions(density_refinement=2, silhouette_factor=2), **SIZES
    ).eval()
    with torch.no_grad():
        assert plane.refinement is not None
        plane.refinement.conv_out.weight.normal_(0, 0.3)
    return plane


def render_once(call: int) -> PlannedCall:
    return PlannedCall(Action.REUSE if call else Action.RENDER, records=True)


@pytest.mark.parametrize("branches", ["conditional", "shared", "both"])
def test_the_hook_hands_over_the_silhouette(branches):
    unet, plane = small_unet(), plane_of_unet()
    generator = torch.Generator().manual_seed(3)
    sample = torch.randn(2 * VIEWS, 4, 8, 8, generator=generator)
    states = torch.randn(2 * VIEWS, 5, 16, generator=generator)
    silhouettes = torch.rand(2, 1, 16, 16, generator=generator)
    with torch.no_grad():
        plain = unet(sample, 10, states).sample
        outputs = []
        for silhouette in silhouettes:
            with LatentPlaneAttachment(
                unet, plane, render_once, guided=True, branches=branches, silhouette=silhouette
            ) as attachment:
                outputs.append(unet(sample, 10, states).sample)
                torch.testing.assert_close(unet(sample, 10, states).sample, outputs[-1])
        inputs = attachment.inputs
        by_hand = plane.enhance(inputs)
    assert torch.equal(inputs.silhouette, silhouettes[1])
    assert torch.equal(by_hand.occupancy, attachment.occupancy)
    assert (outputs[0] - plain)[VIEWS:].abs().max() > 1e-4
    assert (outputs[0] - outputs[1])[VIEWS:].abs().max() > 1e-5


def test_what_does_not_fit_is_named():
    unet, plane = small_unet(), plane_of_unet()
    sample, states = torch.zeros(VIEWS, 4, 8, 8), torch.zeros(VIEWS, 5, 16)
    with pytest.raises(ShapeError, match="there is none; give it"), LatentPlaneAttachment(unet, plane):
        unet(sample, 10, states)
    wrong = LatentPlaneAttachment(unet, plane, silhouette=torch.zeros(1, 8, 8))
    with pytest.raises(ShapeError, match=r"\[1, 16, 16\] beside 8x8 feature maps, got \[1, 8, 8\]"), wrong:
        unet(sample, 10, states)
    with pytest.raises(ShapeError, match="12 channels"):
        plane(torch.zeros(VIEWS, 13, 8, 8), torch.zeros(32))
    uneven = {"silhouette_factor": 3, "density_refinement": 2}
    for config in ({"density_refinement": 0}, {"silhouette_factor": -1}, uneven):
        with pytest.raises(ValidationError, match=next(iter(config))):
            Extensions(**config)
