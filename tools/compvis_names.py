"""The names of latent-diffusion's UNet (`openaimodel.py`), written out."""

import re

from torch import Tensor, nn

_RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
_UNET_ENDS = {
    "conv_in": "input_blocks.0.0",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "class_embedding.linear_1": "camera_embed.0",  # MVDream's
    "class_embedding.linear_2": "camera_embed.2",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
    "mid_block.resnets.0": "middle_block.0",
    "mid_block.attentions.0": "middle_block.1",
    "mid_block.resnets.1": "middle_block.2",
}


def unet_tensors(unet: nn.Module, layers: int, levels: int) -> dict[str, Tensor]:
    """The tensors of a `UNet2DConditionModel` below `model.diffusion_model.`."""

    def renamed(name: str) -> str:
        for ours, theirs in _UNET_ENDS.items():
            if name.startswith(ours + "."):
                return theirs + _resnet(name.removeprefix(ours))
        block = re.fullmatch(r"(down|up)_blocks\.(\d+)\.(\w+)\.(\d+)(\..*)", name)
        assert block, name
        side, level, kind, index, rest = block[1], int(block[2]), block[3], int(block[4]), block[5]
        if side == "down":
            start = 1 + level * (layers + 1)
            if kind == "downsamplers":
                return f"input_blocks.{start + layers}.0.op{rest.removeprefix('.conv')}"
            return f"input_blocks.{start + index}.{['resnets', 'attentions'].index(kind)}{_resnet(rest)}"
        start = level * (layers + 1)
        if kind == "upsamplers":
            attends = any(other.startswith(f"up_blocks.{level}.attentions") for other in unet.state_dict())
            return f"output_blocks.{start + layers}.{2 if attends else 1}{rest}"
        return f"output_blocks.{start + index}.{['resnets', 'attentions'].index(kind)}{_resnet(rest)}"

    assert levels > 1
    return {renamed(name): tensor for name, tensor in unet.state_dict().items()}


def _resnet(rest: str) -> str:
    for ours, theirs in _RESNET.items():
        if rest.startswith(f".{ours}."):
            return f".{theirs}" + rest.removeprefix(f".{ours}")
    return rest
