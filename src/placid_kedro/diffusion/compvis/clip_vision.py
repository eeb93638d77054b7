"""OpenAI's image encoder of CLIP under the names of transformers."""

from __future__ import annotations

from torch import Tensor

from placid_kedro.diffusion.compvis.checkpoint import Checkpoint

# Theirs, transformers'; what follows (`.weight`, `.bias`) is the same.
_LAYER_NAMES = {
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
    "attn.out_proj": "self_attn.out_proj",
}


def clip_tensors(visual: Checkpoint, layers: int) -> dict[str, Tensor]:
    """The state dict of a `CLIPVisionModelWithProjection`.

    Args:
        visual: the tensors below OpenAI's `visual.`.
        layers: of the transformer.

    Raises:
        ModelError: a tensor is missing.
    """
    tensors = {
        "visual_projection.weight": visual["proj"].T.contiguous(),
        "vision_model.embeddings.class_embedding": visual["class_embedding"],
        "vision_model.embeddings.patch_embedding.weight": visual["conv1.weight"],
        "vision_model.embeddings.position_embedding.weight": visual["positional_embedding"],
    }
    # The first name is misspelt in transformers.
    for ours, theirs in (("pre_layrnorm", "ln_pre"), ("post_layernorm", "ln_post")):
        for kind in ("weight", "bias"):
            tensors[f"vision_model.{ours}.{kind}"] = visual[f"{theirs}.{kind}"]
    for layer in range(layers):
        tensors.update(_layer(visual, layer))
    return tensors


def _layer(visual: Checkpoint, layer: int) -> dict[str, Tensor]:
    ours, theirs = f"vision_model.encoder.layers.{layer}", f"transformer.resblocks.{layer}"
    tensors = {}
    for kind in ("weight", "bias"):
        for old, new in _LAYER_NAMES.items():
            tensors[f"{ours}.{new}.{kind}"] = visual[f"{theirs}.{old}.{kind}"]
        # Queries, keys and values lie in one tensor, one below the other.
        for name, rows in zip("qkv", visual[f"{theirs}.attn.in_proj_{kind}"].chunk(3), strict=True):
            tensors[f"{ours}.self_attn.{name}_proj.{kind}"] = rows.contiguous()
    return tensors
