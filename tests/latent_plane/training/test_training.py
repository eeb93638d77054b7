"""The two stages: what they train, that they learn, and that a cut or distributed run is the same run."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from statistics import mean

import pytest
import torch

from placid_kedro.diffusion.schedule import NoiseSchedule
from placid_kedro.errors import DataError, ParameterError
from placid_kedro.latent_plane import LatentPlane
from placid_kedro.latent_plane.training.objectives import DensityObjective, FeatureObjective, diffuse
from placid_kedro.training import make_accelerator, train

CASE = Path(__file__).with_name("training_case.py")
_spec = importlib.util.spec_from_file_location("latent_plane_training_case", CASE)
case = importlib.util.module_from_spec(_spec)
sys.modules[_spec.name] = case
_spec.loader.exec_module(case)


def run(kind, steps, path, batches=case.make_batch, log=None, validate=None, **changes):
    objective = case.make_objective(kind)
    accelerator = make_accelerator(cpu=True)
    train(objective, batches, case.settings(steps, **changes), accelerator, path, log=log, validate=validate)
    return objective.plane


@pytest.mark.parametrize("kind", [DensityObjective, FeatureObjective])
def test_a_run_that_was_killed_goes_on_to_the_same_bits(tmp_path, kind):
    unbroken = run(kind, 7, tmp_path / "unbroken.pt", accumulate=2)

    def fails_late(number, generator):
        if number == 11:
            raise KeyboardInterrupt
        return case.make_batch(number, generator)

    with pytest.raises(KeyboardInterrupt):
        run(kind, 7, tmp_path / "cut.pt", fails_late, accumulate=2)
    seen = []

    def counted(number, generator):
        seen.append(number)
        return case.make_batch(number, generator)

    resumed = run(kind, 7, tmp_path / "cut.pt", counted, accumulate=2)
    # Five steps were whole, the checkpoint is of the fourth.
    assert seen == list(range(8, 14))
    for name, value in unbroken.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], value), name
    first, second = (torch.load(tmp_path / f"{n}.pt", weights_only=True) for n in ("unbroken", "cut"))
    assert first["step"] == second["step"] == 7
    for a, b in zip(first["ema"]["shadow_params"], second["ema"]["shadow_params"], strict=True):
        assert torch.equal(a, b)
    for index, moments in first["optimizer"]["state"].items():
        for key, value in moments.items():
            assert torch.equal(value, second["optimizer"]["state"][index][key])


def test_a_finished_stage_is_only_read(tmp_path):
    trained = run(DensityObjective, 2, tmp_path / "c.pt")

    def never(number, generator):
        raise AssertionError("no batch is needed")

    again = run(DensityObjective, 2, tmp_path / "c.pt", never)
    assert all(torch.equal(again.state_dict()[n], v) for n, v in trained.state_dict().items())


@pytest.mark.parametrize(("kind", "trained"), [(DensityObjective, False), (FeatureObjective, True)])
def test_a_stage_trains_its_own_part_only(tmp_path, kind, trained):
    before = case.make_objective(kind).plane.state_dict()
    after = run(kind, 3, tmp_path / "c.pt").state_dict()
    for name, value in after.items():
        changed = not torch.equal(before[name], value)
        assert changed == (name.startswith("feature_transformer") == trained), name


def test_a_share_of_the_objects_is_drawn_at_the_last_timestep():
    schedule = NoiseSchedule(torch.linspace(0.99, 0.01, 50, dtype=torch.float64), "v_prediction")
    latents = torch.randn(2000, 3, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    noisy, target, timesteps = diffuse(latents, schedule, torch.Generator().manual_seed(1), 0.4)
    each = timesteps.reshape(2000, 3)
    assert torch.equal(each, each[:, :1].expand(2000, 3))
    counts = torch.bincount(each[:, 0], minlength=50) / 2000
    assert float(counts[-1]) == pytest.approx(0.4 + 0.6 / 50, abs=0.05)
    assert counts[:-1].tolist() == pytest.approx([0.6 / 50] * 49, abs=0.012)
    # Noise and target belong to the timestep that was drawn: v = a e - s x.
    kept = schedule.alphas_cumprod[timesteps][:, None, None, None]
    clean = kept.sqrt() * noisy - (1 - kept).sqrt() * target
    torch.testing.assert_close(clean.float(), latents.flatten(0, 1), atol=1e-4, rtol=1e-4)


def test_density_stage_learns_the_spheres(tmp_path):
    losses = []
    run(
        DensityObjective,
        140,
        tmp_path / "c.pt",
        log=lambda values, step: losses.append(values),
        log_every=1,
        checkpoint_every=1000,
        ema_decay=0.9,
    )
    assert mean(v["silhouette"] for v in losses[-40:]) < 0.65 * mean(v["silhouette"] for v in losses[:20])
    assert mean(v["depth_pearson"] for v in losses[-40:]) > 0.75


def test_validation_sees_the_averaged_weights_and_leaves_no_trace(tmp_path):
    plain = run(DensityObjective, 6, tmp_path / "plain.pt", ema_decay=0.5)
    seen, logged = [], []

    def validate(plane, step):
        assert not plane.training and not torch.is_grad_enabled()
        seen.append({name: value.clone() for name, value in plane.state_dict().items()})
        return {"validation/iou": 0.5}

    validated = run(
        DensityObjective,
        6,
        tmp_path / "validated.pt",
        log=lambda values, step: logged.append((step, values)),
        validate=validate,
        validate_every=3,
        ema_decay=0.5,
    )
    assert len(seen) == 2 and (3, {"validation/iou": 0.5}) in logged
    for name, value in plain.state_dict().items():
        assert torch.equal(validated.state_dict()[name], value)
        # At the end the plane holds the weights that the last validation saw.
        assert torch.equal(seen[-1][name], value)


def test_two_processes_are_one_process_with_twice_the_batches(tmp_path):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"]
    command += ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no"]
    command += ["--main_process_port", "0", str(CASE), str(tmp_path)]
    outcome = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert outcome.returncode == 0, outcome.stderr[-3000:]
    for kind in (DensityObjective, FeatureObjective):
        alone = run(kind, 3, tmp_path / "alone" / f"{kind.__name__}.pt", accumulate=2)
        together = LatentPlane.from_pretrained(tmp_path / kind.__name__)
        start = case.make_objective(kind).plane.state_dict()
        for name, value in alone.state_dict().items():
            torch.testing.assert_close(together.state_dict()[name], value, rtol=1e-4, atol=2e-5)
        assert any(not torch.equal(start[n], v) for n, v in together.state_dict().items())
        # The checkpoint of two processes goes on in one.
        run(kind, 4, tmp_path / f"{kind.__name__}.pt", accumulate=2)


def test_checkpoints_that_do_not_fit_are_refused(tmp_path):
    path = tmp_path / "c.pt"
    run(DensityObjective, 2, path)
    with pytest.raises(DataError, match=r"learning_rate 0\.003 instead of 0\.1"):
        run(DensityObjective, 2, path, learning_rate=0.1)
    with pytest.raises(DataError, match="objective DensityObjective instead of FeatureObjective"):
        run(FeatureObjective, 2, path)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(DataError, match="no whole checkpoint"):
        run(DensityObjective, 2, path)


def test_a_loss_that_is_no_number_stops_the_run(tmp_path):
    def poisoned(number, generator):
        batch = case.make_batch(number, generator)
        batch.rays.depth.fill_(torch.nan)
        return batch

    with pytest.raises(ParameterError, match="loss of step 1 is nan"):
        run(DensityObjective, 5, tmp_path / "c.pt", poisoned, log_every=1)


def test_reduced_precision_needs_hardware_for_it(monkeypatch):
    with pytest.raises(ParameterError, match="needs CUDA"):
        make_accelerator("fp16", cpu=True)
    monkeypatch.setattr("placid_kedro.training.loop.cpu_has_bf16", lambda: False)
    with pytest.raises(ParameterError, match="AVX512-BF16"):
        make_accelerator("bf16", cpu=True)
    assert make_accelerator("auto", cpu=True).mixed_precision == "no"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_mixed_precision_learns_on_cuda(tmp_path):
    for precision in ("bf16", "fp16"):
        losses = []
        objective = case.make_objective(DensityObjective, "cuda")
        train(
            objective,
            lambda number, generator: case.make_batch(number, generator, "cuda"),
            case.settings(60, learning_rate=1e-2, log_every=1),
            make_accelerator(precision),
            tmp_path / f"{precision}.pt",
            log=lambda values, step, losses=losses: losses.append(values["silhouette"]),
        )
        assert sum(losses[-10:]) < 0.6 * sum(losses[:10])
