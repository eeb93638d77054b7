"""Pinhole cameras: one convention for the whole house (OpenCV axes, world +z up, azimuth 0 = +x = the front)."""

from placid_kedro.cameras.camera import Cameras, focal_from_fov
from placid_kedro.cameras.configuration import cameras_from_config, cameras_to_config
from placid_kedro.cameras.conversions import (
    blender_to_opencv,
    mvdream_camera,
    opencv_to_blender,
    relative_pose,
)
from placid_kedro.cameras.orbits import (
    MULTIVIEW_AZIMUTHS_DEG,
    MULTIVIEW_DISTANCE,
    MULTIVIEW_ELEVATION_DEG,
    MULTIVIEW_FOCAL_AT_256,
    multiview_cameras,
    orbit,
    random_orbit,
    ring,
    sphere,
)
from placid_kedro.cameras.posed_views import PosedViews

__all__ = [
    "MULTIVIEW_AZIMUTHS_DEG",
    "MULTIVIEW_DISTANCE",
    "MULTIVIEW_ELEVATION_DEG",
    "MULTIVIEW_FOCAL_AT_256",
    "Cameras",
    "PosedViews",
    "blender_to_opencv",
    "cameras_from_config",
    "cameras_to_config",
    "focal_from_fov",
    "multiview_cameras",
    "mvdream_camera",
    "opencv_to_blender",
    "orbit",
    "random_orbit",
    "relative_pose",
    "ring",
    "sphere",
]
