"""A folder of Shap-E as its repository on the hub has it, with random weights, shrunk or in the real sizes."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.model_folders import SHRUNK_TEXT, clip_text_config, write_tokenizer


@dataclass(frozen=True)
class ShapESizes:
    """Arguments of the networks' classes.

    Attributes:
        prior: of `PriorTransformer`.
        renderer: of `ShapERenderer`.
        clip: of `CLIPTextConfig`.
        vocabulary: letters stand for CLIP's words where it is None.
    """

    prior: dict[str, Any]
    renderer: dict[str, Any]
    clip: dict[str, Any]
    vocabulary: int | None = None


# What makes a `PriorTransformer` Shap-E's.
_SHAP_ES = {
    "additional_embeddings": 0,
    "time_embed_act_fn": "gelu",
    "norm_in_type": "layer",
    "encoder_hid_proj_type": None,
    "added_emb_type": None,
}
SHRUNK_SHAP_E = ShapESizes(
    {
        **_SHAP_ES,
        "num_attention_heads": 2,
        "attention_head_dim": 8,
        "num_layers": 1,
        "embedding_dim": 16,
        "num_embeddings": 32,
        "embedding_proj_dim": 6,
        "time_embed_dim": 64,
        "clip_embed_dim": 32,
    },
    {"param_shapes": ((8, 93), (8, 8), (8, 8), (8, 8)), "d_latent": 16, "d_hidden": 8},
    {**SHRUNK_TEXT, "projection_dim": 6},
)
SHAP_E = ShapESizes(
    {
        **_SHAP_ES,
        "num_attention_heads": 16,
        "attention_head_dim": 64,
        "num_layers": 24,
        "embedding_dim": 1024,
        "num_embeddings": 1024,
        "embedding_proj_dim": 768,
        "time_embed_dim": 4096,
        "clip_embed_dim": 2048,
    },
    {},
    {
        "hidden_size": 768,
        "intermediate_size": 3072,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "projection_dim": 768,
    },
    vocabulary=49408,
)


def make_prior(sizes: ShapESizes) -> Any:
    from diffusers import PriorTransformer

    return PriorTransformer(**sizes.prior)


def make_renderer(sizes: ShapESizes) -> Any:
    from diffusers.pipelines.shap_e import ShapERenderer

    return ShapERenderer(**sizes.renderer)


def make_projecting_text_encoder(sizes: ShapESizes, vocabulary: dict[str, int]) -> Any:
    from transformers import CLIPTextModelWithProjection

    return CLIPTextModelWithProjection(clip_text_config(sizes.clip, sizes.vocabulary, vocabulary))


def write_shap_e(folder: Path, sizes: ShapESizes = SHRUNK_SHAP_E, seed: int = 9) -> Path:
    """A Shap-E with the files, names and classes of openai/shap-e: in half precision, its renderer there twice and as a
    pickle."""
    import torch
    from diffusers import HeunDiscreteScheduler

    vocabulary = write_tokenizer(folder / "tokenizer")
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        text_encoder = make_projecting_text_encoder(sizes, vocabulary)
        text_encoder.half().save_pretrained(folder / "text_encoder", variant="fp16")
        make_prior(sizes).half().save_pretrained(folder / "prior", variant="fp16")
        renderer = make_renderer(sizes)
    for name in ("renderer", "shap_e_renderer"):
        renderer.save_pretrained(folder / name, safe_serialization=False)
    HeunDiscreteScheduler(
        beta_schedule="exp",
        num_train_timesteps=1024,
        prediction_type="sample",
        use_karras_sigmas=True,
        clip_sample=True,
    ).save_pretrained(folder / "scheduler")
    index = {
        "_class_name": "ShapEPipeline",
        "_diffusers_version": "0.19.0.dev0",
        "prior": ["diffusers", "PriorTransformer"],
        "renderer": ["shap_e", "ShapERenderer"],
        "scheduler": ["diffusers", "HeunDiscreteScheduler"],
        "shap_e_renderer": ["shap_e", "ShapERenderer"],
        "text_encoder": ["transformers", "CLIPTextModelWithProjection"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
    }
    (folder / "model_index.json").write_text(json.dumps(index))
    return folder
