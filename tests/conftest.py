"""The smallest models that run every line, in the folders that real ones come in."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest


@dataclass(frozen=True)
class ModelFolders:
    """Folders of the embedded kinds of model, with random weights."""

    text_to_image: Path
    zero123: Path
    latent_plane: Path
    scorer: Path

    def parameters(self) -> dict[str, str]:
        """As the group `models` of the parameters."""
        return {name: str(path) for name, path in vars(self).items()}


def tiny_unet(in_channels: int = 4, cross_attention_dim: int = 384, sample_size: int = 8) -> Any:
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(
        sample_size=sample_size,
        in_channels=in_channels,
        out_channels=4,
        block_out_channels=(8, 16),
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        layers_per_block=1,
        norm_num_groups=4,
        attention_head_dim=4,
        cross_attention_dim=cross_attention_dim,
    )


@pytest.fixture(scope="session")
def make_unet() -> Callable[..., Any]:
    return tiny_unet


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> ModelFolders:
    """The embedded kinds of model at 64 px, saved as pretraining saves them."""
    import torch

    from placid_kedro.embedded.networks.lifted_reference import LiftedReference
    from placid_kedro.embedded.networks.patch_autoencoder import PatchAutoencoder
    from placid_kedro.embedded.networks.reference_tokens import ReferenceTokens
    from placid_kedro.embedded.networks.scorer import ImageScorer
    from placid_kedro.embedded.training import export
    from placid_kedro.latent_plane import Extensions, LatentPlane
    from placid_kedro.latent_plane.training.export import save_latent_plane

    root = tmp_path_factory.mktemp("models")
    folders = ModelFolders(*(root / name for name in ("text_to_image", "zero123", "latent_plane", "scorer")))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        autoencoder = PatchAutoencoder(latent_channels=4, hidden_channels=8)
        autoencoder.fit_components(plain_patches())
        tokens = ReferenceTokens(latent_channels=4, latent_size=8, width=12, patch_size=4)
        lifted = LiftedReference(
            latent_channels=4,
            latent_size=8,
            widths=(8, 8, 8),
            groups=4,
            volume_channels=4,
            planes=4,
            samples_per_ray=5,
        )
        sizes = {"token_channels": 8, "num_octaves": 2, "num_heads": 2, "samples_per_ray": 4}
        extensions = Extensions(density_refinement=2, silhouette_factor=8)
        plane = LatentPlane(16, 32, extensions=extensions, **sizes)
        # The field lies round the paper's iso level of 15 and crosses it.
        plane.sigma_head.bias.data.fill_(21.0)
        plane.sigma_head.weight.data.mul_(10.0)
        scorer = ImageScorer(image_size=32, channels=(8, 16), embedding=8)
        export.save_text_to_image(folders.text_to_image, tiny_unet(), autoencoder)
        unet = tiny_unet(in_channels=8 + lifted.map_channels, cross_attention_dim=12)
        export.save_novel_view(folders.zero123, unet, tokens, lifted, autoencoder)
        save_latent_plane(folders.latent_plane, plane)
        export.save_scorer(folders.scorer, scorer, ["teddy bear", "cactus", "upright piano", "desk lamp"])
    return folders


def plain_patches() -> Any:
    """[192, 192] second moment of 8 x 8 patches of three plain colours and a gradient."""
    import torch

    components = torch.zeros(4, 3, 8, 8, dtype=torch.float64)
    for channel in range(3):
        components[channel, channel] = 1
    components[3] = torch.linspace(-1, 1, 8)
    directions = torch.nn.functional.normalize(components.flatten(1), dim=1)
    energies = torch.tensor([40.0, 39.0, 38.0, 10.0], dtype=torch.float64)
    return directions.T @ torch.diag(energies) @ directions + 1e-3 * torch.eye(192)


@pytest.fixture(scope="session")
def stable_diffusion_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model with the files of Stable Diffusion's public folders, PNDM scheduler and all."""
    import torch
    from diffusers import PNDMScheduler
    from transformers import CLIPTextConfig, CLIPTextModel

    folder = tmp_path_factory.mktemp("stable-diffusion")
    vocabulary = write_tokenizer(folder / "tokenizer")
    config = CLIPTextConfig(
        vocab_size=len(vocabulary),
        hidden_size=12,
        intermediate_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=77,
        bos_token_id=vocabulary["<|startoftext|>"],
        eos_token_id=vocabulary["<|endoftext|>"],
        pad_token_id=1,
    )
    with torch.random.fork_rng():
        torch.manual_seed(1)
        CLIPTextModel(config).save_pretrained(folder / "text_encoder")
        tiny_unet(cross_attention_dim=12).save_pretrained(folder / "unet")
        tiny_autoencoder().save_pretrained(folder / "vae")
    PNDMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        skip_prk_steps=True,
        steps_offset=1,
    ).save_pretrained(folder / "scheduler")
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


def tiny_autoencoder() -> Any:
    """An f8 AutoencoderKL with Stable Diffusion's scaling factor."""
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        block_out_channels=(4, 4, 8, 8),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=1,
        norm_num_groups=4,
        sample_size=64,
        scaling_factor=0.18215,
    )


def write_tokenizer(folder: Path) -> dict[str, int]:
    """A CLIP tokenizer of single letters and one merge, in the files of the public checkpoints."""
    letters = "abcdefghijklmnopqrstuvwxyz,.0123456789"
    words = [*letters, *(f"{letter}</w>" for letter in letters), "be", "<|startoftext|>", "<|endoftext|>"]
    vocabulary = {word: index for index, word in enumerate(words)}
    folder.mkdir()
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text("#version: 0.2\nb e\n")
    special = {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>"}
    settings = {**special, "pad_token": "<|endoftext|>", "model_max_length": 77}
    (folder / "special_tokens_map.json").write_text(json.dumps(special))
    (folder / "tokenizer_config.json").write_text(
        json.dumps({**settings, "tokenizer_class": "CLIPTokenizer"})
    )
    return vocabulary


@pytest.fixture(scope="session", params=["cc_projection", "clip_camera_projection"])
def zero123_folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Zero-1-to-3 with the files, names and classes of each of its two public conversions."""
    import torch
    from diffusers import DDIMScheduler
    from safetensors.torch import save_file
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    folder = tmp_path_factory.mktemp("zero123")
    width = 768
    vision = CLIPVisionConfig(
        hidden_size=8,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        image_size=32,
        patch_size=16,
        projection_dim=width,
    )
    projection = folder / request.param
    projection.mkdir()
    with torch.random.fork_rng():
        torch.manual_seed(2)
        tiny_unet(in_channels=8, cross_attention_dim=width).save_pretrained(folder / "unet")
        tiny_autoencoder().save_pretrained(folder / "vae")
        CLIPVisionModelWithProjection(vision).save_pretrained(folder / "image_encoder")
        linear = torch.nn.Linear(width + 4, width)
    if request.param == "cc_projection":
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
    DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        set_alpha_to_one=False,
        steps_offset=1,
    ).save_pretrained(folder / "scheduler")
    index = {
        "_class_name": "Zero1to3StableDiffusionPipeline",
        request.param: entry,
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
