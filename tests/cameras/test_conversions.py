"""To Blender's axes and to Zero-1-to-3's pose, against both programs' own definitions."""

import math

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from placid_kedro.cameras import blender_to_opencv, opencv_to_blender, orbit, relative_pose

angles = st.floats(-180, 180)
elevations = st.floats(-80, 80)
distances = st.floats(0.5, 4)


@settings(deadline=None, max_examples=30)
@given(angles, elevations, distances)
def test_blenders_camera_looks_along_its_negative_z(
    azimuth: float, elevation: float, distance: float
) -> None:
    camera = orbit(azimuth, elevation, distance, 1.0, 2)
    location = camera.positions[0].double().numpy()
    # What a "Track To" constraint (-Z towards the origin, Y up) makes of a camera at this place.
    z = location / np.linalg.norm(location)
    x = np.cross([0, 0, 1], z)
    x /= np.linalg.norm(x)
    expected = np.eye(4)
    expected[:3] = np.stack([x, np.cross(z, x), z, location], axis=1)
    np.testing.assert_allclose(opencv_to_blender(camera.world_to_camera)[0], expected, atol=1e-5)


def test_blenders_default_camera() -> None:
    # Without any rotation it looks straight down, the image's up along +y.
    matrix_world = torch.eye(4)
    matrix_world[2, 3] = 3.0
    point = torch.tensor([0.5, 0.25, 1.0, 1.0])
    local = blender_to_opencv(matrix_world) @ point
    torch.testing.assert_close(local[:3], torch.tensor([0.5, -0.25, 2.0]))


@settings(deadline=None, max_examples=20)
@given(angles, elevations, distances)
def test_round_trip(azimuth: float, elevation: float, distance: float) -> None:
    matrices = orbit([azimuth, 0.0], elevation, distance, 1.0, 2).world_to_camera
    back = blender_to_opencv(opencv_to_blender(matrices))
    torch.testing.assert_close(back, matrices, atol=1e-5, rtol=0)
    assert back.shape == (2, 4, 4)


@settings(deadline=None, max_examples=40)
@given(angles, elevations, distances, angles, elevations, distances)
def test_relative_pose_is_zero123s(
    azimuth_0: float, elevation_0: float, distance_0: float, azimuth: float, elevation: float, distance: float
) -> None:
    reference = orbit(azimuth_0, elevation_0, distance_0, 1.0, 2)
    target = orbit(azimuth, elevation, distance, 1.0, 2)

    def spherical(position: torch.Tensor) -> tuple[float, float, float]:
        # Zero-1-to-3's data set: polar angle from the pole, azimuth from +x.
        x, y, z = position.double().tolist()
        return math.atan2(math.hypot(x, y), z), math.atan2(y, x), math.sqrt(x * x + y * y + z * z)

    theta_0, phi_0, r_0 = spherical(reference.positions[0])
    theta, phi, r = spherical(target.positions[0])
    expected = [theta - theta_0, math.sin(phi - phi_0), math.cos(phi - phi_0), r - r_0]
    pose = relative_pose(reference.world_to_camera, target.world_to_camera)
    np.testing.assert_allclose(pose[0], expected, atol=2e-5)


def test_relative_pose_in_degrees() -> None:
    reference = orbit(10.0, 30.0, 1.5, 1.0, 2)
    targets = orbit([10.0, 100.0, 10.0], [30.0, 30.0, 0.0], [1.5, 1.5, 2.0], 1.0, 2)
    expected = torch.tensor([[0.0, 0, 1, 0], [0, 1, 0, 0], [math.radians(30), 0, 1, 0.5]])
    pose = relative_pose(reference.world_to_camera, targets.world_to_camera)
    torch.testing.assert_close(pose, expected, atol=1e-5, rtol=0)
