"""The LoRA copy of a UNet that Variational Score Distillation trains along with the scene."""

from __future__ import annotations

import copy
import warnings
from dataclasses import dataclass
from typing import Any

import torch
from diffusers.models.embeddings import TimestepEmbedding
from peft import LoraConfig
from torch import Tensor, nn

from placid_kedro.device import to_device
from placid_kedro.distillation.config import LoraSettings
from placid_kedro.distillation.interface import Conditioning, Step, expand, noise_like
from placid_kedro.distillation.predictor import NoisePredictor
from placid_kedro.errors import ModelError

CAMERA_NUMBERS = 16
_ADAPTER = "distillation"


@dataclass(frozen=True, eq=False)
class LoraCopy:
    """predictor: the UNet with an adapter of its own; optimizer: of the adapter and the camera embedding.

    The copy shares the original's weights (no second copy in memory) and has its own modules and gradient
    flags, so the original stays untouched. The camera is embedded as class label (ProlificDreamer); a view
    without camera is an all-zero one, as a dropped camera is.
    """

    settings: LoraSettings
    predictor: NoisePredictor
    optimizer: torch.optim.Optimizer

    @classmethod
    def create(cls, original: NoisePredictor, settings: LoraSettings, generator: torch.Generator) -> LoraCopy:
        """A copy that at first predicts what the original does; the generator seeds the adapter.

        Raises ModelError when the network is no UNet2DConditionModel or has class labels already.
        """
        network = original.network
        if not isinstance(network, nn.Module) or not hasattr(network, "time_embedding"):
            raise ModelError("VSD trains a LoRA copy of a UNet2DConditionModel; this network is none.")
        if getattr(network, "class_embedding", None) is not None:
            raise ModelError("VSD embeds the camera as class label, but this UNet already has class labels.")
        unet: Any = _sharing_copy(network)
        seed = int(torch.randint(2**62, (1,), generator=generator, device=generator.device))
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            _add_adapter(unet, settings.rank)
            width = unet.time_embedding.linear_2.out_features
            unet.class_embedding = TimestepEmbedding(CAMERA_NUMBERS, width)
        # Starting at zero, the embedding does not disturb the pretrained prediction.
        nn.init.zeros_(unet.class_embedding.linear_2.weight)
        nn.init.zeros_(unet.class_embedding.linear_2.bias)
        unet.class_embedding.to(next(network.parameters()).device)
        trained = [parameter for parameter in unet.parameters() if parameter.requires_grad]
        optimizer = torch.optim.AdamW(trained, lr=settings.learning_rate)
        return cls(settings, NoisePredictor(unet, original.schedule), optimizer)

    @property
    def unet(self) -> nn.Module:
        """The network with its adapter."""
        assert isinstance(self.predictor.network, nn.Module)
        return self.predictor.network

    @torch.no_grad()
    def predict(self, step: Step, x_t: Tensor) -> Tensor:
        """e_lora [B,C,h,w]: the noise in x_t [B,C,h,w] with the prompt and the camera (guidance scale 1)."""
        embedding, extra = _inputs(step.conditioning, len(x_t), _camera(step.conditioning, x_t))
        return self.predictor(x_t, step.t, [embedding], extra)[0]

    def train_step(self, step: Step) -> Tensor:
        """One step of the diffusion loss on the latents at fresh timesteps and noise; returns the loss, a scalar on
        the device."""
        latents, schedule, generator = step.latents.detach(), step.schedule, step.generator
        batch, device = len(latents), latents.device
        t = torch.randint(schedule.num_timesteps, (batch,), generator=generator, device=generator.device)
        t = to_device(t, device)
        e = noise_like(latents, generator)
        kept = to_device(torch.rand(batch, generator=generator, device=generator.device), device)
        kept = kept >= self.settings.camera_dropout
        camera = _camera(step.conditioning, latents) * kept[:, None]
        embedding, extra = _inputs(step.conditioning, batch, camera)
        with torch.enable_grad():
            x_t = schedule.add_noise(latents, e, t)
            output = self.predictor.output(x_t, t, embedding, extra)
            loss = nn.functional.mse_loss(output.float(), schedule.target(latents, e, t).float())
            self.optimizer.zero_grad()
            loss.backward()
        self.optimizer.step()
        return loss.detach()

    def state_dict(self) -> dict[str, Tensor]:
        """What was trained and the optimizer's moments, as flat tensors; for `load_state_dict`."""
        trained = {f"weights.{name}": parameter.detach() for name, parameter in self._trained().items()}
        moments = {
            f"moments.{index}.{key}": value
            for index, values in self.optimizer.state_dict()["state"].items()
            for key, value in values.items()
        }
        return {**trained, **moments}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Go on from a `state_dict`. Raises ModelError when it belongs to another network or rank."""
        trained = self._trained()
        weights = {key[8:]: value for key, value in state.items() if key.startswith("weights.")}
        if {k: v.shape for k, v in weights.items()} != {k: v.shape for k, v in trained.items()}:
            raise ModelError("this state of a LoRA copy belongs to another UNet or another rank.")
        with torch.no_grad():
            for name, value in weights.items():
                trained[name].copy_(value)
        moments: dict[int, dict[str, Tensor]] = {}
        for key, value in state.items():
            if key.startswith("moments."):
                _, index, name = key.split(".", 2)
                moments.setdefault(int(index), {})[name] = value.clone()
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": moments, "param_groups": groups})

    def _trained(self) -> dict[str, nn.Parameter]:
        return {name: p for name, p in self.unet.named_parameters() if p.requires_grad}


def _sharing_copy(network: nn.Module) -> nn.Module:
    """A deep copy of the modules whose parameters and buffers are frozen views of the original's."""
    memo: dict[int, object] = {id(p): nn.Parameter(p.data, requires_grad=False) for p in network.parameters()}
    memo.update({id(buffer): buffer for buffer in network.buffers()})
    return copy.deepcopy(network, memo)


def _add_adapter(unet: Any, rank: int) -> None:
    """Add a LoRA to the attention projections, beside the adapters already active; only it is trained."""
    already = unet.active_adapters() if getattr(unet, "_hf_peft_config_loaded", False) else []
    config = LoraConfig(r=rank, lora_alpha=rank, target_modules=["to_q", "to_k", "to_v", "to_out.0"])
    with warnings.catch_warnings():
        # A second adapter is what is wanted here.
        warnings.filterwarnings("ignore", message="Already found a `peft_config`")
        unet.add_adapter(config, adapter_name=_ADAPTER)
    if already:
        unet.set_adapters([*already, _ADAPTER])
    for name, parameter in unet.named_parameters():
        parameter.requires_grad_(f".{_ADAPTER}." in name)
        if parameter.requires_grad:
            parameter.data = parameter.data.float()  # peft makes it as narrow as the layer beside it


def _camera(conditioning: Conditioning, latents: Tensor) -> Tensor:
    """The camera [B,16], zeros where the conditioning has none."""
    if conditioning.camera is None:
        return torch.zeros(len(latents), CAMERA_NUMBERS, device=latents.device)
    return to_device(conditioning.camera, latents.device).float()


def _inputs(conditioning: Conditioning, batch: int, camera: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    return expand(conditioning.positive, batch), {**conditioning.extra, "class_labels": camera}
