import copy

import pytest
import torch
from peft import LoraConfig

from placid_kedro.distillation.config import LoraSettings
from placid_kedro.distillation.interface import Step
from placid_kedro.distillation.lora_copy import LoraCopy
from placid_kedro.errors import ModelError


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def step(unet_predictor, prompts):
    latents = torch.randn(3, 4, 8, 8, generator=seeded(1))
    return Step(latents, unet_predictor, prompts, torch.tensor([30, 500, 950]), seeded(2))


def test_starts_as_the_original_and_shares_its_weights(unet, unet_predictor, step):
    lora = LoraCopy.create(unet_predictor, LoraSettings(), seeded())
    x_t, _ = step.noised()
    expected = unet_predictor(x_t, step.t, [step.conditioning.positive], {})[0]
    torch.testing.assert_close(lora.predict(step, x_t), expected)
    addresses = {p.data_ptr() for p in unet.parameters()}
    shared = [p for p in lora.unet.parameters() if p.data_ptr() in addresses]
    assert len(shared) == len(list(unet.parameters()))
    assert all(p.requires_grad for p in unet.parameters()) and not any(p.requires_grad for p in shared)


def test_learns_the_noise_of_the_scene(unet_predictor, step):
    """Trained on one set of latents the copy predicts their noise better, the original does not change."""
    settings = LoraSettings(learning_rate=1e-2)
    lora = LoraCopy.create(unet_predictor, settings, seeded())
    losses = [lora.train_step(step) for _ in range(80)]
    assert sum(losses[-10:]) < 0.9 * sum(losses[:10])
    x_t, e = step.noised()
    ours = (lora.predict(step, x_t) - e).square().mean()
    original = (unet_predictor(x_t, step.t, [step.conditioning.positive], {})[0] - e).square().mean()
    assert ours < original


def test_camera_reaches_the_copy_and_its_dropout_hides_it(unet_predictor, step):
    for dropout, differs in ((0.0, True), (1.0, False)):
        lora = LoraCopy.create(unet_predictor, LoraSettings(camera_dropout=dropout), seeded())
        before = copy.deepcopy(lora.unet.class_embedding.linear_2.weight)
        lora.train_step(step)
        gradient = lora.unet.class_embedding.linear_1.weight.grad
        lora.train_step(step)
        gradient = lora.unet.class_embedding.linear_1.weight.grad
        assert bool((gradient != 0).any()) is differs
        assert not torch.equal(before, lora.unet.class_embedding.linear_2.weight)


def test_goes_on_from_its_state(unet_predictor, step):
    unbroken = LoraCopy.create(unet_predictor, LoraSettings(), seeded())
    step.generator.manual_seed(5)
    for _ in range(2):
        unbroken.train_step(step)
    state = {name: value.clone() for name, value in unbroken.state_dict().items()}
    assert all(isinstance(value, torch.Tensor) for value in state.values())
    noise = step.generator.get_state()
    expected = [unbroken.train_step(step) for _ in range(3)]
    resumed = LoraCopy.create(unet_predictor, LoraSettings(), seeded(77))
    resumed.load_state_dict(state)
    step.generator.set_state(noise)
    assert [resumed.train_step(step) for _ in range(3)] == expected
    with pytest.raises(ModelError, match="rank"):
        LoraCopy.create(unet_predictor, LoraSettings(rank=2), seeded()).load_state_dict(state)


def test_keeps_an_adapter_that_the_unet_already_has(unet, unet_predictor, step):
    """The LoRA stage's fine-tuning stays active below VSD's own adapter, in the copy and in the original."""
    projections = ["to_q", "to_k", "to_v", "to_out.0"]
    unet.add_adapter(LoraConfig(r=2, target_modules=projections, init_lora_weights="gaussian"))
    with torch.no_grad():
        for name, parameter in unet.named_parameters():
            if "lora_B" in name:
                parameter.normal_(generator=seeded(8))
    flags = {name: p.requires_grad for name, p in unet.named_parameters()}
    x_t, _ = step.noised()
    expected = unet_predictor(x_t, step.t, [step.conditioning.positive], {})[0]
    lora = LoraCopy.create(unet_predictor, LoraSettings(), seeded())
    torch.testing.assert_close(lora.predict(step, x_t), expected)
    lora.train_step(step)
    torch.testing.assert_close(unet_predictor(x_t, step.t, [step.conditioning.positive], {})[0], expected)
    assert {name: p.requires_grad for name, p in unet.named_parameters()} == flags
    trained = [name for name, p in lora.unet.named_parameters() if p.requires_grad]
    assert trained and all(".default." not in name for name in trained)


def test_leaves_the_global_random_state_alone(unet_predictor):
    torch.manual_seed(3)
    before = torch.get_rng_state()
    first = LoraCopy.create(unet_predictor, LoraSettings(), seeded(1))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(4)
    second = LoraCopy.create(unet_predictor, LoraSettings(), seeded(1))
    for name, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[name])


def test_refuses_a_unet_with_class_labels(unet_predictor, unet):
    unet.class_embedding = torch.nn.Embedding(2, 32)
    with pytest.raises(ModelError, match="class labels"):
        LoraCopy.create(unet_predictor, LoraSettings(), seeded())
