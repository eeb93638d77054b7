"""Nodes of the stage `multiview`."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from placid_kedro.app.run_context import current_run
from placid_kedro.config import ModelsParameters, MultiviewParameters, RunParameters
from placid_kedro.latent_plane.config import LowerRing
from placid_kedro.pipelines.types import PosedViews, Tensor
from placid_kedro.prompts import Prompts
from placid_kedro.randomness import stage_generator


def sample_object_views(
    prompts: Prompts,
    reference: Tensor,
    seed: int,
    models: ModelsParameters,
    run: RunParameters,
    parameters: MultiviewParameters,
) -> tuple[PosedViews, dict[str, Tensor]]:
    """Draw the object from all round.

    Returns:
        The views, those of the lower ring last, and the density field: `density` [R, R, R], softplus(sigma) over the
        cube, indexed x, y, z; zeros without a plane.
    """
    import torch

    from placid_kedro.cameras import PosedViews, ring
    from placid_kedro.diffusion.multiview import Subject
    from placid_kedro.latent_plane import preset
    from placid_kedro.latent_plane.sampling import sample_views
    from placid_kedro.pipelines.loading import start
    from placid_kedro.surface.extraction import density_grid

    device = start(run)
    model = _model(models, parameters, device, run.precision)
    plane = None
    enhanced: dict[str, Any] = {}
    if parameters.plane_preset != "none":
        plane = _plane(models.latent_plane, parameters.block_size, device)
        enhanced = {"plane": plane, "policy": preset(parameters.plane_preset).sampling}
    size = model.image_size
    seen = _resized(reference, size)
    cameras = ring(
        parameters.views, parameters.elevation_deg, parameters.distance, parameters.field_of_view_deg, size
    )
    draw = partial(
        sample_views,
        model,
        Subject(_text(prompts, parameters), seen[:3], cameras[0]),
        steps=parameters.steps,
        guidance_scale=parameters.guidance_scale,
        progress=current_run().progress,
    )
    views = draw(cameras, generator=stage_generator(seed, "multiview"), silhouette=seen[3], **enhanced)
    images = views.images.cpu()
    if parameters.front == "reference":
        images = torch.cat([seen[None, :3], images[1:]])
    posed, inputs = PosedViews(images, cameras), views.plane_inputs
    if parameters.lower_ring is not None:
        posed = posed.followed_by(_lower_views(draw, parameters.lower_ring, parameters, size, seed))
    if plane is None or inputs is None:
        edge = parameters.density_resolution
        return posed, {"density": torch.zeros(edge, edge, edge)}
    density = density_grid(
        lambda points: plane.density_at(inputs[0], points), parameters.density_resolution, device
    )
    return posed, {"density": density}


def _lower_views(
    draw: Callable[..., Any],
    lower_ring: LowerRing,
    parameters: MultiviewParameters,
    size: int,
    seed: int,
) -> PosedViews:
    """The views of another height, without a plane."""
    import torch

    from placid_kedro.cameras import PosedViews, ring

    cameras = ring(
        lower_ring.views,
        lower_ring.elevation_deg,
        parameters.distance,
        parameters.field_of_view_deg,
        size,
        lower_ring.first_azimuth_deg,
    )
    images = draw(cameras, generator=stage_generator(seed, "lower_ring")).images.cpu()
    return PosedViews(images, cameras, torch.full((len(cameras),), lower_ring.weight))


def _resized(reference: Tensor, size: int) -> Tensor:
    """[4, size, size] in [0, 1]: the reference over white, and its alpha."""
    import torch
    from torch.nn import functional as F

    from placid_kedro.images import over_white

    seen = torch.cat([over_white(reference), reference[3:]])[None]
    resized = F.interpolate(seen, (size, size), mode="bilinear", antialias=True, align_corners=False)
    return resized[0].clamp(0, 1)


def _model(models: ModelsParameters, parameters: MultiviewParameters, device: Any, precision: Any) -> Any:
    """The multi-view model that draws the views."""
    from placid_kedro.diffusion.mvdream import load_mvdream
    from placid_kedro.diffusion.novel_view import load_novel_view
    from placid_kedro.pipelines.loading import folder_of

    if parameters.source.kind == "mvdream":
        return load_mvdream(folder_of(models.mvdream), device, precision)
    return load_novel_view(folder_of(models.zero123), device, precision)


def _text(prompts: Prompts, parameters: MultiviewParameters) -> str:
    """What a model that reads text is told."""
    source = parameters.source
    return source.template.format(prompt=prompts.text) if source.kind == "mvdream" else prompts.text


def _plane(source: Sequence[str], block_size: int, device: Any) -> Any:
    """The trained Latent-Plane, evaluating at most `block_size` points at once."""
    from placid_kedro.diffusion.loading import load_component
    from placid_kedro.pipelines.loading import folder_of

    plane = load_component(folder_of(source), "latent_plane").to(device)
    return plane.with_evaluation(plane.evaluation.model_copy(update={"block_size": block_size}))
