"""Model folders in the layouts of the hub, with random weights: Stable Diffusion 1.5 and 2.1 (with either kind of
prediction), Zero-1-to-3 in both public conversions and a Latent-Plane for it. Beside it: MVDream
(`tools.mvdream_folder`) and Shap-E (`tools.shap_e_folder`).

`python -m tools.model_folders FOLDER` writes all shrunk, `--size real` with the networks' real sizes (12 GB): what
`--env paper` computes, without a network. Nothing of the package is needed but the plane.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NOISE_LEVELS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}


@dataclass(frozen=True)
class Sizes:
    """What differs between a real model and a shrunk one: arguments of the networks' classes.

    Attributes:
        unet: of `UNet2DConditionModel`, without its channels in.
        autoencoder: of `AutoencoderKL`.
        clip: of `CLIPTextConfig` or `CLIPVisionConfig`.
        vocabulary: letters stand for CLIP's words where it is None.
    """

    unet: dict[str, Any]
    autoencoder: dict[str, Any]
    clip: dict[str, Any]
    vocabulary: int | None = None


def unet_sizes(width: int, **others: Any) -> dict[str, Any]:
    """Two levels, and attention only in the outer one."""
    return {
        "sample_size": 8,
        "block_out_channels": (8, 16),
        "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
        "layers_per_block": 1,
        "norm_num_groups": 4,
        "attention_head_dim": 4,
        "cross_attention_dim": width,
        **others,
    }


AUTOENCODER_SIZES = {
    "block_out_channels": (4, 4, 8, 8),
    "layers_per_block": 1,
    "norm_num_groups": 4,
    "sample_size": 64,
}
SHRUNK_TEXT = {"hidden_size": 12, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
SHRUNK_VISION = {
    "hidden_size": 8,
    "intermediate_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "image_size": 32,
    "patch_size": 16,
    "projection_dim": 768,
}
SHRUNK = Sizes(unet_sizes(12), AUTOENCODER_SIZES, SHRUNK_TEXT)
SHRUNK_21 = Sizes(
    unet_sizes(12, attention_head_dim=(2, 4), use_linear_projection=True), AUTOENCODER_SIZES, SHRUNK_TEXT
)
# MVDream's own code has groups of 32 channels, and attention heads of one width on all levels.
SHRUNK_MVDREAM = Sizes(
    unet_sizes(
        12,
        block_out_channels=(32, 64),
        norm_num_groups=32,
        attention_head_dim=(2, 4),
        use_linear_projection=True,
    ),
    AUTOENCODER_SIZES,
    SHRUNK_TEXT,
)
SHRUNK_ZERO123 = Sizes(unet_sizes(768), AUTOENCODER_SIZES, SHRUNK_VISION)

# As their repositories' configurations have them.
_REAL_UNET = {"block_out_channels": (320, 640, 1280, 1280), "layers_per_block": 2}
_REAL_AUTOENCODER = {"block_out_channels": (128, 256, 512, 512), "layers_per_block": 2}
STABLE_DIFFUSION_15 = Sizes(
    {**_REAL_UNET, "sample_size": 64, "attention_head_dim": 8, "cross_attention_dim": 768},
    {**_REAL_AUTOENCODER, "sample_size": 512},
    {
        "hidden_size": 768,
        "intermediate_size": 3072,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "projection_dim": 768,
    },
    vocabulary=49408,
)
STABLE_DIFFUSION_21 = Sizes(
    {
        **_REAL_UNET,
        "sample_size": 64,
        "attention_head_dim": (5, 10, 20, 20),
        "cross_attention_dim": 1024,
        "use_linear_projection": True,
    },
    {**_REAL_AUTOENCODER, "sample_size": 512},
    {
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_hidden_layers": 23,
        "num_attention_heads": 16,
        "hidden_act": "gelu",
        "projection_dim": 512,
    },
    vocabulary=49408,
)
MVDREAM = Sizes(
    {**STABLE_DIFFUSION_21.unet, "sample_size": 32},
    {**_REAL_AUTOENCODER, "sample_size": 256},
    STABLE_DIFFUSION_21.clip,
    vocabulary=49408,
)
ZERO123_XL = Sizes(
    {**_REAL_UNET, "sample_size": 32, "attention_head_dim": 8, "cross_attention_dim": 768},
    {**_REAL_AUTOENCODER, "sample_size": 256},
    {
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "image_size": 224,
        "patch_size": 14,
        "projection_dim": 768,
    },
)


def make_unet(sizes: dict[str, Any], in_channels: int = 4) -> Any:
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(in_channels=in_channels, out_channels=4, **sizes)


def make_autoencoder(sizes: dict[str, Any]) -> Any:
    """An f8 AutoencoderKL with Stable Diffusion's scaling factor."""
    from diffusers import AutoencoderKL

    levels = len(sizes["block_out_channels"])
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        scaling_factor=0.18215,
        **sizes,
    )


def make_text_encoder(sizes: Sizes, vocabulary: dict[str, int]) -> Any:
    from transformers import CLIPTextModel

    return CLIPTextModel(clip_text_config(sizes.clip, sizes.vocabulary, vocabulary))


def clip_text_config(clip: dict[str, Any], words: int | None, vocabulary: dict[str, int]) -> Any:
    """Of a CLIP with these sizes for so many words, or for those of `vocabulary` where that is None."""
    from transformers import CLIPTextConfig

    return CLIPTextConfig(
        vocab_size=words or len(vocabulary),
        max_position_embeddings=77,
        bos_token_id=vocabulary["<|startoftext|>"],
        eos_token_id=vocabulary["<|endoftext|>"],
        pad_token_id=1,
        **clip,
    )


def make_image_encoder(sizes: Sizes) -> Any:
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    return CLIPVisionModelWithProjection(CLIPVisionConfig(**sizes.clip))


def write_tokenizer(folder: Path) -> dict[str, int]:
    """A CLIP tokenizer of single letters and one merge, in the files of the public checkpoints."""
    letters = "abcdefghijklmnopqrstuvwxyz,.0123456789"
    words = [*letters, *(f"{letter}</w>" for letter in letters), "be", "<|startoftext|>", "<|endoftext|>"]
    vocabulary = {word: index for index, word in enumerate(words)}
    folder.mkdir(parents=True)
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text("#version: 0.2\nb e\n")
    special = {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>"}
    settings = {**special, "pad_token": "<|endoftext|>", "model_max_length": 77}
    (folder / "special_tokens_map.json").write_text(json.dumps(special))
    (folder / "tokenizer_config.json").write_text(
        json.dumps({**settings, "tokenizer_class": "CLIPTokenizer"})
    )
    return vocabulary


def write_clip(folder: Path) -> Path:
    """A CLIP as transformers saves it, for images of 32 px."""
    import torch
    from transformers import CLIPConfig, CLIPModel

    vocabulary = write_tokenizer(folder)
    ends = {"bos_token_id": vocabulary["<|startoftext|>"], "eos_token_id": vocabulary["<|endoftext|>"]}
    config = CLIPConfig(
        text_config={**SHRUNK_TEXT, "vocab_size": len(vocabulary), **ends},
        vision_config={**SHRUNK_VISION, "projection_dim": 6},
        projection_dim=6,
    )
    with torch.random.fork_rng():
        torch.manual_seed(4)
        CLIPModel(config).save_pretrained(folder)
    return folder


def write_stable_diffusion(folder: Path, sizes: Sizes = SHRUNK, prediction_type: str = "epsilon") -> Path:
    """A model with the files of Stable Diffusion's public folders, PNDM scheduler and all."""
    import torch
    from diffusers import PNDMScheduler

    vocabulary = write_tokenizer(folder / "tokenizer")
    with torch.random.fork_rng():
        torch.manual_seed(1)
        make_text_encoder(sizes, vocabulary).save_pretrained(folder / "text_encoder")
        make_unet(sizes.unet).save_pretrained(folder / "unet")
        make_autoencoder(sizes.autoencoder).save_pretrained(folder / "vae")
    PNDMScheduler(skip_prk_steps=True, prediction_type=prediction_type, **NOISE_LEVELS).save_pretrained(
        folder / "scheduler"
    )
    index = {
        "_class_name": "StableDiffusionPipeline",
        "_diffusers_version": "0.8.0",
        "feature_extractor": [None, None],
        "requires_safety_checker": False,
        "safety_checker": [None, None],
        "scheduler": ["diffusers", "PNDMScheduler"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }
    (folder / "model_index.json").write_text(json.dumps(index))
    return folder


def write_zero123(folder: Path, layout: str = "cc_projection", sizes: Sizes = SHRUNK_ZERO123) -> Path:
    """A Zero-1-to-3 with the files, names and classes of a public conversion.

    `layout`: the component that projects image and pose, `cc_projection` (bennyguo's) or `clip_camera_projection`
    (ashawkey's).
    """
    import torch
    from diffusers import DDIMScheduler
    from safetensors.torch import save_file

    width = sizes.clip["projection_dim"]
    projection = folder / layout
    projection.mkdir(parents=True)
    with torch.random.fork_rng():
        torch.manual_seed(2)
        make_unet(sizes.unet, in_channels=8).save_pretrained(folder / "unet")
        make_autoencoder(sizes.autoencoder).save_pretrained(folder / "vae")
        make_image_encoder(sizes).save_pretrained(folder / "image_encoder")
        linear = torch.nn.Linear(width + 4, width)
    if layout == "cc_projection":
        prefix, entry = "projection", ["pipeline_zero1to3", "CCProjection"]
        config = {"_class_name": "CCProjection", "_diffusers_version": "0.19.0.dev0"}
    else:
        prefix, entry = "proj", ["zero123", "CLIPCameraProjection"]
        config = {"_class_name": "CLIPCameraProjection", "additional_embeddings": 4, "embedding_dim": width}
    (projection / "config.json").write_text(json.dumps(config))
    save_file(
        {f"{prefix}.{name}": value for name, value in linear.state_dict().items()},
        projection / "diffusion_pytorch_model.safetensors",
        metadata={"format": "pt"},
    )
    DDIMScheduler(set_alpha_to_one=False, **NOISE_LEVELS).save_pretrained(folder / "scheduler")
    index = {
        "_class_name": "Zero1to3StableDiffusionPipeline",
        layout: entry,
        "feature_extractor": ["transformers", "CLIPFeatureExtractor"],
        "image_encoder": ["transformers", "CLIPVisionModelWithProjection"],
        "requires_safety_checker": False,
        "safety_checker": [None, None],
        "scheduler": ["diffusers", "DDIMScheduler"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }
    (folder / "model_index.json").write_text(json.dumps(index))
    return folder


def make_plane(sizes: Sizes, density: float = 21.0) -> Any:
    """A Latent-Plane of the authors' variant for a Zero-1-to-3 of these sizes.

    `density`: about that of its untrained field, everywhere in the cube.
    """
    from placid_kedro.latent_plane import LatentPlane, preset

    widths, authors = sizes.unet["block_out_channels"], preset("official")
    plane = LatentPlane(
        widths[1],
        4 * widths[0],
        token_channels=32,
        num_octaves=10,
        num_heads=8,
        density_head_dim=8,
        feature_head_dim=32,
        share_layers=True,
        combination=authors.combination,
        missed_rays=authors.missed_rays,
    )
    plane.sigma_head.bias.data.fill_(density)
    plane.sigma_head.weight.data.mul_(10.0)
    return plane


def write_plane(folder: Path, sizes: Sizes = SHRUNK_ZERO123, density: float = 21.0) -> Path:
    """The folder of `make_plane`."""
    import torch

    from placid_kedro.latent_plane.training.export import save_latent_plane

    with torch.random.fork_rng():
        torch.manual_seed(3)
        save_latent_plane(folder, make_plane(sizes, density))
    return folder


def main() -> None:
    from tools.mvdream_folder import write_mvdream
    from tools.shap_e_folder import SHAP_E, SHRUNK_SHAP_E, write_shap_e

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--size", choices=("shrunk", "real"), default="shrunk")
    given = parser.parse_args()
    is_real = given.size == "real"
    write_stable_diffusion(given.folder / "text_to_image", STABLE_DIFFUSION_21 if is_real else SHRUNK_21)
    write_mvdream(given.folder / "mvdream", MVDREAM if is_real else SHRUNK_MVDREAM)
    write_zero123(given.folder / "zero123", sizes=ZERO123_XL if is_real else SHRUNK_ZERO123)
    write_plane(given.folder / "latent_plane", ZERO123_XL if is_real else SHRUNK_ZERO123)
    write_shap_e(given.folder / "shap_e", SHAP_E if is_real else SHRUNK_SHAP_E)
    names = ("text_to_image", "zero123", "latent_plane", "mvdream", "shap_e")
    print("--params " + ",".join(f"models.{name}={(given.folder / name).absolute()}" for name in names))


if __name__ == "__main__":
    main()
