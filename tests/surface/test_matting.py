"""Background removal by a network: as the flood fill, on networks small enough to know the answer."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from placid_kedro.errors import ModelError, ResourceError, ShapeError
from placid_kedro.surface import matting
from placid_kedro.surface.background import remove_background
from placid_kedro.surface.matting import load_remover
from placid_kedro.surface.reference_config import FloodFillBackground, NetworkBackground

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
SIZE = 32

WriteNetwork = Callable[..., NetworkBackground]


@pytest.fixture
def network(tmp_path: Path) -> WriteNetwork:
    """Write a network: a weighted sum of the channels and its sigmoid, which says where an image is red."""

    def write(
        trained_as: str = "isnet",
        weights: tuple[float, ...] = (40.0, -20.0, -20.0),
        shape: tuple[int | str, ...] = (1, 3, SIZE, SIZE),
    ) -> NetworkBackground:
        helper, kind = onnx.helper, onnx.TensorProto.FLOAT
        kernel = helper.make_tensor("kernel", kind, (1, len(weights), 1, 1), weights)
        nodes = [
            helper.make_node("Conv", ["image", "kernel"], ["score"]),
            helper.make_node("Sigmoid", ["score"], ["mask"]),
        ]
        given = helper.make_tensor_value_info("image", kind, shape)
        made = [helper.make_tensor_value_info(name, kind, None) for name in ("mask", "score")]
        graph = helper.make_graph(nodes, "red", [given], made, [kernel])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
        onnx.save(model, tmp_path / "red.onnx")
        return NetworkBackground(model=str(tmp_path / "red.onnx"), trained_as=trained_as)

    return write


def red_square(size: int = 64) -> torch.Tensor:
    """[3, size, size]: a red square on a gradient that no flood fill understands."""
    x = torch.linspace(0, 1, size).expand(size, size)
    image = torch.stack([0.1 + 0.2 * x, 0.3 + 0.3 * x.T, 0.3 + 0.6 * x])
    image[:, size // 4 : size // 2, size // 4 : 3 * size // 4] = torch.tensor([0.9, 0.1, 0.1])[:, None, None]
    return image


def test_the_object_on_a_gradient(network: WriteNetwork) -> None:
    image = red_square()
    rgba = load_remover(network(), Path())(image)
    expected = torch.zeros(64, 64, dtype=torch.bool)
    expected[16:32, 16:48] = True
    assert rgba.shape == (4, 64, 64)
    assert torch.equal(rgba[3] > 0.5, expected)
    assert float(rgba[3].min()) >= 0 and float(rgba[3].max()) <= 1
    # The flood fill takes most of the gradient for the object.
    assert int((remove_background(image)[3] > 0.5).sum()) > 2 * int(expected.sum())


def test_the_edge_has_the_colour_of_the_object(network: WriteNetwork) -> None:
    rgba = load_remover(network(), Path())(red_square(100))
    seen = rgba[3] > 0.05
    red = torch.tensor([0.9, 0.1, 0.1])[:, None]
    # Half-covered pixels of the image itself are purple; the object's colour is exact.
    assert float((rgba[:3, seen] - red).abs().max()) < 1e-5


@pytest.mark.parametrize("trained_as", ["u2net", "isnet"])
def test_pixel_values_are_those_of_the_training(network: WriteNetwork, trained_as: str) -> None:
    """A network that returns the sigmoid of one channel shows what it was given."""
    colour = np.array([0.8, 0.4, 0.2])
    image = torch.tensor(colour, dtype=torch.float32)[:, None, None].expand(3, 20, 20)
    expected = {
        "u2net": (colour / 0.8 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225],
        "isnet": colour - 0.5,
    }[trained_as]
    for channel in range(3):
        weights = tuple(float(index == channel) for index in range(3))
        alpha = load_remover(network(trained_as, weights), Path())(image)[3]
        value = 1 / (1 + np.exp(-expected[channel]))
        torch.testing.assert_close(alpha, torch.full((20, 20), value, dtype=torch.float32), atol=1e-5, rtol=0)


def test_images_need_not_be_square(network: WriteNetwork) -> None:
    image = torch.nn.functional.pad(red_square(), (40, 0), value=0.2)
    image[2, :, :40] = 0.9
    alpha = load_remover(network(), Path())(image)[3]
    assert alpha.shape == (64, 104)
    assert alpha[24, 72] > 0.9 and alpha[24, 10] < 0.1
    with pytest.raises(ShapeError, match=r"\[3, H, W\]"):
        load_remover(network(), Path())(torch.zeros(4, 8, 8))


def test_the_flood_fill_is_behind_the_same_interface() -> None:
    image = torch.ones(3, 16, 16)
    image[:, 4:9, 4:9] = 0.2
    torch.testing.assert_close(load_remover(FloodFillBackground(), Path())(image), remove_background(image))


def test_local_names_are_relative_to_the_project(network: WriteNetwork, tmp_path: Path) -> None:
    network()
    relative = NetworkBackground(model="./red.onnx", trained_as="isnet")
    assert load_remover(relative, tmp_path)(red_square())[3, 24, 24] > 0.9
    with pytest.raises(ModelError, match=r"There is no network \./red\.onnx"):
        load_remover(relative, tmp_path / "elsewhere")


def test_networks_that_cannot_serve(network: WriteNetwork, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="OWNER/REPOSITORY/FILE"):
        load_remover(NetworkBackground(model="u2net", trained_as="u2net"), tmp_path)
    with pytest.raises(ModelError, match="one image"):
        load_remover(network(weights=(1.0,), shape=(1, 1, 8, 8)), tmp_path)
    with pytest.raises(ModelError, match="one image"):
        load_remover(network(shape=(1, 3, "height", "width")), tmp_path)
    whole = (tmp_path / "red.onnx").read_bytes()
    (tmp_path / "red.onnx").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match="no whole ONNX network") as raised:
        load_remover(NetworkBackground(model=str(tmp_path / "red.onnx"), trained_as="isnet"), tmp_path)
    assert "\n" not in str(raised.value)


def test_without_onnxruntime(network: WriteNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    given = network()
    monkeypatch.setattr(matting, "find_spec", lambda name: None)
    with pytest.raises(ResourceError, match=r"pip install 'placid_kedro\[matting\]'"):
        load_remover(given, Path())


def test_a_hub_that_cannot_be_reached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str, str]] = []

    def refuse(repository: str, file: str, revision: str) -> str:
        asked.append((repository, file, revision))
        raise OSError("no network")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", refuse)
    with pytest.raises(ModelError, match=r"a/b/onnx/model\.onnx cannot be fetched \(OSError\)"):
        load_remover(NetworkBackground(model="a/b/onnx/model.onnx", trained_as="isnet"), tmp_path)
    with pytest.raises(ModelError, match="cannot be fetched"):
        load_remover(NetworkBackground(model="a/b@1f2e/model.onnx", trained_as="isnet"), tmp_path)
    assert asked == [("a/b", "onnx/model.onnx", "main"), ("a/b", "model.onnx", "1f2e")]


def test_an_address_is_fetched_once(
    network: WriteNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Path(network().model)
    fetched: list[str] = []

    def download(address: str, target: str, progress: bool) -> None:
        fetched.append(address)
        Path(target).write_bytes(source.read_bytes())

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "cache"))
    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    given = NetworkBackground(model="https://example.org/nets/red.onnx", trained_as="isnet")
    for _ in range(2):
        assert load_remover(given, Path())(red_square())[3, 24, 24] > 0.9
    assert fetched == ["https://example.org/nets/red.onnx"]
