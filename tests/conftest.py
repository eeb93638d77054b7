"""The smallest models that run every line, in the folders that real ones come in."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tools import model_folders
from tools.model_folders import unet_sizes


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
    return model_folders.make_unet(unet_sizes(cross_attention_dim, sample_size=sample_size), in_channels)


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
        autoencoder = PatchAutoencoder(latent_channels=4, widths=(8, 8, 4), blocks=1)
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
        names = ["teddy bear", "cactus", "upright piano", "desk lamp"]
        export.save_text_to_image(folders.text_to_image, tiny_unet(), autoencoder, names)
        unet = tiny_unet(in_channels=8 + lifted.map_channels, cross_attention_dim=12)
        export.save_novel_view(folders.zero123, unet, tokens, lifted, autoencoder)
        save_latent_plane(folders.latent_plane, plane)
        export.save_scorer(folders.scorer, scorer, names)
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
    return model_folders.write_stable_diffusion(tmp_path_factory.mktemp("stable-diffusion"))


@pytest.fixture(scope="session", params=["cc_projection", "clip_camera_projection"])
def zero123_folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Zero-1-to-3 with the files, names and classes of each of its two public conversions."""
    return model_folders.write_zero123(tmp_path_factory.mktemp("zero123"), request.param)
