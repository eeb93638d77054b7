"""Artifacts come back as they were saved, with a preview that Kedro-Viz can show."""

import base64
import errno
import inspect
import io
import json
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import kedro_datasets._typing as previews
import numpy as np
import pytest
import torch
from kedro.io import DatasetError
from PIL import Image
from torch import Tensor

from placid_kedro.cameras import PosedViews, ring
from placid_kedro.datasets import (
    FieldDataset,
    FigureDataset,
    FolderDataset,
    GaussiansDataset,
    ImageDataset,
    JsonModelDataset,
    PosedViewsDataset,
    TensorsDataset,
    VideoDataset,
)
from placid_kedro.errors import DataError, NumericError, PlacidError, ShapeError
from placid_kedro.prompts import Prompts, directional_prompts


def levels(*shape: int) -> Tensor:
    """Random images that 8 bits a channel hold exactly."""
    return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(0)).float() / 255


def pixels(preview: str) -> np.ndarray:
    """[H, W, C] of an image's preview."""
    with Image.open(io.BytesIO(base64.b64decode(preview))) as image:
        return np.asarray(image)


@pytest.mark.parametrize("channels", [3, 4])
def test_image(tmp_path: Path, channels: int) -> None:
    dataset = ImageDataset(filepath=str(tmp_path / "a.png"))
    image = levels(channels, 5, 7)
    assert not dataset.exists()
    dataset.save(image)
    assert dataset.exists()
    assert torch.equal(dataset.load(), image)
    with Image.open(tmp_path / "a.png") as file:
        assert (file.size, file.mode) == ((7, 5), "RGB" if channels == 3 else "RGBA")
        assert np.array_equal(np.asarray(file)[2, 3], (image[:, 2, 3] * 255).round().numpy())


def test_image_values_outside_the_range_are_cut(tmp_path: Path) -> None:
    dataset = ImageDataset(filepath=str(tmp_path / "a.png"))
    dataset.save(torch.tensor([-1.0, 0.5, 2.0]).reshape(3, 1, 1))
    assert dataset.load().flatten().tolist() == pytest.approx([0.0, 128 / 255, 1.0])


def test_posed_views_stand_from_left_to_right_with_their_cameras(tmp_path: Path) -> None:
    dataset = PosedViewsDataset(filepath=str(tmp_path / "views.png"))
    views = PosedViews(levels(3, 4, 8, 8), ring(3, 20.0, 1.7, 40.0, 8))
    dataset.save(views)
    loaded = dataset.load()
    assert torch.equal(loaded.images, views.images)
    assert torch.equal(loaded.cameras.world_to_camera, views.cameras.world_to_camera)
    assert torch.equal(loaded.cameras.K, views.cameras.K)
    assert loaded.azimuths_deg() == pytest.approx([0.0, 120.0, 240.0], abs=1e-4)
    with Image.open(tmp_path / "views.png") as file:
        assert file.size == (24, 8)
        assert np.array_equal(np.asarray(file)[1, 8 + 2], (views.images[1, :, 1, 2] * 255).round().numpy())


def test_the_weights_of_views_come_back(tmp_path: Path) -> None:
    dataset = PosedViewsDataset(filepath=str(tmp_path / "views.png"))
    views = PosedViews(levels(3, 4, 8, 8), ring(3, 20.0, 1.7, 40.0, 8))
    dataset.save(views)
    assert dataset.load().weights is None
    weights = torch.tensor([1.0, 0.2, 0.5])
    dataset.save(PosedViews(views.images, views.cameras, weights))
    loaded = dataset.load().weights
    assert loaded is not None and torch.equal(loaded, weights)
    with pytest.raises(ShapeError, match=r"need weights \[3\]"):
        PosedViews(views.images, views.cameras, weights[:2])


def test_a_file_that_promises_more_pixels_than_it_can_hold(tmp_path: Path) -> None:
    """Its header says eight million rows, its data hold four: pillow would make a gigabyte of it."""
    path = tmp_path / "a.png"
    Image.new("RGBA", (8, 4)).save(path)
    data = bytearray(path.read_bytes())
    data[20:24] = (7602184).to_bytes(4, "big")
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    path.write_bytes(data)
    with pytest.raises(DatasetError, match="too short for 8 x 7602184 pixels"):
        ImageDataset(filepath=str(path)).load()
    Image.new("1", (8 * 1000, 1000)).save(path)  # as many pixels as a file can have, nearly
    assert ImageDataset(filepath=str(path)).load().shape == (3, 1000, 8000)


def test_a_sheet_from_elsewhere_is_refused(tmp_path: Path) -> None:
    Image.new("RGB", (8, 4)).save(tmp_path / "views.png")
    with pytest.raises(DatasetError, match="does not hold its cameras"):
        PosedViewsDataset(filepath=str(tmp_path / "views.png")).load()


@pytest.mark.parametrize("shape", [(3, 3, 8, 8), (2, 3, 8, 7), (3, 8, 8)])
def test_views_belong_to_their_cameras(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match="Posed views of 2 cameras"):
        PosedViews(torch.zeros(shape), ring(2, 20.0, 1.7, 40.0, 8))


@pytest.mark.parametrize(
    ("dataset", "data"),
    [
        (ImageDataset(filepath="a.png"), torch.zeros(1, 4, 4)),
        (VideoDataset(filepath="a.mp4", fps=10), torch.zeros(2, 3, 5, 4)),
    ],
)
def test_wrong_shapes_are_refused_and_leave_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dataset: Any, data: Tensor
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DatasetError, match="must be") as raised:
        dataset.save(data)
    assert isinstance(raised.value.__cause__, PlacidError)
    assert list(tmp_path.iterdir()) == []


@dataclass(frozen=True)
class Record:
    points: Tensor
    labels: Tensor
    width: int
    name: str


def test_record_of_tensors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import kedro.utils

    import placid_kedro.datasets.tensors as module

    monkeypatch.setattr(
        module, "load_obj", lambda path: Record if path == "Record" else kedro.utils.load_obj(path)
    )
    dataset = TensorsDataset(filepath=str(tmp_path / "a.safetensors"), record="Record")
    record = Record(torch.randn(4, 3).T, torch.arange(3), 128, "bear")
    dataset.save(record)
    loaded = dataset.load()
    assert isinstance(loaded, Record)
    assert torch.equal(loaded.points, record.points)
    assert torch.equal(loaded.labels, record.labels)
    assert (loaded.width, loaded.name) == (128, "bear")
    rows = dataset.preview()["data"]
    assert sorted(rows) == [["labels", "I64", "[3]"], ["points", "F32", "[3, 4]"]]


def test_dictionary_of_tensors_that_share_memory(tmp_path: Path) -> None:
    dataset = TensorsDataset(filepath=str(tmp_path / "a.safetensors"))
    base = torch.arange(6.0)
    dataset.save({"all": base, "part": base[2:]})
    loaded = dataset.load()
    assert torch.equal(loaded["part"], torch.tensor([2.0, 3.0, 4.0, 5.0]))


def test_a_field_is_previewed_as_slices(tmp_path: Path) -> None:
    def darkness(inside: Tensor) -> np.ndarray:
        """Of the fifteen slices, three rows of five."""
        dataset = FieldDataset(filepath=str(tmp_path / "field.safetensors"))
        dataset.save({"density": 7.0 * inside})
        assert torch.equal(dataset.load()["density"], 7.0 * inside)
        dark = 255.0 - pixels(dataset.preview())[20:, :, :3].mean(axis=2)
        height, width = dark.shape[0] // 3, dark.shape[1] // 5
        return dark[: 3 * height].reshape(3, height, 5, width).mean(axis=(1, 3))

    x = torch.linspace(-0.5, 0.5, 24)[:, None, None].expand(24, 24, 24)
    in_front, nothing = darkness(x > 0), darkness(torch.zeros(24, 24, 24))
    # Across x the first slices are empty and the last ones full; across y and z each is half full.
    added = in_front - nothing
    assert added[0, :2].max() < 0.1 * added[0, 3:].min()
    np.testing.assert_allclose(added[1:], added[0, 3:].mean() / 2, rtol=0.2)


def test_a_broken_tensor_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(b"not tensors")
    with pytest.raises(DatasetError, match="does not hold a dictionary of tensors"):
        TensorsDataset(filepath=str(tmp_path / "a.safetensors")).load()


def test_video(tmp_path: Path) -> None:
    dataset = VideoDataset(filepath=str(tmp_path / "turn.mp4"), fps=10, quality=10)
    ramp = torch.linspace(0.1, 0.9, 5).reshape(5, 1, 1, 1).expand(5, 3, 32, 48)
    dataset.save(ramp)
    loaded = dataset.load()
    assert loaded.shape == (5, 3, 32, 48)
    assert (loaded - ramp).abs().max() < 0.03  # the codec loses a little
    stills = pixels(dataset.preview())
    assert stills.shape == (32, 5 * 48, 3)
    assert (
        np.diff(stills.mean(axis=(0, 2)).reshape(5, 48).mean(axis=1)).min() > 40
    )  # each still a frame of its own


def test_json_model(tmp_path: Path) -> None:
    dataset = JsonModelDataset(filepath=str(tmp_path / "a.json"), model="placid_kedro.prompts.Prompts")
    prompts = Prompts(
        text="a cat", drawn="a cat", slug="a-cat", views=directional_prompts("a cat", "{prompt} {view}")
    )
    dataset.save(prompts)
    assert dataset.load() == prompts
    assert json.loads(dataset.preview())["slug"] == "a-cat"
    (tmp_path / "a.json").write_text('{"text": 1}')
    with pytest.raises(DatasetError, match="valid Prompts"):
        dataset.load()


def test_figure(tmp_path: Path) -> None:
    from plotly.graph_objects import Bar, Figure

    dataset = FigureDataset(filepath=str(tmp_path / "a.json"))
    dataset.save(Figure(Bar(x=["a", "b"], y=[1.0, 2.0])))
    assert list(dataset.load().data[0].y) == [1.0, 2.0]
    assert dataset.preview()["data"][0]["type"] == "bar"


def test_gaussians(tmp_path: Path) -> None:
    import trimesh

    from placid_kedro.splats import Gaussians

    dataset = GaussiansDataset(filepath=str(tmp_path / "gaussians.ply"))
    generator = torch.Generator().manual_seed(0)
    means, sh0 = torch.rand(6, 3, generator=generator), torch.rand(6, 1, 3, generator=generator)
    quats = torch.tensor([1.0, 0, 0, 0]).expand(6, 4).clone()
    dataset.save(
        Gaussians(means, quats, torch.zeros(6, 3), torch.linspace(-2, 2, 6), sh0, torch.zeros(6, 0, 3))
    )
    assert torch.equal(dataset.load().means, means)
    x, y, z = means.T.numpy()
    assert np.allclose(trimesh.load(tmp_path / "gaussians.ply").vertices, np.stack([y, -z, -x], axis=1))
    from_elsewhere = GaussiansDataset(filepath=str(tmp_path / "gaussians.ply"), axes="world")
    assert np.allclose(from_elsewhere.load().means, np.stack([y, -z, -x], axis=1))
    points = dataset.preview()["data"][0]
    assert (points["type"], len(points["marker"]["color"])) == ("scatter3d", 6)


class Model:
    """What `save_pretrained` gets is an empty folder."""

    def __init__(self, fails: bool = False) -> None:
        self.fails = fails

    def save_pretrained(self, save_directory: Path) -> None:
        assert list(save_directory.iterdir()) == []
        (save_directory / "config.json").write_text("{}")
        if self.fails:
            raise OSError(errno.ENOSPC, "No space left on device")


def test_folder_loads_as_its_path(tmp_path: Path) -> None:
    dataset = FolderDataset(filepath=str(tmp_path / "model"))
    with pytest.raises(DatasetError, match="missing or half-written"):
        dataset.load()
    dataset.save(Model())
    assert dataset.exists()
    assert dataset.load() == tmp_path / "model"
    assert "config.json" in json.loads(dataset.preview())["files"]
    with pytest.raises(DatasetError):
        dataset.save(Model(fails=True))
    assert dataset.exists()


def test_half_written_folder_does_not_exist_and_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights.bin").write_bytes(b"half")
    dataset = FolderDataset(filepath=str(tmp_path / "model"))
    assert not dataset.exists()
    with pytest.raises(DataError, match="half-written"):
        dataset.check_target()
    with pytest.raises(DatasetError, match="half-written"):
        dataset.save(Model())
    assert (tmp_path / "model" / "weights.bin").read_bytes() == b"half"


def gaussians_of(count: int, **changes: Tensor) -> Any:
    from placid_kedro.splats import Gaussians

    fields = {"means": (count, 3), "quats": (count, 4), "log_scales": (count, 3), "logit_opacities": (count,)}
    zeros = {name: torch.zeros(shape) for name, shape in fields.items()}
    return Gaussians(**{**zeros, "sh0": torch.zeros(count, 1, 3), "shN": torch.zeros(count, 0, 3), **changes})


NAN, CAMERAS = float("nan"), ring(2, 20.0, 1.7, 40.0, 8)


@pytest.mark.parametrize(
    ("dataset", "data"),
    [
        (ImageDataset(filepath="a.png"), torch.full((3, 4, 4), NAN)),
        (PosedViewsDataset(filepath="a.png"), PosedViews(torch.full((2, 3, 8, 8), NAN), CAMERAS)),
        (VideoDataset(filepath="a.mp4", fps=10), torch.full((2, 3, 4, 4), float("inf"))),
        (VideoDataset(filepath="a.mp4", fps=10), torch.zeros(0, 3, 4, 4)),
        (TensorsDataset(filepath="a.safetensors"), {"density": torch.tensor([1.0, NAN])}),
        (TensorsDataset(filepath="a.safetensors"), {"density": torch.zeros(0)}),
        (TensorsDataset(filepath="a.safetensors"), {}),
        (GaussiansDataset(filepath="a.ply"), gaussians_of(0)),
        (GaussiansDataset(filepath="a.ply"), gaussians_of(2, means=torch.full((2, 3), NAN))),
        (GaussiansDataset(filepath="a.ply"), gaussians_of(2, log_scales=torch.full((2, 3), 1e3))),
    ],
)
def test_what_is_no_number_or_nothing_is_not_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dataset: Any, data: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DatasetError) as raised:
        dataset.save(data)
    assert isinstance(raised.value.__cause__, NumericError)
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_number_is_not_read_either(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"density": torch.tensor([0.0, NAN])}, tmp_path / "a.safetensors")
    with pytest.raises(DatasetError, match="1 of the 2 values of 'density' are not finite"):
        TensorsDataset(filepath=str(tmp_path / "a.safetensors")).load()


def test_a_report_with_a_number_that_is_none_is_not_saved(tmp_path: Path) -> None:
    from placid_kedro.evaluation.report import RankedName, RetrievalScore

    path, kind = tmp_path / "a.json", "placid_kedro.evaluation.report.RetrievalScore"
    best = (RankedName(name="a", score=0.5), RankedName(name="b", score=NAN))
    with pytest.raises(DatasetError, match=r"'best\.1\.score' is not finite"):
        JsonModelDataset(filepath=str(path), model=kind).save(
            RetrievalScore(rank=1, of=2, score=0.5, best=best)
        )
    assert not path.exists()


def test_weights_that_half_precision_cannot_hold_are_not_kept(tmp_path: Path) -> None:
    from placid_kedro.diffusion.saving import save_half
    from placid_kedro.latent_plane import LatentPlane

    plane = LatentPlane(4, 8, token_channels=4, num_octaves=2, num_heads=2, samples_per_ray=4)
    plane.sigma_head.bias.data.fill_(1e6)

    class Half:
        def save_pretrained(self, save_directory: Path) -> None:
            save_half(plane, save_directory / "plane")

    with pytest.raises(DatasetError, match=r"values of 'sigma_head\.bias' are not finite"):
        FolderDataset(filepath=str(tmp_path / "model")).save(Half())
    assert list(tmp_path.iterdir()) == []


def test_missing_file_names_itself(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"gone\.png does not exist"):
        ImageDataset(filepath=str(tmp_path / "gone.png")).load()


@pytest.mark.parametrize(
    "kind",
    [
        FieldDataset,
        FigureDataset,
        FolderDataset,
        GaussiansDataset,
        ImageDataset,
        JsonModelDataset,
        TensorsDataset,
        VideoDataset,
    ],
)
def test_every_dataset_has_a_preview_of_a_known_kind(kind: type) -> None:
    annotation = inspect.signature(kind.preview).return_annotation  # type: ignore[attr-defined]
    assert getattr(previews, annotation.__name__) is annotation
