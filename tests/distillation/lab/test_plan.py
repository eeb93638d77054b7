"""Plan, identity, estimate and failures of the laboratory's runs."""

import shutil

import pytest
import torch

from placid_kedro.diffusion.loading import model_identity
from placid_kedro.distillation import Conditioning, DistillationConfig
from placid_kedro.distillation.config import BSD, FixedRatio
from placid_kedro.distillation.lab.experiment import Lab, LabSettings, start_noise
from placid_kedro.distillation.lab.plan import carry_out, plan_runs, seconds_left
from placid_kedro.errors import GuidanceError
from placid_kedro.progress import SilentProgress

PLAN = plan_runs({"mine": DistillationConfig(lam=25.0)}, (5.0, 25.0), (10.0,))


class Recorder(SilentProgress):
    """Keeps the metrics."""

    def __init__(self):
        self.names, self.steps, self.bars = set(), set(), []

    def track(self, iterable, total=None, description=""):
        self.bars.append(description)
        yield from iterable

    def log_metrics(self, step, metrics):
        assert all(value == value for value in metrics.values())
        self.names |= set(metrics)
        self.steps.add(step)


@pytest.fixture
def lab(unet_predictor, prompts):
    return Lab(
        unet_predictor, prompts, start_noise([0], 3, (4, 8, 8)), LabSettings(snapshots=(2, 12)), "tiny"
    )


def test_plan_has_the_comparison_and_both_sweeps():
    assert [run.label for run in PLAN] == ["mine", "bsd lam 5", "bsd lam 25", "ratio 10"]
    assert [run.value for run in PLAN] == [None, 5.0, 25.0, 10.0]
    assert PLAN[2].algorithm == PLAN[0].algorithm == BSD(lam=25.0)
    assert PLAN[3].algorithm == FixedRatio(ratio=10.0)


def test_estimate_counts_what_is_left_and_each_algorithm_once(lab, tmp_path, monkeypatch):
    monkeypatch.setattr(Lab, "seconds_of_a_step", lambda self, algorithm: 2.0)
    assert seconds_left(lab, PLAN, tmp_path) == 3 * 12 * 2.0
    lab.run(BSD(lam=25.0), tmp_path)
    assert seconds_left(lab, PLAN, tmp_path) == 2 * 12 * 2.0
    carry_out(lab, PLAN, tmp_path)
    assert seconds_left(lab, PLAN, tmp_path) == 0.0


def test_a_timed_step_takes_time_and_leaves_nothing(lab, tmp_path, unet):
    before = {name: value.clone() for name, value in unet.state_dict().items()}
    start = lab.start.clone()
    for run in PLAN:
        assert lab.seconds_of_a_step(run.algorithm) > 0
    assert torch.equal(lab.start, start)
    assert all(torch.equal(value, before[name]) for name, value in unet.state_dict().items())
    assert list(tmp_path.iterdir()) == []


def test_runs_report_under_their_labels_and_equal_ones_share_a_result(lab, tmp_path):
    recorder = Recorder()
    runs = carry_out(lab, PLAN, tmp_path, recorder)
    assert recorder.bars[:2] == ["runs", "run 1 of 4, mine"]
    assert recorder.bars[4] == "run 4 of 4, ratio 10"
    assert {name.split("/")[0] for name in recorder.names} == {"mine", "bsd lam 5", "ratio 10"}
    assert recorder.steps == {0, 10}
    assert torch.equal(runs["mine"].snapshots[12], runs["bsd lam 25"].snapshots[12])
    assert not torch.equal(runs["mine"].snapshots[12], runs["bsd lam 5"].snapshots[12])


def test_a_run_that_gets_no_guidance_is_named(gaussian, tmp_path):
    """The prompt is the empty one: CSD has nothing to say."""
    empty = torch.zeros(1, 1, 48, dtype=torch.float64)
    settings = LabSettings(snapshots=(5,), patience=3)
    start = start_noise([0], 1, (3, 4, 4)).double()
    silent = Lab(gaussian, Conditioning(empty, empty), start, settings, "empty")
    plan = plan_runs({"quiet": DistillationConfig(algorithm="csd")}, (), ())
    with pytest.raises(GuidanceError, match="The run 'quiet' stopped: the guidance of sample 0 is zero"):
        carry_out(silent, plan, tmp_path)


def test_identity_is_of_the_network_and_its_noise_levels(tiny_models, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(tiny_models.text_to_image, folder)
    identity = model_identity(folder)
    assert identity == model_identity(tiny_models.text_to_image)
    (folder / "unet/notes.txt").write_text("nothing that is computed with")
    (folder / "vae/config.json").write_text("{}")
    assert model_identity(folder) == identity
    for file in ("unet/diffusion_pytorch_model.safetensors", "scheduler/scheduler_config.json"):
        path = folder / file
        content = path.read_bytes()
        path.write_bytes(content[:-1] + b"?")
        assert model_identity(folder) != identity
        path.write_bytes(content)
    assert model_identity(folder) == identity
