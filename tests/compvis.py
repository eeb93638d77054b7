"""Zero-1-to-3's checkpoint as CompVis's training code writes it, from networks under diffusers' names.

The names are those of latent-diffusion's modules (`model.py`; its UNet's: `tools.compvis_names`) and of OpenAI's CLIP.
"""

import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

_VAE_ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}


class ModelCheckpoint:
    """Stands for a class of the training's libraries, which a checkpoint names."""

    def __init__(self) -> None:
        self.best = 0.5


# Where pickle looks for it; whoever reads the file does not have that module.
ModelCheckpoint.__module__ = "pytorch_lightning.callbacks.model_checkpoint"


def vae_tensors(vae: nn.Module, levels: int) -> dict[str, Tensor]:
    """The tensors of an `AutoencoderKL` below `first_stage_model.`; attention is a convolution of one pixel there."""
    tensors = {}
    for name, tensor in vae.state_dict().items():
        new = name.replace("conv_shortcut", "nin_shortcut").replace("conv_norm_out", "norm_out")
        new = new.replace("mid_block.attentions.0", "mid.attn_1")
        new = re.sub(r"mid_block\.resnets\.(\d)", lambda found: f"mid.block_{int(found[1]) + 1}", new)
        new = re.sub(r"down_blocks\.(\d+)\.resnets", r"down.\1.block", new)
        new = re.sub(r"down_blocks\.(\d+)\.downsamplers\.0", r"down.\1.downsample", new)
        new = re.sub(r"up_blocks\.(\d+)\.resnets", lambda f: f"up.{levels - 1 - int(f[1])}.block", new)
        new = re.sub(
            r"up_blocks\.(\d+)\.upsamplers\.0", lambda f: f"up.{levels - 1 - int(f[1])}.upsample", new
        )
        if "attn_1" in new:
            for ours, theirs in _VAE_ATTENTION.items():
                new = new.replace(f"attn_1.{ours}.", f"attn_1.{theirs}.")
            tensor = tensor[..., None, None] if tensor.dim() == 2 else tensor
        tensors[new] = tensor
    return tensors


class OpenAIVision(nn.Module):
    """CLIP's image encoder as OpenAI wrote it, with its parameters' names."""

    def __init__(self, width: int, layers: int, patch: int, size: int, embedding: int) -> None:
        super().__init__()
        scale = width**-0.5
        self.conv1 = nn.Conv2d(3, width, patch, stride=patch, bias=False)
        self.class_embedding = nn.Parameter(scale * torch.randn(width))
        self.positional_embedding = nn.Parameter(scale * torch.randn((size // patch) ** 2 + 1, width))
        self.ln_pre, self.ln_post = nn.LayerNorm(width), nn.LayerNorm(width)
        self.transformer = nn.Module()
        self.transformer.resblocks = nn.ModuleList(_block(width) for _ in range(layers))
        self.proj = nn.Parameter(scale * torch.randn(width, embedding))

    def forward(self, pixels: Tensor) -> Tensor:
        patches = self.conv1(pixels).flatten(2).transpose(1, 2)
        first = self.class_embedding.expand(len(patches), 1, -1)
        x = self.ln_pre(torch.cat([first, patches], dim=1) + self.positional_embedding)
        for block in self.transformer.resblocks:
            inside = block.ln_1(x)
            x = x + block.attn(inside, inside, inside, need_weights=False)[0]
            hidden = block.mlp.c_fc(block.ln_2(x))
            x = x + block.mlp.c_proj(hidden * torch.sigmoid(1.702 * hidden))
        return self.ln_post(x[:, 0]) @ self.proj


def _block(width: int) -> nn.Module:
    block = nn.Module()
    block.ln_1, block.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
    block.attn = nn.MultiheadAttention(width, width // 64, batch_first=True)
    block.mlp = nn.Module()
    block.mlp.c_fc, block.mlp.c_proj = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
    nn.init.normal_(block.attn.in_proj_bias)
    nn.init.normal_(block.attn.out_proj.bias)
    return block


def write_checkpoint(path: Path, tensors: dict[str, Tensor], **others: Any) -> None:
    """A training's checkpoint: tensors, an optimiser's state, and objects of its libraries."""
    import sys
    from types import ModuleType

    module = ModuleType(ModelCheckpoint.__module__)
    module.ModelCheckpoint = ModelCheckpoint  # type: ignore[attr-defined]
    names = ["pytorch_lightning", "pytorch_lightning.callbacks", ModelCheckpoint.__module__]
    sys.modules.update(dict.fromkeys(names, module))
    try:
        content = {
            "epoch": 3,
            "callbacks": {ModelCheckpoint: {"best": ModelCheckpoint()}},
            "optimizer_states": [{"state": {0: {"exp_avg": torch.zeros(3)}}}],
            "state_dict": tensors,
        }
        torch.save({**content, **others}, path)
    finally:
        for name in names:
            del sys.modules[name]
