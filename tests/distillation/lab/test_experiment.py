import pytest
import torch

from placid_kedro.distillation import Conditioning
from placid_kedro.distillation.config import BSD, CSD, ISM, SDS, VSD, FixedRatio
from placid_kedro.distillation.lab.experiment import Lab, LabSettings, prompts_times_seeds, start_noise
from placid_kedro.errors import GuidanceError, ShapeError
from placid_kedro.progress import SilentProgress

SETTINGS = LabSettings(snapshots=(3, 6), checkpoint_every=2)


class Interrupt(SilentProgress):
    """Stops the loop after some steps, as a killed run would."""

    def __init__(self, steps):
        self.steps = steps

    def log_metrics(self, step, metrics):
        if step + 1 == self.steps:
            raise KeyboardInterrupt


@pytest.fixture
def lab(unet_predictor, prompts):
    start = start_noise([0], 3, (4, 8, 8))
    return Lab(unet_predictor, prompts, start, SETTINGS, identity="tiny")


@pytest.mark.parametrize("algorithm", [BSD(), ISM(), VSD()], ids=lambda a: a.algorithm)
def test_an_interrupted_run_goes_on_to_the_same_bits(lab, tmp_path, algorithm):
    unbroken = lab.run(algorithm, tmp_path / "unbroken")
    for steps in (3, 5):
        with pytest.raises(KeyboardInterrupt):
            lab.run(algorithm, tmp_path / "broken", Interrupt(steps))
    resumed = lab.run(algorithm, tmp_path / "broken")
    assert list(resumed.snapshots) == list(unbroken.snapshots) == [3, 6]
    for steps in (3, 6):
        assert torch.equal(resumed.snapshots[steps], unbroken.snapshots[steps])
    for name, values in unbroken.history.items():
        assert values.shape == (6, 3)
        assert torch.equal(resumed.history[name].nan_to_num(), values.nan_to_num())
    assert torch.equal(resumed.forwards, unbroken.forwards)


def test_a_finished_run_is_read_back_without_the_network(lab, tmp_path, unet):
    first = lab.run(BSD(), tmp_path)
    unet.forward = None  # any call would fail
    again = lab.run(BSD(), tmp_path)
    assert torch.equal(again.snapshots[6], first.snapshots[6])
    assert torch.equal(again.seconds, first.seconds) and first.seconds[-1] > 0
    with pytest.raises(TypeError):
        lab.run(BSD(lam=5), tmp_path)  # another run, which does need it


def test_algorithms_see_the_same_start_timesteps_and_noise(lab, tmp_path):
    runs = [lab.run(algorithm, tmp_path) for algorithm in (SDS(), BSD(), VSD(), FixedRatio())]
    for run in runs[1:]:
        assert torch.equal(run.history["t"], runs[0].history["t"])
        # e_u - e at the common start depends on the start, t and e alone
        assert torch.equal(run.history["norm_residual"][0], runs[0].history["norm_residual"][0])


def test_first_step_is_adam_at_the_given_rate(lab, tmp_path):
    """Adam's first step moves each number by the learning rate against the gradient's sign."""
    settings = LabSettings(snapshots=(1,), learning_rate=0.06)
    lab = Lab(lab.predictor, lab.conditioning, lab.start, settings, "tiny")
    moved = lab.run(SDS(), tmp_path).snapshots[1] - lab.start
    torch.testing.assert_close(moved.abs(), torch.full_like(moved, 0.06), rtol=1e-2, atol=1e-3)


def test_sds_finds_the_mean_of_a_gaussian(gaussian, means, tmp_path):
    """At guidance scale 1 the mode of the data distribution is where SDS ends."""
    start = start_noise([0, 1], 1, (3, 4, 4)).double()
    lab = Lab(gaussian, means, start, LabSettings(snapshots=(400,)), "gaussian")
    run = lab.run(SDS(guidance_scale=1.0), tmp_path)
    error = (run.snapshots[400] - means.positive.reshape(start.shape)).square().mean().sqrt()
    assert error < 0.35 and error < 0.3 * (start - means.positive.reshape(start.shape)).square().mean().sqrt()


def test_over_training_on_a_gaussian_as_the_paper_says(gaussian, means, tmp_path):
    """Sec. 4.3: SDS runs past the prompt's mean; BSD goes less far, the less the larger lam is."""
    start = start_noise([0, 1], 1, (3, 4, 4)).double()
    lab = Lab(gaussian, means, start, LabSettings(snapshots=(300,)), "gaussian")
    towards = (means.positive - means.unconditional).flatten(1)

    def progress(algorithm):
        """How far the result lies from the empty prompt's mean towards the prompt's, where it would be 1."""
        reached = lab.run(algorithm, tmp_path).snapshots[300].flatten(1) - means.unconditional.flatten(1)
        return ((reached * towards).sum(1) / towards.square().sum(1)).mean()

    sds, *balanced = map(progress, (SDS(guidance_scale=7.5), BSD(lam=5), BSD(lam=15), BSD(lam=35)))
    assert sds > 5
    assert sds > 2 * balanced[0] and balanced[0] > balanced[1] > balanced[2] > 0


def test_pixels_through_an_encoder(lab, tmp_path):
    """What is optimised need not be the latent: here pixels, encoded by averaging 2 x 2 blocks."""
    pixels = torch.randn(3, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    encode = torch.nn.AvgPool2d(2)
    lab = Lab(lab.predictor, lab.conditioning, pixels, SETTINGS, "pixels", encode)
    run = lab.run(BSD(), tmp_path)
    moved = run.snapshots[6] - pixels
    assert moved.shape == pixels.shape and moved.abs().max() > 0.1
    # a block's four pixels get one gradient, so they move alike
    torch.testing.assert_close(moved[..., ::2, ::2], moved[..., 1::2, 1::2], rtol=1e-3, atol=1e-5)


def test_samples_without_guidance_stay_where_they_are_and_stop_the_run(gaussian, tmp_path):
    """The second prompt is the empty one: D is zero, CSD has nothing to say about it."""
    empty = torch.zeros(1, 1, 48, dtype=torch.float64)
    conditioning = Conditioning(torch.cat([empty + 1, empty]), empty)
    start = start_noise([0], 2, (3, 4, 4)).double()
    lab = Lab(gaussian, conditioning, start, LabSettings(snapshots=(5,)), "empty")
    run = lab.run(CSD(), tmp_path)
    assert run.skipped == 5
    assert torch.equal(run.snapshots[5][1], start[1]) and not torch.equal(run.snapshots[5][0], start[0])
    impatient = Lab(gaussian, conditioning, start, LabSettings(snapshots=(5,), patience=3), "empty")
    with pytest.raises(GuidanceError, match="sample 1 is zero"):
        impatient.run(CSD(), tmp_path)


def test_share_of_obtuse_steps(lab, tmp_path):
    run = lab.run(BSD(), tmp_path)
    expected = [(run.history["cosine"][:4, i] < 0).sum().item() / 4 for i in range(3)]
    assert run.obtuse_share(4).tolist() == expected


def test_prompts_times_seeds_pair_each_prompt_with_each_start():
    positive, empty = torch.arange(2.0).reshape(2, 1, 1), torch.zeros(1, 1, 1)
    conditioning = prompts_times_seeds(positive, empty, seeds=3)
    start = start_noise([7, 8, 9], prompts=2, shape=(1, 2, 2))
    assert conditioning.positive.flatten().tolist() == [0, 0, 0, 1, 1, 1]
    assert torch.equal(start[:3], start[3:]) and not torch.equal(start[0], start[1])


def test_refuses_bad_settings_and_starts(lab, tmp_path):
    for snapshots in ((), (0,), (5, 5), (6, 3)):
        with pytest.raises(ValueError, match="snapshots"):
            LabSettings(snapshots=snapshots)
    with pytest.raises(ShapeError, match="start"):
        Lab(lab.predictor, lab.conditioning, lab.start[0], SETTINGS, "tiny").run(BSD(), tmp_path)
