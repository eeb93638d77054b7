"""The lifted reference: its rendering against a loop over samples in float64 and against a sphere's silhouette."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates
from torch import Tensor

from placid_kedro.cameras import orbit
from placid_kedro.embedded.networks.lifted_reference import LiftedReference
from placid_kedro.errors import ParameterError, ShapeError

SIZE, FOCAL = 8, 1.1


def cameras(azimuths: list[float], elevations: list[float]) -> Tensor:
    return orbit(torch.tensor(azimuths), torch.tensor(elevations), 1.5, FOCAL * SIZE, SIZE).world_to_camera


def make(**settings: Any) -> LiftedReference:
    sizes: dict[str, Any] = {"latent_size": SIZE, "volume_channels": 4, "planes": 6, "samples_per_ray": 7}
    sizes |= {"latent_channels": 3, "widths": (8, 8, 8), "groups": 4, "focal": FOCAL} | settings
    with torch.random.fork_rng():
        torch.manual_seed(0)
        lifted = LiftedReference(**sizes).eval().requires_grad_(False)
        for parameter in lifted.parameters():  # none of the blocks that begin as nothing
            parameter.add_(0.05 * torch.randn(parameter.shape))
    return lifted


REFERENCE, WANTED = cameras([20.0], [25.0]), cameras([20.0, 110.0, 240.0], [25.0, -5.0, 40.0])[None]


def latents(seed: int = 0) -> Tensor:
    return torch.randn(1, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(seed))


def composited_by_a_loop(volume: np.ndarray, view: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """[V + 1, h, w] of one wanted view, sample by sample, in float64."""
    near, far, samples = 0.65, 2.35, 7
    planes = volume.shape[1]
    step = (far - near) / (samples - 1)
    result = np.zeros((len(volume) + 1, SIZE, SIZE))
    for row in range(SIZE):
        for column in range(SIZE):
            direction = np.array([(column + 0.5) / SIZE - 0.5, (row + 0.5) / SIZE - 0.5, FOCAL]) / FOCAL
            through = 1.0
            for sample in range(samples):
                depth = near + step * sample
                world = np.linalg.inv(view) @ np.append(direction * depth, 1.0)
                x, y, z = (reference @ world)[:3]
                z = max(z, 0.1)
                # Coordinates of cell centres, as `align_corners=False` counts them.
                place = np.array(
                    [
                        (z - near) / (far - near) * planes - 0.5,
                        (y / z * FOCAL + 0.5) * SIZE - 0.5,
                        (x / z * FOCAL + 0.5) * SIZE - 0.5,
                    ]
                )
                if (np.abs((place + 0.5) / [planes, SIZE, SIZE] * 2 - 1) >= 1.1).any():
                    continue
                place = np.clip(place, 0, [planes - 1, SIZE - 1, SIZE - 1])
                values = [map_coordinates(part, place[:, None], order=1)[0] for part in volume]
                opacity = 1 - math.exp(-math.log1p(math.exp(values[-1] - 1)) * step * 20)
                weight = through * opacity
                result[:-2, row, column] += weight * np.array(values[:-1])
                result[-2, row, column] += weight
                result[-1, row, column] += weight * depth
                through *= 1 - opacity
    return result


def test_a_volume_is_composited_as_a_loop_over_samples_does_it(monkeypatch: pytest.MonkeyPatch) -> None:
    lifted = make()
    volume = torch.randn(1, 4, 6, SIZE, SIZE, generator=torch.Generator().manual_seed(1))
    monkeypatch.setattr(lifted, "_lift", lambda latents, rays: volume)
    views = lifted(latents(), REFERENCE, WANTED)
    for index, view in enumerate(WANTED[0]):
        expected = composited_by_a_loop(
            volume[0].double().numpy(), view.double().numpy(), REFERENCE[0].double().numpy()
        )
        np.testing.assert_allclose(views.maps[index, :5].numpy(), expected, atol=2e-5)
        np.testing.assert_allclose(views.occupancy[index].numpy(), expected[-2], atol=2e-5)


def test_a_sphere_in_the_volume_has_a_spheres_silhouette(monkeypatch: pytest.MonkeyPatch) -> None:
    size, planes, centre, radius = 32, 40, torch.tensor([0.15, -0.1, 0.05]), 0.25
    lifted = make(latent_size=size, volume_channels=2, planes=planes, samples_per_ray=60)
    near, far = lifted.near, lifted.far
    depth = near + (torch.arange(planes) + 0.5) / planes * (far - near)
    points = lifted.directions.movedim(0, -1) * depth[:, None, None, None]
    to_world = torch.linalg.inv(REFERENCE[0])
    world = points @ to_world[:3, :3].T + to_world[:3, 3]
    raw = torch.where((world - centre).norm(dim=-1) < radius, 20.0, -20.0)
    monkeypatch.setattr(lifted, "_lift", lambda latents, rays: torch.stack([raw, raw])[None])
    views = lifted(torch.zeros(1, 3, size, size), REFERENCE, WANTED)
    for occupancy, view in zip(views.occupancy, WANTED[0], strict=True):
        seen = view[:3, :3] @ centre + view[:3, 3]
        direction = torch.nn.functional.normalize(lifted.directions.movedim(0, -1), dim=-1)
        # A ray meets the sphere where it passes its centre nearer than its radius.
        gap = torch.linalg.cross(direction, seen.expand_as(direction), dim=-1).norm(dim=-1)
        truth, found = gap < radius, occupancy > 0.5
        assert int((truth & found).sum()) / int((truth | found).sum()) > 0.85


def test_only_elevations_and_the_turn_between_views_count() -> None:
    """Nobody knows the azimuth of a reference: turning all cameras about +z changes nothing."""
    lifted = make()
    first = lifted(latents(), REFERENCE, WANTED)
    turned = lifted(
        latents(), cameras([97.0], [25.0]), cameras([97.0, 187.0, 317.0], [25.0, -5.0, 40.0])[None]
    )
    torch.testing.assert_close(turned.maps, first.maps, atol=2e-4, rtol=1e-3)
    raised = lifted(
        latents(), cameras([20.0], [35.0]), cameras([20.0, 110.0, 240.0], [35.0, 5.0, 50.0])[None]
    )
    assert not torch.allclose(raised.maps, first.maps, atol=1e-2)


def test_references_do_not_mix() -> None:
    lifted = make()
    both = lifted(torch.cat([latents(), latents(1)]), REFERENCE.expand(2, 4, 4), WANTED.expand(2, 3, 4, 4))
    assert both.maps.shape == (6, lifted.map_channels, SIZE, SIZE) == (6, 8, SIZE, SIZE)
    for index, seed in enumerate((0, 1)):
        alone = lifted(latents(seed), REFERENCE, WANTED)
        torch.testing.assert_close(both.maps[3 * index : 3 * index + 3], alone.maps, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(both.maps[:, -3:], both.latents)
    assert not torch.allclose(both.maps[:3], both.maps[3:], atol=1e-3)


def test_wrong_sizes_are_named() -> None:
    lifted = make()
    with pytest.raises(ShapeError, match="reference latents"):
        lifted(latents()[..., :4], REFERENCE, WANTED)
    with pytest.raises(ShapeError, match="1 references need cameras"):
        lifted(latents(), REFERENCE, WANTED[0])
    with pytest.raises(ParameterError, match="divisible by 4"):
        make(latent_size=6)
