"""Published checkpoints become model folders: every tensor in its place, and nothing in the file is run."""

import os
import pickle
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor, nn

from placid_kedro.diffusion.compvis import import_zero123
from placid_kedro.diffusion.loading import load_component
from placid_kedro.diffusion.novel_view import load_novel_view
from placid_kedro.errors import ModelError
from tests.compvis import OpenAIVision, vae_tensors, write_checkpoint
from tools.compvis_names import unet_tensors

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Published:
    """Networks, and the tensors of the checkpoint that holds them."""

    unet: UNet2DConditionModel
    vae: AutoencoderKL
    visual: OpenAIVision
    projection: nn.Linear
    tensors: dict[str, Tensor]


@pytest.fixture(scope="module")
def published() -> Published:
    """Zero-1-to-3 with narrow networks: heads, groups and names are the real one's."""
    with torch.random.fork_rng():
        torch.manual_seed(5)
        unet = UNet2DConditionModel(
            sample_size=32,
            in_channels=8,
            block_out_channels=(32, 64, 64),
            down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
            cross_attention_dim=48,
        ).eval()
        vae = AutoencoderKL(
            block_out_channels=(32, 32, 64, 64),
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            layers_per_block=2,
        ).eval()
        visual = OpenAIVision(width=128, layers=2, patch=16, size=32, embedding=48).eval()
        projection = nn.Linear(52, 48)
        betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    tensors = {"betas": betas.float(), "logvar": torch.zeros(1000)}
    for prefix, part in (
        ("model.diffusion_model", unet_tensors(unet, layers=2, levels=3)),
        ("model_ema", {"diffusion_modelinput_blocks00weight": torch.zeros(3)}),
        ("first_stage_model", vae_tensors(vae, levels=4)),
        ("cond_stage_model.model.visual", visual.state_dict()),
        ("cond_stage_model.model", {"logit_scale": torch.zeros(())}),
        ("cc_projection", projection.state_dict()),
    ):
        tensors |= {f"{prefix}.{name}": tensor.clone() for name, tensor in part.items()}
    return Published(unet, vae, visual, projection, tensors)


@pytest.fixture(scope="module")
def folder(published: Published, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("compvis")
    write_checkpoint(root / "zero123.ckpt", published.tensors)
    import_zero123(root / "zero123.ckpt").save_pretrained(root / "zero123")
    return root / "zero123"


def test_every_tensor_arrives_bit_for_bit(published: Published, folder: Path) -> None:
    for name, network in (("unet", published.unet), ("vae", published.vae)):
        arrived = load_component(folder, name).state_dict()
        expected = network.state_dict()
        assert arrived.keys() == expected.keys()
        assert all(torch.equal(arrived[key], expected[key]) for key in expected), name
    projection = load_component(folder, "cc_projection").projection
    assert torch.equal(projection.weight, published.projection.weight)
    assert torch.equal(projection.bias, published.projection.bias)


def test_the_networks_compute_what_they_did(published: Published, folder: Path) -> None:
    """Heads and groups, which no tensor's shape tells, are right as well; the image encoder is OpenAI's own."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        pixels = torch.randn(2, 3, 32, 32, generator=generator)
        encoded = load_component(folder, "image_encoder")(pixels).image_embeds
        torch.testing.assert_close(encoded, published.visual(pixels), atol=1e-5, rtol=1e-5)
        inputs = torch.randn(1, 8, 8, 8, generator=generator), torch.tensor(300)
        context = torch.randn(1, 1, 48, generator=generator)
        drawn = load_component(folder, "unet")(*inputs, context).sample
        assert torch.equal(drawn, published.unet(*inputs, context).sample)
        latents = load_component(folder, "vae").encode(pixels).latent_dist.mode()
        assert torch.equal(latents, published.vae.encode(pixels).latent_dist.mode())


def test_the_folder_is_a_novel_view_model(folder: Path) -> None:
    model = load_novel_view(folder, CPU)
    assert model.image_size == 256
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    expected = torch.cumprod(1 - betas, dim=0)
    torch.testing.assert_close(model.schedule.alphas_cumprod.double(), expected, rtol=1e-4, atol=0)
    assert model.scheduler.config.prediction_type == "epsilon" and not model.scheduler.config.clip_sample


class Call:
    """What a hostile file would hold: unpickling it calls a function."""

    def __init__(self, function: Any, *given: str) -> None:
        self.call = function, given

    def __reduce__(self) -> Any:
        return self.call


def test_nothing_in_a_checkpoint_is_run(published: Published, tmp_path: Path) -> None:
    """torch refuses some functions by name; any other is an empty stand-in."""
    mark, own = tmp_path / "mark", str(Path(__file__))
    copies, makes = Call(shutil.copy, own, str(mark)), Call(os.mkdir, str(mark))
    write_checkpoint(tmp_path / "copies.ckpt", published.tensors, callbacks=copies)
    import_zero123(tmp_path / "copies.ckpt")
    write_checkpoint(tmp_path / "makes.ckpt", published.tensors, callbacks=makes)
    with pytest.raises(ModelError, match="cannot be read as a checkpoint"):
        import_zero123(tmp_path / "makes.ckpt")
    assert not mark.exists()
    pickle.loads(pickle.dumps(copies))
    assert mark.exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"model.diffusion_model.input_blocks.1.0.in_layers.2.weight": None},
            r"lacks tensors of the model\.diffusion_model;",
        ),
        ({"cond_stage_model.model.visual.proj": None}, "holds no tensor proj"),
        ({"first_stage_model.": None}, r"holds no tensors first_stage_model\.\*"),
        ({"betas": torch.linspace(1e-4, 0.02, 1000)}, "trained with other noise levels"),
        ({"cc_projection.weight": torch.zeros(48, 52, 1)}, "cannot be read as a checkpoint of Zero-1-to-3"),
        ({"logvar": "a word"}, "something else than tensors"),
    ],
)
def test_what_is_no_such_checkpoint_is_one_sentence(
    published: Published, tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    (name, value), *_ = change.items()
    tensors = {key: tensor for key, tensor in published.tensors.items() if not key.startswith(name)}
    write_checkpoint(tmp_path / "other.ckpt", tensors if value is None else {**tensors, name: value})
    with pytest.raises(ModelError, match=said) as raised:
        import_zero123(tmp_path / "other.ckpt")
    assert "\n" not in str(raised.value)


def test_a_damaged_file_is_one_sentence(published: Published, tmp_path: Path) -> None:
    path = tmp_path / "zero123.ckpt"
    with pytest.raises(ModelError, match="does not exist"):
        import_zero123(path)
    write_checkpoint(path, published.tensors)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(ModelError, match="cannot be read as a checkpoint"):
        import_zero123(path)
    torch.save([1, 2], path)
    with pytest.raises(ModelError, match="holds no state_dict"):
        import_zero123(path)
