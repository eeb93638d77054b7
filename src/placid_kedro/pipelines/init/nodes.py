"""Nodes of the stage `init`."""

from placid_kedro.app.run_context import current_run
from placid_kedro.config import InitParameters, RunParameters
from placid_kedro.pipelines.types import Gaussians, ModelSource, PointCloud, PosedViews, Tensor
from placid_kedro.prompts import Prompts
from placid_kedro.randomness import stage_generator
from placid_kedro.surface.config import ShapESource


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
    from placid_kedro.surface.density_start import gaussians_from_density
    from placid_kedro.surface.initial_points import gaussians_of

    source, progress = parameters.source, current_run().progress
    if source.kind == "density":
        return gaussians_from_density(density["density"], views, source, parameters, seed, progress)
    if source.kind == "shap_e":
        cloud = _shap_e(prompts, seed, shap_e, run, source, parameters.points)
    else:
        cloud = _baseline(seed, parameters)
    return gaussians_of(cloud, parameters.opacity, parameters.thickness)


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
