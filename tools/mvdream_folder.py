"""A folder of MVDream in the layout of its port to diffusers, with random weights."""

import json
from pathlib import Path
from typing import Any

from tools.compvis_names import unet_tensors
from tools.model_folders import (
    NOISE_LEVELS,
    SHRUNK_MVDREAM,
    Sizes,
    make_autoencoder,
    make_text_encoder,
    make_unet,
    write_tokenizer,
)


def make_mvdream_unet(sizes: dict[str, Any]) -> Any:
    """What MVDream's UNet is but for its attention, with the cameras' layers under diffusers' names."""
    return make_unet({**sizes, "class_embed_type": "projection", "projection_class_embeddings_input_dim": 16})


def write_mvdream(folder: Path, sizes: Sizes = SHRUNK_MVDREAM) -> Path:
    """An MVDream with the files, names and classes of its port to diffusers."""
    import torch
    from diffusers import DDIMScheduler

    vocabulary = write_tokenizer(folder / "tokenizer")
    with torch.random.fork_rng():
        torch.manual_seed(5)
        make_text_encoder(sizes, vocabulary).save_pretrained(folder / "text_encoder")
        unet = make_mvdream_unet(sizes.unet)
        make_autoencoder(sizes.autoencoder).save_pretrained(folder / "vae")
    write_mvdream_unet(folder / "unet", unet)
    DDIMScheduler(clip_sample=False, set_alpha_to_one=False, **NOISE_LEVELS).save_pretrained(
        folder / "scheduler"
    )
    index = {
        "_class_name": "MVDreamPipeline",
        "_diffusers_version": "0.26.3",
        "feature_extractor": [None, None],
        "image_encoder": [None, None],
        "requires_safety_checker": False,
        "scheduler": ["diffusers", "DDIMScheduler"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "unet": ["mv_unet", "MultiViewUNetModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }
    (folder / "model_index.json").write_text(json.dumps(index))
    return folder


def write_mvdream_unet(folder: Path, unet: Any) -> None:
    """Under the names of MVDream's own code, with its own configuration."""
    from safetensors.torch import save_file

    widths, heads = unet.config.block_out_channels, unet.config.attention_head_dim
    config = {
        "_class_name": "MultiViewUNetModel",
        "_diffusers_version": "0.26.3",
        "image_size": unet.config.sample_size,
        "in_channels": 4,
        "out_channels": 4,
        "model_channels": widths[0],
        "attention_resolutions": [
            2**level for level, kind in enumerate(unet.config.down_block_types) if "CrossAttn" in kind
        ],
        "num_res_blocks": unet.config.layers_per_block,
        "channel_mult": [width // widths[0] for width in widths],
        "num_head_channels": widths[0] // heads[0],
        "transformer_depth": 1,
        "context_dim": unet.config.cross_attention_dim,
        "camera_dim": 16,
        "use_checkpoint": True,
    }
    tensors = unet_tensors(unet, unet.config.layers_per_block, len(widths))
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config))
    save_file(
        {name: tensor.contiguous() for name, tensor in tensors.items()},
        folder / "diffusion_pytorch_model.safetensors",
        metadata={"format": "pt"},
    )
