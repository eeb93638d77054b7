"""Splats under distillation: towards what the model knows, the same each time, and stopped when nothing helps."""

from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from placid_kedro.cameras import PosedViews, orbit, random_orbit, ring
from placid_kedro.checkpoints import Checkpoint
from placid_kedro.curves import Curves
from placid_kedro.diffusion.autoencoding import encode, encode_sample
from placid_kedro.diffusion.lora import fine_tune, lora_applied
from placid_kedro.diffusion.text_to_image import load_text_to_image
from placid_kedro.distillation import DistillationConfig, splats
from placid_kedro.distillation.film import Film
from placid_kedro.distillation.splats import PromptEmbeddings, distill
from placid_kedro.distillation.splats_config import FilmParameters
from placid_kedro.errors import ParameterError
from placid_kedro.splats import Gaussians, TargetViews, render
from tests.distillation.splats_case import (
    FILM,
    PROMPTS,
    RED,
    SIZE,
    PoolingAutoencoder,
    equal,
    knowing_model,
    picture,
    run,
    settings,
)
from tests.stopping import Stopped, StopsAt

ANCHOR = {"weight": 1.0, "views_per_step": 2, "silhouette_weight": 1.0, "hole_tolerance": 0.03}


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
