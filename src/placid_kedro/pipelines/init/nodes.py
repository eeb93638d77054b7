"""Nodes of the stage `init`."""

from placid_kedro.app.run_context import current_run
from placid_kedro.config import InitParameters, RunParameters
from placid_kedro.pipelines.types import Gaussians, ModelSource, PointCloud, PosedViews, Tensor
from placid_kedro.prompts import Prompts
from placid_kedro.randomness import stage_generator
from placid_kedro.surface.config import DensitySource, ShapESource


def place_gaussians(
    prompts: Prompts,
    density: dict[str, Tensor],
    views: PosedViews,
    seed: int,
    shap_e: ModelSource,
    run: RunParameters,
    parameters: InitParameters,
) -> Gaussians:
    """Put Gaussians on the object's surface and fit them to the views, or take one of the ablation's baselines."""
    from placid_kedro.surface.initial_points import gaussians_of

    source = parameters.source
    if source.kind == "density":
        return _from_density(density, views, seed, source, parameters)
    if source.kind == "shap_e":
        cloud = _shap_e(prompts, seed, shap_e, run, source, parameters.points)
    else:
        cloud = _baseline(seed, parameters)
    return gaussians_of(cloud, parameters.opacity, parameters.thickness)


def _from_density(
    density: dict[str, Tensor],
    views: PosedViews,
    seed: int,
    source: DensitySource,
    parameters: InitParameters,
) -> Gaussians:
    from dataclasses import replace

    from placid_kedro.errors import DataError
    from placid_kedro.splats import TargetViews
    from placid_kedro.surface.background import cut_out
    from placid_kedro.surface.carving import carve
    from placid_kedro.surface.fitting import fit_to_views
    from placid_kedro.surface.initial_points import (
        color_from_views,
        gaussians_of,
        surface_points,
        without_hidden,
    )
    from placid_kedro.surface.missing_parts import add_missing_parts

    field = density["density"]
    if not bool(field.any()):
        raise DataError(
            "The views were made without Latent-Plane, so there is no density field; run the stage multiview again "
            "with a plane, or give init.source another kind."
        )
    objects = cut_out(views.images, source.hole_tolerance)
    alphas, unmixed = objects[:, 3], replace(views, images=objects[:, :3])
    if source.carve is not None:
        field = carve(field, alphas, views.cameras, source.carve)
    points = surface_points(field, source.level, parameters.points, stage_generator(seed, "init"))
    gaussians = gaussians_of(
        color_from_views(points, unmixed, alphas), parameters.opacity, parameters.thickness
    )
    if source.missing_parts is not None:
        generator = stage_generator(seed, "missing_parts")
        gaussians = add_missing_parts(
            gaussians, unmixed, alphas, source.missing_parts, parameters.opacity, generator
        )
    if source.unseen is not None:
        gaussians = without_hidden(gaussians, source.unseen)
    if source.fit is None:
        return gaussians
    generator = stage_generator(seed, "fit")
    return fit_to_views(gaussians, TargetViews(views, alphas), source.fit, generator, current_run().progress)


def _shap_e(
    prompts: Prompts, seed: int, model: ModelSource, run: RunParameters, source: ShapESource, count: int
) -> PointCloud:
    from placid_kedro.diffusion.shap_e import load_shap_e, sample_field
    from placid_kedro.pipelines.loading import folder_of, start
    from placid_kedro.surface.point_clouds import fit_to_cube
    from placid_kedro.surface.shap_e_points import points_of_field

    device = start(run)
    field = sample_field(
        load_shap_e(folder_of(model), device),
        prompts.text,
        steps=source.steps,
        guidance_scale=source.guidance_scale,
        generator=stage_generator(seed, "shap_e"),
        progress=current_run().progress,
    )
    cloud = points_of_field(field, source.resolution, count, stage_generator(seed, "init"))
    return fit_to_cube(cloud, source.longest_edge)


def _baseline(seed: int, parameters: InitParameters) -> PointCloud:
    from pathlib import Path

    from placid_kedro.surface.point_clouds import fit_to_cube, from_point_cloud_file, random, sphere

    source, generator = parameters.source, stage_generator(seed, "init")
    if source.kind == "sphere":
        return sphere(parameters.points, source.radius, generator)
    if source.kind == "file":
        return fit_to_cube(from_point_cloud_file(Path(source.path)), source.longest_edge)
    return random(parameters.points, generator)
