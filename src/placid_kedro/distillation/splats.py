"""Score distillation of a text-to-image model into Gaussians (Sec. 4.1, 4.3; settings of the authors' configs)."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from placid_kedro.cameras import Cameras, random_orbit
from placid_kedro.checkpoints import Checkpoint
from placid_kedro.curves import Curves
from placid_kedro.device import to_device
from placid_kedro.diffusion.autoencoding import encode, encode_sample
from placid_kedro.diffusion.text_to_image import TextToImage
from placid_kedro.distillation import (
    Conditioning,
    DistillationConfig,
    Distiller,
    GuidanceGuard,
    NoisePredictor,
    PerpNegViews,
    ViewEmbeddings,
    latent_loss,
)
from placid_kedro.distillation.anchor import Anchor
from placid_kedro.distillation.film import Film
from placid_kedro.distillation.guard import only_usable, usable_samples
from placid_kedro.distillation.splats_config import (
    BsdParameters,
    DecayParameters,
    ViewPrompts,
)
from placid_kedro.distillation.splats_numbers import StepNumbers
from placid_kedro.distillation.splats_state import SplatsState, optimizers_of
from placid_kedro.errors import GuidanceError
from placid_kedro.finite import check_counts
from placid_kedro.progress import SILENT, Progress
from placid_kedro.splats import Gaussians, RenderedViews, TargetViews, render
from placid_kedro.splats.densification import Densification

NEGATIVE_PROMPT = "unrealistic, blurry, low quality."
# From here on the prompt from above stands for all others (threestudio's threshold).
_OVERHEAD_DEG = 60.0
_REMEDY = "lower the learning rates or the weights of the losses in bsd_3dgs"


@dataclass(frozen=True, eq=False)
class PromptEmbeddings:
    """What the text says of the object, as context of the model.

    Attributes:
        views: the directional prompts, by azimuth.
        overhead: [1, L, D] of the prompt for views from above; None where there is none of its own.
        unconditional: [1, L, D] of the empty prompt.
        negative: [1, L, D] of the negative prompt.
    """

    views: ViewEmbeddings | PerpNegViews
    overhead: Tensor | None
    unconditional: Tensor
    negative: Tensor

    @classmethod
    def of(
        cls, model: TextToImage, prompts: dict[float, str], view_prompts: ViewPrompts, overhead: str
    ) -> PromptEmbeddings:
        """Embed directional prompts, given by the azimuth in degrees that each describes, and the one from above."""
        has_overhead = view_prompts == "front_side_back_overhead"
        return cls(
            views=_view_embeddings(
                dict(zip(prompts, model.embed(list(prompts.values())), strict=True)), view_prompts
            ),
            overhead=model.embed([overhead]) if has_overhead else None,
            unconditional=model.embed([""]),
            negative=model.embed([NEGATIVE_PROMPT]),
        )

    def conditioning(self, azimuth_deg: Tensor, cameras: Cameras) -> Conditioning:
        """The conditioning of a batch of rendered views."""
        seen = self.views(azimuth_deg)
        positive, negatives, weights = seen if isinstance(seen, tuple) else (seen, None, None)
        if self.overhead is not None:
            is_above = _elevations_deg(cameras) > _OVERHEAD_DEG
            positive = torch.where(
                to_device(is_above, positive.device)[:, None, None], self.overhead, positive
            )
        return Conditioning(
            positive=positive,
            unconditional=self.unconditional,
            negative=self.negative,
            perp_negatives=negatives,
            perp_weights=weights,
            camera=to_device(cameras.world_to_camera.flatten(1), self.unconditional.device),
        )


def _elevations_deg(cameras: Cameras) -> Tensor:
    """[C] up from the horizon."""
    positions = cameras.positions
    return torch.rad2deg(torch.asin((positions[:, 2] / positions.norm(dim=-1)).clamp(-1, 1)))


def _view_embeddings(
    embeddings: dict[float, Tensor], view_prompts: ViewPrompts
) -> ViewEmbeddings | PerpNegViews:
    """By azimuth in degrees, from embeddings [L, D] at some azimuths, 0, 90 and 180 among them."""
    if view_prompts == "all":
        return ViewEmbeddings(torch.tensor(list(embeddings)), torch.stack(list(embeddings.values())))
    front, side, back = (embeddings[azimuth] for azimuth in (0.0, 90.0, 180.0))
    if view_prompts in ("front_side_back", "front_side_back_overhead"):
        return ViewEmbeddings.front_side_back(front, side, back)
    return PerpNegViews(front, side, back)


def distill(
    gaussians: Gaussians,
    model: TextToImage,
    prompts: dict[float, str],
    algorithm: DistillationConfig,
    settings: BsdParameters,
    *,
    overhead_prompt: str = "",
    generator: torch.Generator,
    views: TargetViews | None = None,
    guard: GuidanceGuard | None = None,
    film: Film | None = None,
    curves: Curves | None = None,
    checkpoint: Checkpoint | None = None,
    progress: Progress = SILENT,
) -> Gaussians:
    """Optimise Gaussians until their images are what the model expects of the prompt.

    Args:
        gaussians: the start.
        model: the (fine-tuned) text-to-image model; its weights do not change.
        prompts: the directional prompt at each azimuth in degrees.
        algorithm: the distillation algorithm and its parameters.
        settings: of the optimisation.
        overhead_prompt: for views from above, where `settings.view_prompts` has one.
        generator: draws everything random, on the CPU.
        views: that hold the Gaussians, where `settings.anchor` says so.
        guard: counts unusable guidance; one for `settings.steps` by default.
        film: gets the pictures of the optimisation; one that nobody looks at by default.
        curves: gets losses, diagnostics and counts of each step, also of those before an interruption.
        checkpoint: where an interrupted run left off; it ends with the bits of an unbroken one.
        progress: shows the steps, receives metrics and images.

    Returns:
        The optimised Gaussians.

    Raises:
        ParameterError: `settings.anchor` wants views, and there are none.
        GuidanceError: when the guidance is zero or not finite too often, or makes every Gaussian vanish.
        NumericError: when a loss or a Gaussian is not finite any more.
    """
    anchor = Anchor.of(settings.anchor, views, model.device)
    parameters = gaussians.to(model.device).to_parameters()
    state = SplatsState(
        parameters,
        optimizers_of(parameters),
        Densification(settings.densification, settings.scene_extent, generator),
        Distiller.create(algorithm, NoisePredictor(model.unet, model.schedule), generator),
        guard or GuidanceGuard(steps=settings.steps),
        generator,
        film or Film(settings.film, settings.steps),
        curves or Curves(),
    )
    if checkpoint is not None and (saved := checkpoint.load()) is not None:
        state.load_state_dict(saved)
    embeddings = PromptEmbeddings.of(model, prompts, settings.view_prompts, overhead_prompt)
    _advance_to_the_end(state, model, embeddings, settings, anchor, checkpoint, progress)
    return Gaussians.from_parameters(state.parameters).detach().to("cpu")


def _advance_to_the_end(
    state: SplatsState,
    model: TextToImage,
    embeddings: PromptEmbeddings,
    settings: BsdParameters,
    anchor: Anchor | None,
    checkpoint: Checkpoint | None,
    progress: Progress,
) -> None:
    """The steps that are left."""
    # What was saved after a step without guidance must not outlive the run that too many of these stop.
    with nullcontext() if checkpoint is None else checkpoint.discarded_on(GuidanceError):
        for _ in progress.track(range(state.step, settings.steps), description="distillation"):
            state.film.watch(state.step, state.parameters)
            _advance(state, model, embeddings, settings, anchor, progress)
            if checkpoint is not None:
                checkpoint.save_when_due(state.state_dict)
    state.film.watch(state.step, state.parameters)


def _advance(
    state: SplatsState,
    model: TextToImage,
    embeddings: PromptEmbeddings,
    settings: BsdParameters,
    anchor: Anchor | None,
    progress: Progress,
) -> None:
    """One step."""
    step, parameters, optimizers, generator = state.step, state.parameters, state.optimizers, state.generator
    done = step / settings.steps
    _set_learning_rates(optimizers, settings, done)
    cameras, azimuth_deg = _draw_cameras(settings, step, generator)
    background = _draw_background(settings, generator)
    scene = Gaussians.from_parameters(parameters)
    views = render(scene, cameras.to(model.device), to_device(background, model.device))
    state.densification.before_backward(views.meta)
    images, seen_azimuth_deg = _as_seen(views, azimuth_deg, settings, generator)
    latents = _latents(model, images, settings, generator)
    t = to_device(settings.timesteps(done, len(cameras), model.schedule, generator), model.device)
    conditioning = embeddings.conditioning(seen_azimuth_deg, cameras)
    guidance = state.distiller(latents, conditioning, t, generator, done)
    usable, finite = usable_samples(guidance.gradient)
    losses = _losses(latents, only_usable(guidance.gradient, usable), views, parameters, settings)
    if anchor is not None:
        losses["views"] = anchor.loss(scene, generator)
    torch.stack(list(losses.values())).sum().backward()
    state.densification.after_backward(step, views.meta, parameters, optimizers)
    if not len(parameters["means"]):
        raise GuidanceError(
            f"At step {step} the last Gaussian became transparent and was removed; lower "
            "bsd_3dgs.densification.minimum_opacity or the learning rate of the opacities."
        )
    for optimizer in optimizers.values():
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    numbers = StepNumbers.read(usable, finite, losses, parameters, guidance.diagnostics)
    state.guard.count(numbers.usable, numbers.finite)
    check_counts(numbers.bad_losses, losses, f"Losses of distillation step {step}", _REMEDY)
    check_counts(numbers.bad_values, parameters, f"Gaussians after distillation step {step}", _REMEDY)
    counts = {**state.guard.metrics(), "gaussians": float(len(parameters["means"]))}
    progress.log_metrics(step, {**numbers.diagnostics, **numbers.losses, **counts})
    state.curves.add(step, {**numbers.losses, **numbers.diagnostics, **counts})
    if settings.image_every and step % settings.image_every == 0:
        sheet = views.rgb.detach().clamp(0, 1).permute(1, 2, 0, 3).flatten(2)
        progress.log_image(step, "distillation", sheet.cpu())
    state.step += 1


def _draw_cameras(settings: BsdParameters, step: int, generator: torch.Generator) -> tuple[Cameras, Tensor]:
    ranges = settings.cameras
    return random_orbit(
        settings.cameras_per_step,
        generator,
        elevation_range_deg=ranges.elevation_deg,
        distance_range=ranges.distance_at(step),
        fov_range_deg=ranges.field_of_view_deg,
        size=settings.image_size,
    )


def _draw_background(settings: BsdParameters, generator: torch.Generator) -> Tensor:
    """One of the configured backgrounds, [3]."""
    names = settings.backgrounds
    name = names[int(torch.randint(len(names), (), generator=generator))]
    if name == "random":
        return torch.rand(3, generator=generator)
    return torch.full((3,), 1.0 if name == "white" else 0.0)


def _as_seen(
    views: RenderedViews, azimuth_deg: Tensor, settings: BsdParameters, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """The images [C, 3, H, W] that are distilled, and the azimuths that they show.

    Now and then these are depth maps, near surfaces bright; and now and then they are mirrored, which turns an
    azimuth round.
    """
    depth_step, mirror = (
        torch.rand(2, generator=generator) < torch.tensor([settings.depth_share, settings.flip_probability])
    ).tolist()
    images = _depth_images(views) if depth_step else views.rgb
    return (images.flip(-1), -azimuth_deg) if mirror else (images, azimuth_deg)


def _latents(
    model: TextToImage, images: Tensor, settings: BsdParameters, generator: torch.Generator
) -> Tensor:
    if settings.latents == "sample":
        return encode_sample(model.autoencoder, images, generator, settings.encoded_at_once)
    return encode(model.autoencoder, images, settings.encoded_at_once)


def _depth_images(views: RenderedViews) -> Tensor:
    """Inverse depth within the object's range, over black, [C, 3, H, W]."""
    seen = views.alpha.detach() > 0.5
    depth = views.depth
    near = torch.where(seen, depth, torch.inf).amin(dim=(1, 2, 3), keepdim=True)
    far = torch.where(seen, depth, -torch.inf).amax(dim=(1, 2, 3), keepdim=True)
    brightness = ((far - depth) / (far - near).clamp_min(1e-4)).nan_to_num(0.0, 0.0, 0.0).clamp(0, 1)
    return (brightness * views.alpha).expand(-1, 3, -1, -1)


def _losses(
    latents: Tensor,
    gradient: Tensor,
    views: RenderedViews,
    parameters: dict[str, nn.Parameter],
    settings: BsdParameters,
) -> dict[str, Tensor]:
    weights = settings.losses
    return {
        "guidance": weights.guidance * latent_loss(latents, gradient) / len(latents),
        "colour_variation": weights.colour_variation * _total_variation(views.rgb),
        "depth_variation": weights.depth_variation * _total_variation(views.depth),
        "scale": weights.scale * parameters["scales"].exp().mean(),
    }


def _total_variation(images: Tensor) -> Tensor:
    """Mean squared difference of neighbouring pixels of [C, K, H, W], both ways."""
    vertical, horizontal = images.diff(dim=-2), images.diff(dim=-1)
    return vertical.square().mean() + horizontal.square().mean()


def _set_learning_rates(
    optimizers: dict[str, torch.optim.Optimizer], settings: BsdParameters, done: float
) -> None:
    rates = settings.learning_rates
    decays = {
        "means": rates.position,
        "sh0": rates.colour,
        "shN": rates.colour,
        "scales": rates.scale,
        "quats": rates.rotation,
        "opacities": rates.opacity,
    }
    for name, optimizer in optimizers.items():
        extent = settings.scene_extent if name == "means" else 1.0
        optimizer.param_groups[0]["lr"] = extent * _log_linear(decays[name], done)


def _log_linear(decay: DecayParameters, done: float) -> float:
    """start^(1 - done) end^done."""
    return decay.start ** (1 - done) * decay.end**done
