"""Nodes of the stage `init`."""

from placid_kedro.app.run_context import current_run
from placid_kedro.config import InitParameters
from placid_kedro.pipelines.types import Gaussians, PointCloud, PosedViews, Tensor
from placid_kedro.randomness import stage_generator


def place_gaussians(
    density: dict[str, Tensor], views: PosedViews, seed: int, parameters: InitParameters
) -> Gaussians:
    """Put Gaussians on the object's surface and fit them to the views, or take one of the ablation's baselines."""
    from placid_kedro.surface.fitting import fit_to_views
    from placid_kedro.surface.initial_points import gaussians_of

    gaussians = gaussians_of(_point_cloud(density, views, seed, parameters), parameters.opacity)
    source = parameters.source
    if source.kind != "density" or source.fit is None:
        return gaussians
    generator = stage_generator(seed, "fit")
    return fit_to_views(gaussians, views, source.fit, generator, current_run().progress)


def _point_cloud(
    density: dict[str, Tensor], views: PosedViews, seed: int, parameters: InitParameters
) -> PointCloud:
    from pathlib import Path

    from placid_kedro.errors import DataError
    from placid_kedro.surface.carving import carve
    from placid_kedro.surface.initial_points import color_from_views, surface_points
    from placid_kedro.surface.point_clouds import fit_to_cube, from_point_cloud_file, random, sphere

    generator = stage_generator(seed, "init")
    source = parameters.source
    if source.kind == "sphere":
        return sphere(parameters.points, source.radius, generator)
    if source.kind == "random":
        return random(parameters.points, generator)
    if source.kind == "file":
        return fit_to_cube(from_point_cloud_file(Path(source.path)), source.longest_edge)
    if not bool(density["density"].any()):
        raise DataError(
            "The views were made without Latent-Plane, so there is no density field; run the stage multiview again "
            "with a plane, or give init.source another kind."
        )
    field = density["density"] if source.carve is None else carve(density["density"], views, source.carve)
    return color_from_views(surface_points(field, source.level, parameters.points, generator), views)
