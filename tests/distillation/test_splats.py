"""Splats under distillation: towards what the model knows, the same each time, and stopped when nothing helps."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from placid_kedro.cameras import PosedViews, orbit, random_orbit, ring
from placid_kedro.checkpoints import Checkpoint
from placid_kedro.curves import Curves
from placid_kedro.diffusion.autoencoding import encode, encode_sample
from placid_kedro.diffusion.lora import fine_tune, lora_applied
from placid_kedro.diffusion.schedule import NoiseSchedule
from placid_kedro.diffusion.text_to_image import TextToImage, load_text_to_image
from placid_kedro.distillation import DistillationConfig, GuidanceGuard, splats
from placid_kedro.distillation.film import Film
from placid_kedro.distillation.splats import PromptEmbeddings, distill
from placid_kedro.distillation.splats_config import FilmParameters
from placid_kedro.errors import GuidanceError, NumericError, ParameterError
from placid_kedro.splats import Gaussians, RenderedViews, TargetViews, render
from tests.distillation.splats_case import FILM, PROMPTS, SIZE, settings
from tests.stopping import Stopped, StopsAt

RED = torch.tensor([0.8, 0.2, 0.1])
ANCHOR = {"weight": 1.0, "views_per_step": 2, "silhouette_weight": 1.0, "hole_tolerance": 0.03}


class PoolingAutoencoder:
    """Latents are the colours in [-1, 1], averaged over 8 x 8 pixels."""

    dtype = torch.float32
    config = SimpleNamespace(scaling_factor=1.0)

    def encode(self, images: torch.Tensor) -> Any:
        latents = torch.nn.functional.avg_pool2d(images, 8)
        spread = torch.full_like(latents, 0.5)
        return SimpleNamespace(latent_dist=SimpleNamespace(mode=lambda: latents, mean=latents, std=spread))


@dataclass
class KnowingNetwork:
    """The exact noise predictor of a distribution of one image: `known`, and `blank` without a prompt."""

    schedule: NoiseSchedule
    known: torch.Tensor
    blank: torch.Tensor
    contexts: list[torch.Tensor] = field(default_factory=list)

    def __call__(
        self, x_t: torch.Tensor, t: torch.Tensor, encoder_hidden_states: torch.Tensor, **_: Any
    ) -> Any:
        self.contexts.append(encoder_hidden_states)
        prompted = encoder_hidden_states.flatten(1).any(dim=1)[:, None, None, None]
        image = torch.where(prompted, self.known, self.blank)
        return ((x_t - self.schedule.a(t) * image) / self.schedule.s(t),)


def embed(prompts: Sequence[str]) -> torch.Tensor:
    """Context [B, 1, 8]: one-hot for `view i`, zeros for other texts."""
    rows = [torch.eye(8)[int(p[5:])] if p.startswith("view ") else torch.zeros(8) for p in prompts]
    return torch.stack(rows)[:, None]


def knowing_model(
    target: torch.Tensor, knows_without_prompt: bool = True
) -> tuple[TextToImage, KnowingNetwork]:
    schedule = NoiseSchedule(torch.linspace(0.999, 0.01, 1000))
    known = torch.nn.functional.avg_pool2d(target[None] * 2 - 1, 8)
    network = KnowingNetwork(schedule, known, known if knows_without_prompt else torch.zeros_like(known))
    model = TextToImage(network, PoolingAutoencoder(), embed, None, schedule, torch.device("cpu"))
    return model, network


def picture(gaussians: Gaussians) -> torch.Tensor:
    with torch.no_grad():
        return render(gaussians, ring(1, 20.0, 1.5, 50.0, SIZE), torch.ones(3)).rgb[0]


@pytest.fixture(scope="module")
def target(ball: Gaussians) -> torch.Tensor:
    """[3, H, W] the ball in red."""
    red = Gaussians.from_points(ball.means, RED.expand(300, 3), opacity=0.8)
    return picture(replace(ball, sh0=red.sh0))


def run(
    ball: Gaussians, target: torch.Tensor, seed: int = 0, algorithm: str = "sds", **changes: Any
) -> Gaussians:
    # BSD stands still where prompt and no prompt agree.
    model, _ = knowing_model(target, knows_without_prompt=algorithm != "bsd")
    config = DistillationConfig.model_validate({"algorithm": algorithm})
    generator = torch.Generator().manual_seed(seed)
    return distill(ball, model, PROMPTS, config, settings(**changes), generator=generator)


def equal(one: Gaussians, other: Gaussians) -> bool:
    return all(torch.equal(getattr(one, name), getattr(other, name)) for name in vars(one))


def test_the_splats_become_what_the_model_knows(ball: Gaussians, target: torch.Tensor) -> None:
    before = float((picture(ball) - target).abs().mean())
    result = run(ball, target)
    assert float((picture(result) - target).abs().mean()) < 0.3 * before
    # Most of all the colours moved, as the learning rates say.
    assert float((result.means - ball.means).abs().max()) < 1e-3
    seen = ball.means[:, 2] > 0.1
    assert float((result.base_colors[seen] - RED).abs().mean()) < 0.5 * float((0.5 - RED).abs().mean())
    assert not result.means.requires_grad


def test_the_same_seed_gives_the_same_splats(ball: Gaussians, target: torch.Tensor) -> None:
    changes: dict[str, Any] = {
        "steps": 6,
        "algorithm": "bsd",
        "densification": {"start": 1, "stop": 5, "every": 1, "gradient": 1e-9, "maximum": 400},
        "backgrounds": ("white", "random", "black"),
        "depth_share": 0.3,
        "flip_probability": 0.5,
    }
    first = run(ball, target, **changes)
    torch.manual_seed(99)
    assert equal(first, run(ball, target, **changes))
    assert not equal(first, run(ball, target, seed=1, **changes))
    assert 300 < len(first) <= 400
    assert all(bool(torch.isfinite(value).all()) for value in vars(first).values())


def test_an_anchor_holds_the_splats_to_their_views(ball: Gaussians, target: torch.Tensor) -> None:
    """The model wants red and the views show the grey ball: the heavier the anchor, the greyer it stays."""
    cameras = ring(6, 20.0, 1.5, 50.0, SIZE)
    with torch.no_grad():
        seen = render(ball, cameras, torch.ones(3))
    views = TargetViews(PosedViews(seen.rgb, cameras), seen.alpha[:, 0])

    def redness(weight: float | None) -> float:
        model, _ = knowing_model(target)
        result = distill(
            ball,
            model,
            PROMPTS,
            DistillationConfig.model_validate({"algorithm": "sds"}),
            settings(steps=20, anchor=None if weight is None else {**ANCHOR, "weight": weight}),
            generator=torch.Generator().manual_seed(0),
            views=views,
        )
        return float((result.base_colors[:, 0] - result.base_colors[:, 2]).mean())

    free, held, fixed = redness(None), redness(100.0), redness(1e6)
    assert free > 0.2
    assert fixed < 0.1 * free
    assert fixed < held < free


def test_an_anchor_without_views_is_refused(ball: Gaussians, target: torch.Tensor) -> None:
    with pytest.raises(ParameterError, match=r"bsd_3dgs\.anchor holds the Gaussians to posed views"):
        run(ball, target, anchor=ANCHOR)


@pytest.mark.parametrize("stopped", [(0, 1), (2, 4)])
def test_splats_that_were_stopped_end_with_the_bits_of_unbroken_ones(
    ball: Gaussians, target: torch.Tensor, tmp_path: Path, stopped: tuple[int, ...]
) -> None:
    """With Gaussians that grow and a reset of the opacities before and behind each stop."""

    def go_on(stop: int, place: str) -> tuple[Gaussians, Film, Curves]:
        curves = Curves()
        model, _ = knowing_model(target, knows_without_prompt=False)
        config = DistillationConfig.model_validate({"algorithm": "bsd"})
        growth = {"start": 1, "stop": 5, "every": 1, "gradient": 1e-9, "maximum": 400, "reset_every": 3}
        film = Film(FilmParameters.model_validate(FILM), steps=6)
        gaussians = distill(
            ball,
            model,
            PROMPTS,
            config,
            settings(steps=6, densification=growth, backgrounds=("white", "random")),
            generator=torch.Generator().manual_seed(0),
            film=film,
            curves=curves,
            checkpoint=Checkpoint(tmp_path / place, "mine", 0.0),
            progress=StopsAt(stop),
        )
        return gaussians, film, curves

    whole, film, curves = go_on(99, "whole")
    for step in stopped:
        with pytest.raises(Stopped):
            go_on(step, "broken")
    mended, pieced_film, pieced_curves = go_on(99, "broken")
    assert equal(mended, whole)
    assert torch.equal(pieced_film.views().images, film.views().images)
    assert pieced_curves == curves
    assert all(list(points) == list(range(6)) for points in curves.points.values())
    assert curves.points["gaussians"][5] == len(whole)
    assert len(whole) > len(ball)


def test_the_film_shows_the_start_the_middle_and_the_end(ball: Gaussians, target: torch.Tensor) -> None:
    model, _ = knowing_model(target)
    film = Film(FilmParameters.model_validate(FILM), steps=6)
    config = DistillationConfig.model_validate({"algorithm": "sds"})
    generator = torch.Generator().manual_seed(0)
    end = distill(ball, model, PROMPTS, config, settings(steps=6), generator=generator, film=film)
    views = film.views()
    assert sorted(film.images) == [0, 3, 6] == FilmParameters.model_validate(FILM).steps_of(6)
    torch.testing.assert_close(views.images[0], picture(ball).clamp(0, 1), atol=0.5 / 255 + 1e-6, rtol=0)
    torch.testing.assert_close(views.images[2], picture(end).clamp(0, 1), atol=0.5 / 255 + 1e-6, rtol=0)
    errors = (views.images - target).abs().mean(dim=(1, 2, 3))
    assert errors[0] > errors[1] > errors[2]
    assert len(views.cameras) == 3


def test_no_steps_change_nothing(ball: Gaussians, target: torch.Tensor) -> None:
    assert equal(run(ball, target, steps=0), ball)


def test_each_view_gets_its_own_prompt(ball: Gaussians, target: torch.Tensor) -> None:
    def contexts(flip: float) -> list[torch.Tensor]:
        model, network = knowing_model(target)
        config = DistillationConfig.model_validate({"algorithm": "csd"})
        generator = torch.Generator().manual_seed(4)
        distill(ball, model, PROMPTS, config, settings(steps=1, flip_probability=flip), generator=generator)
        return network.contexts

    _, azimuth_deg = random_orbit(
        2,
        torch.Generator().manual_seed(4),
        elevation_range_deg=(20.0, 20.0),
        distance_range=(1.5, 1.5),
        fov_range_deg=(50.0, 50.0),
        size=SIZE,
    )

    def blend(azimuth: torch.Tensor) -> torch.Tensor:
        sector = (azimuth % 360) / 45
        share = sector - sector.floor()
        before, after = (torch.eye(8)[(sector.floor().long() + i) % 8] for i in (0, 1))
        return (1 - share)[:, None] * before + share[:, None] * after

    for flip, sign in ((0.0, 1), (1.0, -1)):
        positive = contexts(flip)[0][:2, 0]
        torch.testing.assert_close(positive, blend(sign * azimuth_deg), atol=1e-5, rtol=0)


def test_embeddings_of_the_other_prompts(target: torch.Tensor) -> None:
    model, _ = knowing_model(target)
    embeddings = PromptEmbeddings.of(model, PROMPTS, "all", "")
    conditioning = embeddings.conditioning(torch.tensor([90.0, 0.0]), ring(2, 20.0, 1.5, 50.0, SIZE))
    assert conditioning.positive.argmax(-1).flatten().tolist() == [2, 0]
    assert not conditioning.unconditional.any() and not conditioning.negative.any()
    assert conditioning.camera.shape == (2, 16)


def test_the_prompt_from_above_stands_for_all_others(target: torch.Tensor) -> None:
    model, _ = knowing_model(target)
    cameras = orbit([90.0, 90.0, 0.0], [59.0, 61.0, 85.0], 1.5, 50.0, SIZE)
    for view_prompts, expected in (("front_side_back_overhead", [2, 5, 5]), ("front_side_back", [2, 2, 0])):
        embeddings = PromptEmbeddings.of(model, PROMPTS, view_prompts, "view 5")
        positive = embeddings.conditioning(torch.tensor([90.0, 90.0, 0.0]), cameras).positive
        torch.testing.assert_close(positive[:, 0], torch.eye(8)[expected])


def test_cameras_come_nearer_down_to_their_floor(
    ball: Gaussians, target: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[tuple[float, float]] = []

    def recorded(*given: Any, distance_range: tuple[float, float], **others: Any) -> Any:
        drawn.append(distance_range)
        return random_orbit(*given, distance_range=distance_range, **others)

    monkeypatch.setattr(splats, "random_orbit", recorded)
    angles = {"elevation_deg": (20.0, 20.0), "field_of_view_deg": (50.0, 50.0)}
    shrink = {"factor": 0.5, "every": 2, "floor": (0.8, 1.3)}
    run(ball, target, steps=6, cameras={"distance": (2.0, 4.0), "distance_shrink": shrink, **angles})
    assert drawn == [(2.0, 4.0)] * 2 + [(1.0, 2.0)] * 2 + [(0.8, 1.3)] * 2
    with pytest.raises(ValidationError, match=r"distance_shrink\.floor within"):
        settings(
            cameras={"distance": (2.0, 4.0), "distance_shrink": {**shrink, "floor": (2.1, 3.0)}, **angles}
        )


def test_positions_move_with_the_scenes_extent(ball: Gaussians, target: torch.Tensor) -> None:
    """The first step of Adam is as long as the learning rate."""
    rates = settings().learning_rates.model_dump() | {"position": {"start": 1e-3, "end": 1e-3}}
    for extent in (1.0, 1.72):
        moved = run(ball, target, steps=1, learning_rates=rates, scene_extent=extent).means - ball.means
        assert float(moved.abs().max()) == pytest.approx(1e-3 * extent, rel=1e-3)


def test_latents_can_be_sampled(ball: Gaussians, target: torch.Tensor) -> None:
    """Of N(mean, 0.5^2): what is encoded deviates by as much, and the draw follows the generator."""
    images = torch.rand(4, 3, 256, 256, generator=torch.Generator().manual_seed(0))
    autoencoder: Any = PoolingAutoencoder()
    drawn = [encode_sample(autoencoder, images, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    deviation = drawn[0] - encode(autoencoder, images)
    assert float(deviation.mean()) == pytest.approx(0.0, abs=0.03)
    assert float(deviation.std()) == pytest.approx(0.5, abs=0.02)
    assert torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[0], drawn[2])
    assert not equal(run(ball, target, steps=1), run(ball, target, steps=1, latents="sample"))


def test_guidance_that_is_no_number_stops_the_run(ball: Gaussians, target: torch.Tensor) -> None:
    with pytest.raises(GuidanceError, match="not finite"):
        run(ball, torch.full_like(target, torch.nan), steps=40)


def broken_at(ball: Gaussians, target: torch.Tensor, broken: set[int], steps: int) -> GuidanceGuard:
    """Distil with a network that answers NaN in some of its steps; how much the guard counted."""
    model, network = knowing_model(target)

    class Faulty:
        def __call__(self, x_t: torch.Tensor, t: torch.Tensor, **inputs: Any) -> Any:
            (answer,) = network(x_t, t, **inputs)
            return (answer * torch.nan if len(network.contexts) - 1 in broken else answer,)

    config = DistillationConfig.model_validate({"algorithm": "sds"})
    guard = GuidanceGuard(steps=steps)
    generator = torch.Generator().manual_seed(0)
    faulty = replace(model, unet=Faulty())
    result = distill(ball, faulty, PROMPTS, config, settings(steps=steps), generator=generator, guard=guard)
    assert all(bool(value.isfinite().all()) for value in vars(result).values())
    return guard


def test_a_few_bad_steps_are_counted_and_move_nothing(ball: Gaussians, target: torch.Tensor) -> None:
    guard = broken_at(ball, target, {3, 17}, steps=20)
    assert (guard.skipped, guard.skipped_steps) == (4, 2)


@pytest.mark.parametrize(("broken", "steps"), [(range(15), 15), (range(1, 20), 20), (range(0, 20, 2), 20)])
def test_many_bad_steps_stop_the_run_however_they_lie(
    ball: Gaussians, target: torch.Tensor, broken: range, steps: int
) -> None:
    with pytest.raises(GuidanceError, match=r"not finite.*more than 10% of the run"):
        broken_at(ball, target, set(broken), steps)


@pytest.mark.parametrize("name", ["guidance", "scale"])
def test_a_loss_that_overflows_is_one_sentence(ball: Gaussians, target: torch.Tensor, name: str) -> None:
    weights = {"guidance": 1.0, "colour_variation": 0.0, "depth_variation": 0.0, "scale": 0.0, name: 1e308}
    with pytest.raises(NumericError, match=f"step 0: 1 of the 1 values of '{name}' are not finite"):
        run(ball, target, steps=3, losses=weights)


def test_gaussians_that_run_away_are_one_sentence(ball: Gaussians, target: torch.Tensor) -> None:
    rates = settings().learning_rates.model_dump()
    rates["scale"] = {"start": 1e4, "end": 1e4}
    with pytest.raises(NumericError, match=r"not finite; lower the learning rates"):
        run(ball, target, steps=9, learning_rates=rates)


def test_the_last_gaussian_does_not_vanish_in_silence(ball: Gaussians, target: torch.Tensor) -> None:
    faint = replace(ball, logit_opacities=torch.full((300,), -4.0))
    densification = {"start": 0, "stop": 9, "every": 1, "minimum_opacity": 0.4, "gradient": 1e9}
    with pytest.raises(GuidanceError, match="last Gaussian became transparent"):
        run(faint, target, steps=4, densification=densification)


def test_metrics_and_images_are_reported(ball: Gaussians, target: torch.Tensor) -> None:
    metrics: dict[int, dict[str, float]] = {}
    shapes: dict[int, tuple[int, ...]] = {}

    class Listener:
        def track(self, iterable: Any, total: int | None = None, description: str = "") -> Any:
            yield from iterable

        def log_metrics(self, step: int, values: dict[str, float]) -> None:
            metrics[step] = dict(values)

        def log_image(self, step: int, name: str, image: torch.Tensor) -> None:
            shapes[step] = tuple(image.shape)

    curves = Curves()
    model, _ = knowing_model(target, knows_without_prompt=False)  # else BSD has nothing to say
    distill(
        ball,
        model,
        PROMPTS,
        DistillationConfig.model_validate({"algorithm": "bsd"}),
        settings(steps=3, image_every=2),
        generator=torch.Generator().manual_seed(0),
        curves=curves,
        progress=Listener(),
    )
    assert shapes == {0: (3, SIZE, 2 * SIZE), 2: (3, SIZE, 2 * SIZE)}
    assert sorted(metrics) == [0, 1, 2]
    assert {"guidance", "colour_variation", "scale", "norm_cg", "alpha", "gaussians", "skipped_steps"} <= set(
        metrics[0]
    )
    assert all(value == value for value in metrics[0].values())
    assert metrics[2]["gaussians"] == 300
    for step, told in metrics.items():
        assert {name: points[step] for name, points in curves.points.items()} == told


def seen(rgb: torch.Tensor, depth: torch.Tensor, alpha: torch.Tensor | None = None) -> RenderedViews:
    return RenderedViews(rgb, torch.ones_like(depth) if alpha is None else alpha, depth, {})


def test_the_loss_is_the_weighted_sum_of_its_terms() -> None:
    """By hand, in float64: Sec. 4's losses with weights that no two terms share."""
    generator = torch.Generator().manual_seed(1)
    rgb, depth = (torch.rand(2, k, 4, 4, generator=generator, dtype=torch.float64) for k in (3, 1))
    latents, gradient = torch.randn(2, 2, 4, 3, 3, generator=generator, dtype=torch.float64)
    latents.requires_grad_()
    parameters = {"scales": torch.nn.Parameter(torch.tensor([[0.0, 1.0, 2.0]], dtype=torch.float64))}
    weights = {"guidance": 3.0, "colour_variation": 5.0, "depth_variation": 7.0, "scale": 11.0}
    losses = splats._losses(latents, gradient, seen(rgb, depth), parameters, settings(losses=weights))

    def variation(images: torch.Tensor) -> torch.Tensor:
        down = (images[..., 1:, :] - images[..., :-1, :]).square().sum() / images[..., 1:, :].numel()
        across = (images[..., 1:] - images[..., :-1]).square().sum() / images[..., 1:].numel()
        return down + across

    expected = {
        "guidance": 3.0 * 0.5 * gradient.square().sum() / 2,
        "colour_variation": 5.0 * variation(rgb),
        "depth_variation": 7.0 * variation(depth),
        "scale": 11.0 * torch.tensor([1.0, torch.e, torch.e**2], dtype=torch.float64).mean(),
    }
    assert losses.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(losses[name].detach(), value, msg=name)
    (by_latents,) = torch.autograd.grad(losses["guidance"], latents)
    torch.testing.assert_close(by_latents, 3.0 * gradient / 2)


def test_learning_rates_fall_log_linearly_and_reach_the_optimizers(
    ball: Gaussians, target: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates: list[dict[str, float]] = []
    step = torch.optim.Adam.step

    def recorded(self: torch.optim.Adam, *given: Any) -> Any:
        group = self.param_groups[0]
        rates.append({"width": float(group["params"][0].shape[-1]), "lr": group["lr"]})
        return step(self, *given)

    monkeypatch.setattr(torch.optim.Adam, "step", recorded)
    names = ("position", "colour", "scale", "rotation", "opacity")
    starts = {name: 1e-3 * (index + 1) for index, name in enumerate(names)}
    falling = {name: {"start": start, "end": start / 100} for name, start in starts.items()}
    run(ball, target, steps=4, learning_rates=falling)
    used: dict[float, set[float]] = {}
    for one in rates:
        used.setdefault(round(one["lr"], 12), set()).add(one["width"])
    for start in (1e-3, 2e-3, 3e-3, 4e-3, 5e-3):
        for done in (0.0, 0.25, 0.5, 0.75):
            assert any(abs(rate - start * 100**-done) < 1e-9 for rate in used), (start, done)
    assert max(used) == pytest.approx(5e-3)


def test_a_depth_image_is_bright_where_the_surface_is_near() -> None:
    depth = torch.tensor([[[[1.0, 2.0, 3.0, 9.0]]]])
    alpha = torch.tensor([[[[1.0, 1.0, 0.8, 0.2]]]])  # the last pixel is background: its depth does not count
    images = splats._depth_images(seen(torch.zeros(1, 3, 1, 4), depth, alpha))
    expected = torch.tensor([1.0, 0.5, 0.0, 0.0])
    for channel in range(3):
        torch.testing.assert_close(images[0, channel, 0], expected)


def test_depth_steps_distil_depth_images_and_mirrored_ones_turn_round() -> None:
    rgb, depth = torch.rand(1, 3, 2, 3), torch.tensor([[[[1.0, 2.0, 3.0]] * 2]])
    views, azimuth = seen(rgb, depth), torch.tensor([30.0])
    for depth_share, flip in ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)):
        changes = {"depth_share": depth_share, "flip_probability": flip}
        images, azimuths = splats._as_seen(views, azimuth, settings(**changes), torch.Generator())
        expected = splats._depth_images(views) if depth_share else rgb
        torch.testing.assert_close(images, expected.flip(-1) if flip else expected)
        assert float(azimuths) == (-30.0 if flip else 30.0)


@pytest.mark.parametrize(("name", "expected"), [("white", {1.0}), ("black", {0.0})])
def test_backgrounds_have_their_colour(name: str, expected: set[float]) -> None:
    drawn = splats._draw_background(settings(backgrounds=(name,)), torch.Generator())
    assert set(drawn.tolist()) == expected and drawn.shape == (3,)


def test_random_backgrounds_are_drawn_anew_and_all_names_come() -> None:
    generator = torch.Generator().manual_seed(0)
    several = settings(backgrounds=("white", "random", "black"))
    drawn = {tuple(splats._draw_background(several, generator).tolist()) for _ in range(40)}
    assert (1.0, 1.0, 1.0) in drawn and (0.0, 0.0, 0.0) in drawn and len(drawn) > 5


def test_front_side_and_back_are_blended_as_the_authors_do(target: torch.Tensor) -> None:
    model, _ = knowing_model(target)
    cameras, azimuths = ring(4, 20.0, 1.5, 50.0, SIZE), torch.tensor([0.0, 45.0, 270.0, 180.0])
    three = PromptEmbeddings.of(model, PROMPTS, "front_side_back", "").conditioning(azimuths, cameras)
    front, side, back = (torch.eye(8)[index] for index in (0, 2, 4))
    expected = torch.stack([front, (front + side) / 2, side, back])
    torch.testing.assert_close(three.positive[:, 0], expected)
    assert three.perp_negatives is None and three.perp_weights is None


def test_perp_neg_gives_negatives_with_their_weights(target: torch.Tensor) -> None:
    model, _ = knowing_model(target)
    cameras, azimuths = ring(2, 20.0, 1.5, 50.0, SIZE), torch.tensor([0.0, 180.0])
    given = PromptEmbeddings.of(model, PROMPTS, "perp_neg", "").conditioning(azimuths, cameras)
    front, side = torch.eye(8)[0], torch.eye(8)[2]
    expected = torch.stack([torch.stack([front, side]), torch.stack([side, front])])
    torch.testing.assert_close(given.perp_negatives[:, :, 0], expected)
    assert given.perp_weights.shape == (2, 2)


def test_each_view_has_its_own_depth_range_and_an_empty_one_is_black() -> None:
    depth = torch.tensor([[1.0, 1.1, 0.5], [5.0, 7.0, 6.0], [1.0, 2.0, 3.0]])[:, None, None]
    alpha = torch.tensor([[1.0, 1.0, 0.2], [1.0, 1.0, 0.6], [0.0, 0.3, 0.4]])[:, None, None]
    images = splats._depth_images(seen(torch.zeros(3, 3, 1, 3), depth, alpha))
    # A faint pixel in front of the object is as bright as the nearest one, times its opacity.
    expected = torch.tensor([[1.0, 0.0, 0.2], [1.0, 0.0, 0.3], [0.0, 0.0, 0.0]])
    torch.testing.assert_close(images[:, 0, 0], expected)


@pytest.mark.parametrize(
    "algorithm", ["bsd", "sds", "csd", "vsd", "ism", "ssd", "nfsd", "vsd_mgda", "fixed_ratio"]
)
def test_every_algorithm_distils_the_personalised_model_and_leaves_it_as_it_was(
    ball: Gaussians, tiny_models: Any, algorithm: str
) -> None:
    model = load_text_to_image(tiny_models.text_to_image, torch.device("cpu"))
    before = {name: value.clone() for name, value in model.unet.state_dict().items()}
    lora = fine_tune(
        model,
        torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)),
        ["a cat, front view", "a cat, back view"],
        rank=2,
        learning_rate=1e-2,
        steps=2,
        batch_size=1,
        generator=torch.Generator().manual_seed(1),
    )
    with lora_applied(model, lora):
        made = distill(
            ball,
            model,
            PROMPTS,
            DistillationConfig.model_validate({"algorithm": algorithm}),
            settings(steps=2, cameras_per_step=1, image_size=64),
            generator=torch.Generator().manual_seed(2),
        )
    assert len(made) == len(ball)
    assert bool(made.sh0.isfinite().all()) and not torch.equal(made.sh0, ball.sh0)
    after = model.unet.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], value) for name, value in before.items())
