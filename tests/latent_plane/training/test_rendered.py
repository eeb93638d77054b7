"""A training set on disk as batches for Latent-Plane, and what is measured on held-out objects."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from placid_kedro.cameras import orbit
from placid_kedro.diffusion.novel_view import load_novel_view
from placid_kedro.errors import DataError, ParameterError
from placid_kedro.latent_plane import Evaluation, ObjectInputs
from placid_kedro.latent_plane.plane import LatentPlane
from placid_kedro.latent_plane.training.batches import BatchShape, PlaneBatches, turned_back, views_around
from placid_kedro.latent_plane.training.losses import render_density
from placid_kedro.latent_plane.training.recipe import make_plane
from placid_kedro.latent_plane.training.rendered import RenderedPlaneObjects
from placid_kedro.latent_plane.training.validation import PlaneValidation, ValidationSettings
from placid_kedro.objects.dataset import RenderedObjects
from placid_kedro.objects.views import write_views
from placid_kedro.rendering import Render

SIZE, RING = 48, 8
CPU = torch.device("cpu")


def cameras_of(ring: int = RING, first_deg: float = 0.0, elevation_deg: float = 30.0):
    azimuths = torch.cat([torch.arange(ring) * (360.0 / ring) + first_deg, torch.arange(4) * 90.0])
    elevations = torch.cat([torch.full((ring,), elevation_deg), torch.tensor([-5.0, 10.0, 20.0, 35.0])])
    return orbit(azimuths, elevations, 1.5, 280 * SIZE / 256, SIZE)


def rendered_sphere(cameras, center, radius: float, color) -> Render:
    """A plain sphere, ray by ray."""
    origins, directions = (part.double() for part in cameras.rays())
    offset = origins - torch.tensor(center, dtype=torch.float64)
    a = directions.square().sum(-1)
    b = (offset * directions).sum(-1)
    disc = b**2 - a * (offset.square().sum(-1) - radius**2)
    hit = disc > 0
    depth = torch.where(hit, (-b - disc.clamp(min=0).sqrt()) / a, torch.zeros_like(b))
    rgba = np.zeros((*hit.shape, 4), np.uint8)
    rgba[hit.numpy()] = (*color, 255)
    return Render(rgba=rgba, depth=depth.float().numpy())


def write_set(folder, cameras_by_uid) -> RenderedObjects:
    rows = []
    for index, (uid, cameras) in enumerate(cameras_by_uid.items()):
        center = (0.15, -0.1 * index, 0.05 * index)
        write_views(
            folder / f"{uid}.zip", cameras, rendered_sphere(cameras, center, 0.25, (200, 40 * index, 90))
        )
        rows.append(
            {"uid": uid, "name": uid, "caption": "", "reason": "", "detail": "", "views": f"{uid}.zip"}
        )
    return RenderedObjects(pd.DataFrame(rows), folder)


@pytest.fixture(scope="module")
def model(tiny_models):
    return load_novel_view(tiny_models.zero123, CPU)


@pytest.fixture
def objects(tmp_path) -> RenderedObjects:
    return write_set(tmp_path, {"a": cameras_of(), "b": cameras_of(), "c": cameras_of()})


def test_the_first_ring_is_found_and_gives_the_planes_cameras(objects, model):
    source = RenderedPlaneObjects(objects, [0, 2], model, views=4, cache_mb=1)
    assert source.ring == 8 and len(source) == 2 and source.view_count(1) == 12
    expected = cameras_of()[[0, 2, 4, 6]].resized(64, 64)
    torch.testing.assert_close(source.cameras.world_to_camera, expected.world_to_camera)
    torch.testing.assert_close(source.cameras.K, expected.K)


@pytest.mark.parametrize(
    "cameras", [cameras_of(first_deg=10.0), cameras_of(elevation_deg=30.0)[[0, 1, 3, 4]]]
)
def test_views_without_a_ring_are_refused(tmp_path, model, cameras):
    objects = write_set(tmp_path, {"a": cameras})
    with pytest.raises(DataError, match="do not begin with a ring"):
        RenderedPlaneObjects(objects, [0], model, views=4, cache_mb=1)


def test_a_ring_that_does_not_hold_the_views_is_refused(objects, model):
    with pytest.raises(ParameterError, match="8 views, but Latent-Plane takes 6"):
        RenderedPlaneObjects(objects, [0], model, views=6, cache_mb=1)


def test_an_object_of_another_protocol_is_named(tmp_path, model):
    objects = write_set(tmp_path, {"a": cameras_of(), "odd": cameras_of(elevation_deg=20.0)})
    source = RenderedPlaneObjects(objects, [0, 1], model, views=8, cache_mb=1)
    source.ring_views(0, range(8))
    with pytest.raises(DataError, match="views of odd follow another protocol than those of a"):
        source.ring_views(1, range(8))


def test_ring_views_are_what_the_model_makes_of_the_images(objects, model):
    source = RenderedPlaneObjects(objects, [0, 1], model, views=8, cache_mb=1)
    around = views_around(8, 8, first=3)
    ring = source.ring_views(1, around)
    rgba = objects.read(1, around).rgba
    images = rgba[:, :3] * rgba[:, 3:] + 1 - rgba[:, 3:]
    images = torch.nn.functional.interpolate(images, (64, 64), mode="bilinear", antialias=True)
    with torch.no_grad():
        modes = model.autoencoder.encode(images * 2 - 1).latent_dist.mode()
        # From the third view on: the turns between views count, not where the first of them stands.
        poses = cameras_of().world_to_camera
        condition = model.conditioner(images[:1], modes[:1], poses[3:4], poses[around])
    torch.testing.assert_close(
        ring.latents, modes * model.autoencoder.config.scaling_factor, atol=1e-5, rtol=1e-4
    )
    torch.testing.assert_close(
        ring.concatenated[:, :4], modes[:1].expand(8, -1, -1, -1), atol=1e-5, rtol=1e-4
    )
    torch.testing.assert_close(ring.concatenated, condition.concatenated, atol=2e-4, rtol=1e-3)
    torch.testing.assert_close(ring.context, condition.context, atol=1e-4, rtol=1e-4)
    mask = torch.nn.functional.interpolate(rgba[:1, 3:], (64, 64), mode="bilinear", antialias=True)
    torch.testing.assert_close(ring.silhouette, mask[0, 0], atol=1e-5, rtol=0)


def test_the_cache_is_bounded_and_changes_nothing(objects, model):
    def latents(source, order):
        return [source.ring_views(index, range(8)).latents for index in order]

    order = [0, 1, 0, 2, 1, 0]
    none = RenderedPlaneObjects(objects, [0, 1, 2], model, views=8, cache_mb=0)
    small = RenderedPlaneObjects(objects, [0, 1, 2], model, views=8, cache_mb=1)
    small._free = 2 * 8 * 4 * 8 * 8 * 4  # two objects' rings
    for a, b in zip(latents(none, order), latents(small, order), strict=True):
        assert torch.equal(a, b)
    assert not none._latents and list(small._latents) == [1, 0] and small._free == 0


def test_batches_turn_rays_with_the_ring(objects, model):
    """Where the sphere is seen in a ray does not depend on where the ring began."""
    source = RenderedPlaneObjects(objects, [1], model, views=8, cache_mb=1)
    shape = BatchShape(views=8, objects=2, reference_front=0.0, supervision_views=5, rays=400)
    seen = []

    def recorded(index, views):
        seen.append(list(views))
        return RenderedPlaneObjects.ring_views(source, index, views)

    source.ring_views = recorded  # type: ignore[method-assign]
    batches = PlaneBatches(source, lambda generator: 0, shape, CPU)
    batch = batches(0, torch.Generator().manual_seed(1))
    assert batch.latents.shape == (2, 8, 4, 8, 8) and batch.concatenated.shape[:2] == (16, 4 + 9)
    firsts = [views[0] for views in seen]
    assert len(set(firsts)) == 2 and 0 not in firsts
    for object_, first in enumerate(firsts):
        angle = np.deg2rad(45.0 * first)
        turned = np.array(
            [[np.cos(angle), np.sin(angle), 0], [-np.sin(angle), np.cos(angle), 0], [0, 0, 1]]
        ) @ np.array((0.15, -0.1, 0.05))
        rays = batch.rays
        inside = rays.mask[object_] > 0.5
        assert 20 < int(inside.sum()) < 380
        hits = (rays.origins[object_] + rays.directions[object_] * rays.depth[object_, :, None])[inside]
        radii = (hits.double() - torch.tensor(turned)).norm(dim=-1)
        torch.testing.assert_close(radii, torch.full_like(radii, 0.25), atol=2e-3, rtol=0)
    again = batches(0, torch.Generator().manual_seed(1))
    assert torch.equal(again.rays.origins, batch.rays.origins) and torch.equal(again.latents, batch.latents)
    no_rays = PlaneBatches(source, lambda generator: 0, BatchShape(8, 1, 1.0, 5, 0), CPU)
    assert no_rays(0, torch.Generator()).rays.mask.shape == (1, 0)


@pytest.mark.parametrize(("share", "least"), [(0.0, 0), (1.0, 12)])
def test_the_reference_is_supervised_as_often_as_wanted(objects, model, share, least):
    source = RenderedPlaneObjects(objects, [1], model, views=8, cache_mb=1)
    true_views, seen = source.true_views, []
    source.true_views = lambda index, views: seen.append(views) or true_views(index, views)
    shape = BatchShape(8, 12, 1.0, 2, 5, reference_supervision=share)
    PlaneBatches(source, lambda generator: 0, shape, CPU)(0, torch.Generator().manual_seed(1))
    with_reference = sum(0 in views for views in seen)
    assert least <= with_reference < (12 if not least else 13)
    assert all(len(set(views)) == 2 and views == sorted(views) for views in seen)


def test_turning_there_and_back_is_nothing():
    cameras = cameras_of()
    torch.testing.assert_close(
        turned_back(turned_back(cameras, 67.0), -67.0).world_to_camera, cameras.world_to_camera
    )


class SpherePlane(LatentPlane):
    """Knows the first object of `write_set` whatever the features say."""

    def density_at(self, inputs, points):
        distance = (points - torch.tensor((0.15, 0.0, 0.0))).norm(dim=-1)
        return torch.where(distance < 0.25, 400.0, -40.0)


def test_validation_knows_a_right_density_from_a_wrong_one(objects, model):
    source = RenderedPlaneObjects(objects, [0], model, views=8, cache_mb=1)
    sizes = {"num_octaves": 2, "num_heads": 2, "density_head_dim": 4, "samples_per_ray": 48}
    settings = ValidationSettings(objects=3, noise_levels=(0.2, 0.7), views=6, size=24, features=True, seed=0)
    validation = PlaneValidation(source, model.unet, model.schedule, settings, CPU)
    right = SpherePlane(16, 32, source.cameras, **sizes).eval()
    wrong = make_plane(model.unet, source.cameras, seed=0, **sizes).eval()
    good, bad = validation(right, 1), validation(wrong, 1)
    assert good["validation/silhouette_iou"] > 0.85
    assert good["validation/foreground_depth_pearson"] > 0.9
    assert bad["validation/silhouette_iou"] < 0.5
    assert good["validation/loss_without_plane"] == bad["validation/loss_without_plane"]
    assert validation(wrong, 2) == bad
    assert not any(module._forward_hooks for module in model.unet.modules())


def test_a_planes_density_is_the_same_in_any_blocks(model):
    cameras = cameras_of()[list(range(8))]
    plane = make_plane(model.unet, cameras, seed=1, samples_per_ray=6, num_heads=2, density_head_dim=4).eval()
    generator = torch.Generator().manual_seed(3)
    features, t_emb = torch.randn(8, 16, 8, 8, generator=generator), torch.randn(32, generator=generator)
    with torch.no_grad():
        given, cameras = ObjectInputs(features, t_emb), cameras_of().resized(12, 12)
        whole = render_density(plane, given, cameras)
        blocks = render_density(plane.with_evaluation(Evaluation(block_size=77)), given, cameras)
    torch.testing.assert_close(whole.occupancy, blocks.occupancy)
    torch.testing.assert_close(whole.depth, blocks.depth)
