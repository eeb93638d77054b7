"""Each setting of the splat loop arrives where it works; VSD's LoRA copy goes on where it was stopped."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from placid_kedro.checkpoints import Checkpoint
from placid_kedro.diffusion.text_to_image import load_text_to_image
from placid_kedro.distillation import DistillationConfig, splats
from placid_kedro.distillation.splats import distill
from placid_kedro.errors import GuidanceError
from placid_kedro.splats import Gaussians
from tests.distillation.splats_case import PROMPTS, settings
from tests.distillation.test_splats import equal, knowing_model, picture
from tests.stopping import Stopped, StopsAt


def run(ball: Gaussians, algorithm: str = "sds", overhead_prompt: str = "", **changes: Any) -> Any:
    """The network, with what it was given."""
    model, network = knowing_model(picture(ball))
    config = DistillationConfig.model_validate({"algorithm": algorithm})
    generator = torch.Generator().manual_seed(0)
    distill(
        ball,
        model,
        PROMPTS,
        config,
        settings(**changes),
        overhead_prompt=overhead_prompt,
        generator=generator,
    )
    return network


@pytest.mark.parametrize(("latents", "used"), [("mode", "encode"), ("sample", "encode_sample")])
def test_latents_are_encoded_as_they_should(
    ball: Gaussians, monkeypatch: pytest.MonkeyPatch, latents: str, used: str
) -> None:
    asked: list[tuple[str, int | None]] = []

    def watch(name: str) -> None:
        original = getattr(splats, name)

        def call(*given: Any) -> Any:
            asked.append((name, given[-1]))
            return original(*given)

        monkeypatch.setattr(splats, name, call)

    watch("encode")
    watch("encode_sample")
    run(ball, steps=2, latents=latents, encoded_at_once=1)
    assert asked == [(used, 1)] * 2


def test_views_from_above_get_the_prompt_from_above(ball: Gaussians) -> None:
    above = {
        "distance": (1.5, 1.5),
        "distance_shrink": None,
        "elevation_deg": (75.0, 80.0),
        "field_of_view_deg": (50.0, 50.0),
    }
    network = run(
        ball,
        overhead_prompt="view 5",
        steps=1,
        view_prompts="front_side_back_overhead",
        cameras=above,
    )
    positive = network.contexts[0][:2, 0]
    torch.testing.assert_close(positive, torch.eye(8)[[5, 5]])


def test_noise_and_algorithm_know_how_far_the_run_is(
    ball: Gaussians, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[tuple[float, float]] = []
    original = splats.Distiller.__call__

    def call(self: Any, latents: Any, prompts: Any, t: torch.Tensor, generator: Any, done: float) -> Any:
        given.append((done, float(t.max())))
        return original(self, latents, prompts, t, generator, done)

    monkeypatch.setattr(splats.Distiller, "__call__", call)
    noise = {"kind": "annealed", "low": 0.02, "high": 0.98, "high_end": 0.05, "until": 0.5}
    run(ball, steps=4, timesteps=noise)
    assert [done for done, _ in given] == [0.0, 0.25, 0.5, 0.75]
    assert all(t <= 50 for _, t in given[2:]) and given[0][1] > 50


def test_a_stopped_vsd_ends_with_the_bits_of_an_unbroken_one(
    ball: Gaussians, tiny_models: Any, tmp_path: Path
) -> None:
    config = DistillationConfig.model_validate({"algorithm": "vsd", "lora": {"learning_rate": 0.01}})

    def go_on(stop: int, place: str) -> Gaussians:
        model = load_text_to_image(tiny_models.text_to_image, torch.device("cpu"))
        return distill(
            ball,
            model,
            PROMPTS,
            config,
            settings(steps=4, cameras_per_step=1, image_size=64),
            generator=torch.Generator().manual_seed(0),
            checkpoint=Checkpoint(tmp_path / place, "mine", 0.0),
            progress=StopsAt(stop),
        )

    whole = go_on(99, "whole")
    with pytest.raises(Stopped):
        go_on(2, "broken")
    assert equal(go_on(99, "broken"), whole)


def test_a_run_that_bad_guidance_stopped_is_not_gone_on_from(ball: Gaussians, tmp_path: Path) -> None:
    """Its last checkpoint holds a step without guidance: the next run, with a sound model, must not keep that."""
    model, network = knowing_model(picture(ball))

    class Faulty:
        def __call__(self, x_t: torch.Tensor, t: torch.Tensor, **inputs: Any) -> Any:
            (answer,) = network(x_t, t, **inputs)
            return (answer * torch.nan if len(network.contexts) > 4 else answer,)

    def made(unet: Any, checkpoint: Checkpoint) -> Gaussians:
        config = DistillationConfig.model_validate({"algorithm": "sds"})
        generator = torch.Generator().manual_seed(0)
        changed = replace(model, unet=unet)
        given = settings(steps=20)
        return distill(ball, changed, PROMPTS, config, given, generator=generator, checkpoint=checkpoint)

    saved = Checkpoint(tmp_path / "state", "mine", 0.0)
    with pytest.raises(GuidanceError, match="not finite"):
        made(Faulty(), saved)
    assert len(network.contexts) > 5 and not saved.path.exists()
    after = made(network, saved)
    assert equal(after, made(network, Checkpoint(tmp_path / "other", "mine", 0.0)))
