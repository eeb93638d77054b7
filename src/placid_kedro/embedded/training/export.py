"""Trained networks to model folders in the diffusers layout, as the rest of the project loads them."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import DDIMScheduler
from torch import nn

from placid_kedro.diffusion.loading import write_index
from placid_kedro.diffusion.text_encoders import MiniLMTextEncoder


def embedded_scheduler() -> Any:
    """Noise levels of the embedded models: Stable Diffusion's betas, rescaled to end in pure noise.

    With latents of 16 x 16 the unscaled schedule would leave the object's colour readable at its last step, which
    sampling then could not start from (Lin et al. 2023, "Common Diffusion Noise Schedules ... are Flawed").
    """
    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
        clip_sample=False,
        set_alpha_to_one=True,
        steps_offset=0,
    )


def save_text_to_image(folder: Path, unet: Any, autoencoder: Any) -> None:
    """Write the embedded text-to-image model."""
    folder.mkdir(parents=True, exist_ok=True)
    _save_half(unet, folder / "unet")
    _save_half(autoencoder, folder / "vae")
    embedded_scheduler().save_pretrained(folder / "scheduler")
    MiniLMTextEncoder().save_pretrained(folder / "text_encoder")
    components = {
        "scheduler": ("diffusers", "DDIMScheduler"),
        "text_encoder": ("placid_kedro", "MiniLMTextEncoder"),
        "unet": ("diffusers", "UNet2DConditionModel"),
        "vae": ("placid_kedro", "PatchAutoencoder"),
    }
    write_index(folder, "TextToImage", components)


def save_novel_view(
    folder: Path, unet: Any, reference_tokens: Any, lifted_reference: Any, autoencoder: Any
) -> None:
    """Write the embedded novel-view model."""
    folder.mkdir(parents=True, exist_ok=True)
    _save_half(unet, folder / "unet")
    _save_half(reference_tokens, folder / "reference_tokens")
    _save_half(lifted_reference, folder / "lifted_reference")
    _save_half(autoencoder, folder / "vae")
    embedded_scheduler().save_pretrained(folder / "scheduler")
    components = {
        "lifted_reference": ("placid_kedro", "LiftedReference"),
        "reference_tokens": ("placid_kedro", "ReferenceTokens"),
        "scheduler": ("diffusers", "DDIMScheduler"),
        "unet": ("diffusers", "UNet2DConditionModel"),
        "vae": ("placid_kedro", "PatchAutoencoder"),
    }
    write_index(folder, "NovelView", components)


def save_latent_plane(folder: Path, plane: Any) -> None:
    """Write a Latent-Plane."""
    folder.mkdir(parents=True, exist_ok=True)
    _save_half(plane, folder / "latent_plane")
    write_index(folder, "LatentPlane", {"latent_plane": ("placid_kedro.latent_plane", "LatentPlane")})


def save_scorer(folder: Path, scorer: Any, names: Sequence[str]) -> None:
    """Write the scorer and the names it was trained on."""
    folder.mkdir(parents=True, exist_ok=True)
    _save_half(scorer, folder / "scorer")
    (folder / "names.txt").write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
    write_index(folder, "ImageScorer", {"scorer": ("placid_kedro.evaluation", "ImageScorer")})


@dataclass(frozen=True, eq=False)
class TextToImageFolder:
    """A text-to-image model on its way into a folder (a `FolderWriter`)."""

    unet: Any
    autoencoder: Any

    def save_pretrained(self, save_directory: Path) -> None:
        """See `save_text_to_image`."""
        save_text_to_image(save_directory, self.unet, self.autoencoder)


@dataclass(frozen=True, eq=False)
class NovelViewFolder:
    """A novel-view model on its way into a folder."""

    unet: Any
    reference_tokens: Any
    lifted_reference: Any
    autoencoder: Any

    def save_pretrained(self, save_directory: Path) -> None:
        """See `save_novel_view`."""
        save_novel_view(
            save_directory, self.unet, self.reference_tokens, self.lifted_reference, self.autoencoder
        )


@dataclass(frozen=True, eq=False)
class LatentPlaneFolder:
    """A Latent-Plane on its way into a folder."""

    plane: Any

    def save_pretrained(self, save_directory: Path) -> None:
        """See `save_latent_plane`."""
        save_latent_plane(save_directory, self.plane)


@dataclass(frozen=True, eq=False)
class ScorerFolder:
    """A scorer and its names on their way into a folder."""

    scorer: Any
    names: Sequence[str]

    def save_pretrained(self, save_directory: Path) -> None:
        """See `save_scorer`."""
        save_scorer(save_directory, self.scorer, self.names)


def _save_half(network: Any, folder: Path) -> None:
    """Half the bytes; loading turns the weights back into float32. The network itself keeps its precision."""
    half = copy.deepcopy(network)
    nn.Module.to(half, torch.float16)  # diffusers' own `to` warns of an empty list of modules
    half.save_pretrained(folder, safe_serialization=True)
    settings = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    # Where a part was once loaded from is nobody's business.
    settings.pop("_name_or_path", None)
    (folder / "config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
