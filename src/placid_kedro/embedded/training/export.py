"""Trained networks to model folders in the diffusers layout, as the rest of the project loads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diffusers import DDIMScheduler

from placid_kedro.diffusion.saving import save_half, write_index
from placid_kedro.embedded.networks.scorer import NAMES
from placid_kedro.embedded.networks.text_encoder import MiniLMTextEncoder


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


def save_text_to_image(folder: Path, unet: Any, autoencoder: Any, names: Sequence[str]) -> None:
    """Write the embedded text-to-image model and the names that it was trained on."""
    folder.mkdir(parents=True, exist_ok=True)
    _write_names(folder, names)
    save_half(unet, folder / "unet")
    save_half(autoencoder, folder / "vae")
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
    save_half(unet, folder / "unet")
    save_half(reference_tokens, folder / "reference_tokens")
    save_half(lifted_reference, folder / "lifted_reference")
    save_half(autoencoder, folder / "vae")
    embedded_scheduler().save_pretrained(folder / "scheduler")
    components = {
        "lifted_reference": ("placid_kedro", "LiftedReference"),
        "reference_tokens": ("placid_kedro", "ReferenceTokens"),
        "scheduler": ("diffusers", "DDIMScheduler"),
        "unet": ("diffusers", "UNet2DConditionModel"),
        "vae": ("placid_kedro", "PatchAutoencoder"),
    }
    write_index(folder, "NovelView", components)


def save_scorer(folder: Path, scorer: Any, names: Sequence[str]) -> None:
    """Write the scorer and the names it was trained on."""
    folder.mkdir(parents=True, exist_ok=True)
    save_half(scorer, folder / "scorer")
    _write_names(folder, names)
    write_index(folder, "ImageScorer", {"scorer": ("placid_kedro", "ImageScorer")})


def _write_names(folder: Path, names: Sequence[str]) -> None:
    (folder / NAMES).write_text("".join(f"{name}\n" for name in names), encoding="utf-8")


@dataclass(frozen=True, eq=False)
class TextToImageFolder:
    """A text-to-image model on its way into a folder (a `FolderWriter`)."""

    unet: Any
    autoencoder: Any
    names: Sequence[str]

    def save_pretrained(self, save_directory: Path) -> None:
        """See `save_text_to_image`."""
        save_text_to_image(save_directory, self.unet, self.autoencoder, self.names)


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
class ScorerFolder:
    """A scorer and its names on their way into a folder."""

    scorer: Any
    names: Sequence[str]

    def save_pretrained(self, save_directory: Path) -> None:
        """See `save_scorer`."""
        save_scorer(save_directory, self.scorer, self.names)
