"""LoRA fine-tuning of a text-to-image UNet on the views of one object (Sec. 4.1, "personalization")."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from peft import LoraConfig, get_peft_model_state_dict, set_peft_model_state_dict
from torch import Tensor, nn
from torch.nn import functional as F

from placid_kedro.checkpoints import Checkpoint
from placid_kedro.curves import Curves
from placid_kedro.device import to_device
from placid_kedro.diffusion.autoencoding import encode
from placid_kedro.diffusion.text_to_image import TextToImage
from placid_kedro.errors import ModelError, ShapeError
from placid_kedro.finite import check_finite
from placid_kedro.progress import SILENT, Progress

# The UNet's attention projections only.
TARGET_MODULES = ("to_q", "to_k", "to_v", "to_out.0")
_ADAPTER = "object"
_REMEDY = "lower lora.learning_rate"


@dataclass
class _Training:
    """One fine-tuning under way, and its way into a checkpoint and back."""

    weights: list[nn.Parameter]
    optimizer: torch.optim.Optimizer
    generator: torch.Generator
    curves: Curves
    step: int = 0

    @classmethod
    def of(cls, unet: Any, learning_rate: float, generator: torch.Generator, curves: Curves) -> _Training:
        weights = [parameter for parameter in unet.parameters() if parameter.requires_grad]
        optimizer = torch.optim.AdamW(weights, lr=learning_rate, fused=weights[0].is_cuda)
        return cls(weights, optimizer, generator, curves)

    def advance(self, loss: Tensor) -> float:
        """One step down a loss; its value."""
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        loss = loss.detach().cpu()  # the only wait for a GPU in a step
        check_finite({"loss": loss}, f"LoRA training step {self.step}", _REMEDY)
        self.curves.add(self.step, {"lora_loss": float(loss)})
        self.step += 1
        return float(loss)

    def state_dict(self) -> dict[str, Any]:
        return {
            "step": self.step,
            "weights": [weight.detach() for weight in self.weights],
            "optimizer": self.optimizer.state_dict(),
            "generator": self.generator.get_state(),
            "curves": self.curves.points,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        with torch.no_grad():
            for weight, value in zip(self.weights, state["weights"], strict=True):
                weight.copy_(value)
        self.step = state["step"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.generator.set_state(state["generator"])
        self.curves.points = state["curves"]


def fine_tune(
    model: TextToImage,
    images: Tensor,
    prompts: Sequence[str],
    *,
    rank: int,
    learning_rate: float,
    steps: int,
    batch_size: int,
    generator: torch.Generator,
    curves: Curves | None = None,
    checkpoint: Checkpoint | None = None,
    progress: Progress = SILENT,
) -> dict[str, Tensor]:
    """Train a LoRA of the UNet on views and their directional prompts with the ordinary diffusion loss.

    The model is as before when this returns.

    Args:
        model: the text-to-image model.
        images: [N, 3, H, W] in [0, 1].
        prompts: N texts, one an image.
        rank: of the update matrices.
        learning_rate: of AdamW.
        steps: of training.
        batch_size: images a step, drawn with replacement.
        generator: draws everything random, on the CPU.
        curves: gets the loss of each step, also of those before an interruption.
        checkpoint: where an interrupted training left off; it ends with the bits of an unbroken one.
        progress: shows the steps and receives the loss.

    Returns:
        The LoRA's weights on the CPU, for `lora_applied`.

    Raises:
        ShapeError: when images and prompts do not belong together.
        NumericError: when a loss or a weight is not finite.
    """
    if images.ndim != 4 or len(images) != len(prompts):
        raise ShapeError(
            f"{len(prompts)} prompts need as many images [N, 3, H, W], got {list(images.shape)}."
        )
    with torch.no_grad():
        # All at once would take more of a GPU than the training itself.
        latents = encode(model.autoencoder, images.to(model.device), at_once=batch_size)
        context = model.embed(prompts)
    with _adapter(model.unet, rank, generator):
        training = _Training.of(model.unet, learning_rate, generator, curves or Curves())
        if checkpoint is not None and (saved := checkpoint.load()) is not None:
            training.load_state_dict(saved)
        for step in progress.track(range(training.step, steps), description="LoRA on the views"):
            index = to_device(torch.randint(len(latents), (batch_size,), generator=generator), model.device)
            loss = training.advance(_diffusion_loss(model, latents[index], context[index], generator))
            progress.log_metrics(step, {"lora_loss": loss})
            if checkpoint is not None:
                checkpoint.save_when_due(training.state_dict)
        return _trained(model.unet)


def _trained(unet: Any) -> dict[str, Tensor]:
    """The adapter's weights on the CPU."""
    state = get_peft_model_state_dict(unet, adapter_name=_ADAPTER)
    trained = {name: value.detach().cpu().clone() for name, value in state.items()}
    check_finite(trained, "The trained LoRA", _REMEDY)
    return trained


@contextmanager
def lora_applied(model: TextToImage, weights: dict[str, Tensor]) -> Iterator[TextToImage]:
    """The model with a LoRA in its UNet for as long as the `with` block lasts.

    Raises:
        ModelError: when the weights are not a LoRA of this UNet, or the UNet has a LoRA already.
        NumericError: when a weight is not finite.
    """
    check_finite(weights, "The LoRA", "run the stage lora again")
    ranks = {value.shape[0] for name, value in weights.items() if "lora_A" in name}
    if len(ranks) != 1:
        raise ModelError("The LoRA's weights hold no or several ranks; run the stage lora again.")
    with _adapter(model.unet, ranks.pop(), torch.Generator()):
        expected = get_peft_model_state_dict(model.unet, adapter_name=_ADAPTER)
        if _shapes(weights) != _shapes(expected):
            raise ModelError("The LoRA's weights belong to another UNet; run the stage lora again.")
        set_peft_model_state_dict(model.unet, dict(weights), adapter_name=_ADAPTER)
        model.unet.requires_grad_(False)
        yield model


@contextmanager
def _adapter(unet: Any, rank: int, generator: torch.Generator) -> Iterator[None]:
    """A fresh trainable LoRA in the UNet; at the end modules, weights and gradient flags are as before."""
    if getattr(unet, "_hf_peft_config_loaded", False):
        raise ModelError("The UNet has a LoRA already; take it out before another one is put in.")
    flags = [parameter.requires_grad for parameter in unet.parameters()]
    config = LoraConfig(
        r=rank, lora_alpha=rank, init_lora_weights="gaussian", target_modules=list(TARGET_MODULES)
    )
    seed = int(torch.randint(2**62, (), generator=generator))
    # peft draws its start values from torch's global generator.
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        unet.add_adapter(config, adapter_name=_ADAPTER)
    for name, parameter in unet.named_parameters():
        if "lora_" in name:
            # peft makes it as narrow as the layer beside it; steps of training are too small for that.
            parameter.data = parameter.data.float()
    try:
        yield
    finally:
        unet.unload_lora()
        for parameter, flag in zip(unet.parameters(), flags, strict=True):
            parameter.requires_grad_(flag)


def _shapes(weights: dict[str, Tensor]) -> dict[str, torch.Size]:
    return {name: value.shape for name, value in weights.items()}


def _diffusion_loss(
    model: TextToImage, latents: Tensor, context: Tensor, generator: torch.Generator
) -> Tensor:
    schedule = model.schedule
    noise = to_device(torch.randn(latents.shape, generator=generator), model.device).to(latents.dtype)
    t = torch.randint(schedule.num_timesteps, (len(latents),), generator=generator)
    t = to_device(t, model.device)
    x_t = schedule.add_noise(latents, noise, t)
    output = model.unet(x_t, t, encoder_hidden_states=context, return_dict=False)[0]
    return F.mse_loss(output, schedule.target(latents, noise, t))
