"""Fine-tuning a text-to-image model: what it learns, and that it leaves no trace."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from placid_kedro.checkpoints import Checkpoint
from placid_kedro.curves import Curves
from placid_kedro.diffusion.autoencoding import encode
from placid_kedro.diffusion.lora import TARGET_MODULES, fine_tune, lora_applied
from placid_kedro.diffusion.text_to_image import TextToImage
from placid_kedro.errors import ModelError, NumericError, ShapeError
from placid_kedro.progress import SILENT
from tests.host_reads import WatchesReads
from tests.stopping import Stopped, StopsAt

PROMPTS = ["a cat, front view", "a cat, back view"]


def images() -> torch.Tensor:
    result = torch.ones(2, 3, 64, 64)
    result[0, 0, 16:48, 16:48] = 0
    result[1, :2, 8:56, 24:40] = 0.2
    return result


def train(model: TextToImage, seed: int = 0, **settings: Any) -> dict[str, torch.Tensor]:
    defaults = {"rank": 2, "learning_rate": 1e-2, "steps": 3, "batch_size": 2}
    generator = torch.Generator().manual_seed(seed)
    return fine_tune(model, images(), PROMPTS, generator=generator, **{**defaults, **settings})


@torch.no_grad()
def output(model: TextToImage) -> torch.Tensor:
    x = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(9))
    return model.unet(x, torch.tensor([100, 700]), model.embed(PROMPTS)).sample


@torch.no_grad()
def diffusion_loss(model: TextToImage) -> float:
    """The loss on the images at the same 256 draws of noise and timestep each time."""
    generator = torch.Generator().manual_seed(7)
    latents = encode(model.autoencoder, images()).repeat(128, 1, 1, 1)
    context = model.embed(PROMPTS).repeat(128, 1, 1)
    noise = torch.randn(latents.shape, generator=generator)
    t = torch.randint(1000, (256,), generator=generator)
    predicted = model.unet(model.schedule.add_noise(latents, noise, t), t, context).sample
    return float((predicted - model.schedule.target(latents, noise, t)).square().mean())


def snapshot(unet: Any) -> Any:
    modules = {name: type(module) for name, module in unet.named_modules()}
    flags = {name: parameter.requires_grad for name, parameter in unet.named_parameters()}
    values = {name: value.clone() for name, value in unet.state_dict().items()}
    return modules, flags, unet.training, bool(getattr(unet, "_hf_peft_config_loaded", False)), values


def assert_unchanged(unet: Any, before: Any) -> None:
    after = snapshot(unet)
    assert after[:4] == before[:4]
    assert after[4].keys() == before[4].keys()
    assert all(torch.equal(after[4][name], value) for name, value in before[4].items())


@pytest.fixture
def model(text_to_image: TextToImage) -> TextToImage:
    """The shared model; the test fails when it changes it."""
    before = snapshot(text_to_image.unet)
    yield text_to_image
    assert_unchanged(text_to_image.unet, before)


def test_nothing_of_the_model_changes(model: TextToImage) -> None:
    flags = [parameter.requires_grad for parameter in model.unet.parameters()]
    assert not any(flags)
    parameter = next(model.unet.parameters())
    parameter.requires_grad_(True)
    before, reference = snapshot(model.unet), output(model)
    weights = train(model)
    assert_unchanged(model.unet, before)
    with lora_applied(model, weights):
        assert not any(parameter.requires_grad for parameter in model.unet.parameters())
        assert not torch.equal(output(model), reference)
    assert_unchanged(model.unet, before)
    assert torch.equal(output(model), reference)
    with pytest.raises(RuntimeError, match="inside"), lora_applied(model, weights):
        raise RuntimeError("inside")
    assert_unchanged(model.unet, before)
    parameter.requires_grad_(False)


def test_the_loss_on_the_views_falls(model: TextToImage) -> None:
    before = diffusion_loss(model)
    with lora_applied(model, train(model, rank=4, steps=60)):
        after = diffusion_loss(model)
    assert after < 0.95 * before


def test_only_attention_projections_are_trained(model: TextToImage) -> None:
    weights = train(model)
    names = {name.split(".lora_")[0] for name in weights}
    expected = {
        name
        for name, module in model.unet.named_modules()
        if isinstance(module, torch.nn.Linear) and name.endswith(TARGET_MODULES)
    }
    assert names == expected
    assert all(value.device.type == "cpu" and 2 in value.shape for value in weights.values())


def test_a_saved_lora_is_the_low_rank_update(model: TextToImage, tmp_path: Path) -> None:
    weights = train(model)
    save_file(weights, tmp_path / "lora.safetensors")
    with lora_applied(model, load_file(tmp_path / "lora.safetensors")):
        applied = output(model)
    with lora_applied(model, weights):
        assert torch.equal(output(model), applied)
    # W + B A in a plain copy.
    merged = copy.deepcopy(model.unet)
    for name in {name.split(".lora_")[0] for name in weights}:
        update = weights[f"{name}.lora_B.weight"] @ weights[f"{name}.lora_A.weight"]
        merged.get_submodule(name).weight.data += update
    x = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(9))
    with torch.no_grad():
        expected = merged(x, torch.tensor([100, 700]), model.embed(PROMPTS)).sample
    torch.testing.assert_close(applied, expected, atol=1e-5, rtol=1e-5)


def test_untrained_weights_change_nothing(model: TextToImage) -> None:
    reference = output(model)
    with lora_applied(model, train(model, steps=0)):
        torch.testing.assert_close(output(model), reference, atol=1e-6, rtol=0)


def test_the_same_seed_gives_the_same_lora(model: TextToImage) -> None:
    first = train(model)
    torch.manual_seed(123)
    state = torch.get_rng_state()
    second, other = train(model), train(model, seed=1)
    assert torch.equal(torch.get_rng_state(), state)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_weights_of_something_else_are_refused(model: TextToImage) -> None:
    weights = train(model, steps=1)
    name = next(iter(weights))
    for wrong in (
        {},
        {"a": torch.zeros(2)},
        {key: value for key, value in weights.items() if key != name},
        {**weights, "further.lora_A.weight": weights[name]},
        {**weights, name: torch.zeros(*weights[name].shape, 2)[..., 0].repeat(1, 2)},
    ):
        with pytest.raises(ModelError, match="run the stage lora again"), lora_applied(model, wrong):
            raise AssertionError("never gets here")
    with (
        lora_applied(model, weights),
        pytest.raises(ModelError, match="has a LoRA already"),
        lora_applied(model, weights),
    ):
        raise AssertionError("never gets here")


def test_images_and_prompts_belong_together(text_to_image: TextToImage) -> None:
    generator = torch.Generator()
    settings = {"rank": 2, "learning_rate": 1e-3, "steps": 1, "batch_size": 1, "generator": generator}
    for wrong, prompts in ((images()[0], PROMPTS), (images(), PROMPTS[:1])):
        with pytest.raises(ShapeError, match="prompts need as many images"):
            fine_tune(text_to_image, wrong, prompts, **settings)


def test_a_lora_that_runs_away_is_not_handed_on(model: TextToImage) -> None:
    with pytest.raises(NumericError, match=r"not finite; lower lora\.learning_rate"):
        train(model, learning_rate=1e30, steps=8)


def test_a_lora_with_nan_is_not_applied(model: TextToImage) -> None:
    weights = train(model, steps=1)
    name = sorted(weights)[0]
    weights[name][0, 0] = torch.nan
    with (
        pytest.raises(NumericError, match=f"1 of the {weights[name].numel()} values"),
        lora_applied(model, weights),
    ):
        pytest.fail("the LoRA must not be applied")


def test_a_training_that_was_stopped_ends_with_the_bits_of_an_unbroken_one(
    model: TextToImage, tmp_path: Path
) -> None:
    losses, pieced = Curves(), Curves()
    whole = train(model, steps=5, curves=losses)

    def go_on(progress: Any = SILENT) -> dict[str, torch.Tensor]:
        checkpoint = Checkpoint(tmp_path / "c", "mine", 0.0)
        return train(model, steps=5, checkpoint=checkpoint, progress=progress, curves=pieced)

    for step in (1, 2, 4):  # each goes on from where the last one left off
        with pytest.raises(Stopped):
            go_on(StopsAt(step))
    state = Checkpoint(tmp_path / "c", "mine").load()
    assert state is not None and state["step"] == 4
    pieced = Curves()  # in a new process nothing else is left of the steps before
    again = go_on()
    assert pieced == losses
    assert list(losses.points["lora_loss"]) == [0, 1, 2, 3, 4]
    assert all(torch.equal(again[name], value) for name, value in whole.items())


def test_a_step_reads_its_loss_once(model: TextToImage, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a GPU nothing else makes the host wait but the trained weights at the end."""
    networks = [model.unet, model.autoencoder]
    watching = WatchesReads([p for network in networks for p in network.parameters()])

    def to_host(tensor: torch.Tensor) -> torch.Tensor:
        if tensor in watching.on_device:
            watching.note("cpu")
        return torch.from_numpy(tensor.detach().numpy().copy())

    monkeypatch.setattr(torch.Tensor, "cpu", to_host)
    reads = {}
    for steps in (2, 5):
        watching.reads.clear()
        with watching:
            train(model, steps=steps)
        reads[steps] = len(watching.reads)
    assert reads[5] - reads[2] == 3
    assert {read.split(" in ")[0] for read in watching.reads} == {"cpu"}


def test_as_many_views_are_encoded_at_a_time_as_a_step_takes(model: TextToImage) -> None:
    """Eight views of 512 px at once would take more memory than the training."""
    sizes: list[int] = []
    handle = model.autoencoder.analysis.register_forward_hook(
        lambda module, args, out: sizes.append(len(args[0]))
    )
    many = images().repeat(3, 1, 1, 1)[:5]
    with handle:
        fine_tune(
            model,
            many,
            ["be"] * 5,
            rank=2,
            learning_rate=1e-3,
            steps=1,
            batch_size=2,
            generator=torch.Generator().manual_seed(0),
        )
    assert sizes == [2, 2, 1]
