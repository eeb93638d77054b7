"""What takes an image's background away: a flood fill or a segmentation network."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor
from torch.nn import functional as F

from placid_kedro.errors import ModelError, ResourceError, ShapeError
from placid_kedro.files import is_local
from placid_kedro.models.hub import split_revision
from placid_kedro.surface.background import remove_background
from placid_kedro.surface.reference_config import Background, FloodFillBackground, NetworkBackground

# Below this alpha a pixel's colour is mixed with the background's.
_OPAQUE = 0.95


class BackgroundRemover(Protocol):
    """Tells an object from its background."""

    def __call__(self, image: Tensor) -> Tensor:
        """[3, H, W] in [0, 1] to [4, H, W]: the object's colours and its straight alpha."""


@dataclass(frozen=True)
class PixelValues:
    """What a network expects of RGB in [0, 1]: `(rgb - mean) / std`, of rgb over its maximum if `stretched`."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    stretched: bool

    def __call__(self, image: Tensor) -> Tensor:
        """[3, H, W] to [3, H, W]."""
        if self.stretched:
            image = image / image.max().clamp_min(1e-6)
        mean, std = (image.new_tensor(value)[:, None, None] for value in (self.mean, self.std))
        return (image - mean) / std


# As the networks were trained: Qin et al. 2020 (U2-Net) and 2022 (IS-Net).
PIXEL_VALUES = {
    "u2net": PixelValues((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), stretched=True),
    "isnet": PixelValues((0.5, 0.5, 0.5), (1.0, 1.0, 1.0), stretched=False),
}


@dataclass(frozen=True, eq=False)
class NetworkMatting:
    """A network that maps [1, 3, S, S] to the object's share of each pixel, its first output.

    Attributes:
        session: an `onnxruntime.InferenceSession` of it.
        pixel_values: that it expects.
    """

    session: Any
    pixel_values: PixelValues

    def __call__(self, image: Tensor) -> Tensor:
        """As `BackgroundRemover`.

        Raises:
            ShapeError: when the image has another shape.
        """
        if image.ndim != 3 or image.shape[0] != 3:
            raise ShapeError(f"The image must be [3, H, W], got {list(image.shape)}.")
        given = self.session.get_inputs()[0]
        size = tuple(given.shape[-2:])
        pixels = self.pixel_values(_resized(image.cpu(), size))
        outputs: list[NDArray[np.float32]] = self.session.run(
            [self.session.get_outputs()[0].name], {given.name: pixels[None].numpy()}
        )
        alpha = _resized(torch.from_numpy(outputs[0]).reshape(1, *outputs[0].shape[-2:]), image.shape[1:])[0]
        alpha = alpha.clamp(0, 1).to(image)
        return torch.cat([_colours_of_object(image, alpha), alpha[None]])


def load_remover(background: Background, root: Path) -> BackgroundRemover:
    """What removes the background as the parameters say.

    Args:
        background: of the parameters.
        root: the project's folder, which a local file's name is relative to.

    Raises:
        ResourceError: onnxruntime is not installed.
        ModelError: the network's file is missing, damaged or of another kind, or the hub cannot be reached.
    """
    match background:
        case FloodFillBackground():
            return partial(remove_background, hole_tolerance=background.hole_tolerance)
        case NetworkBackground():
            check_network(background, root)
            return NetworkMatting(
                _session(_network_file(background.model, root)), PIXEL_VALUES[background.trained_as]
            )


def check_network(background: NetworkBackground, root: Path) -> None:
    """Refuse, without loading anything, a network that cannot be run.

    Raises:
        ResourceError: onnxruntime is not installed.
        ModelError: there is no such local file, or the name is neither a local file's nor one on the hub.
    """
    if find_spec("onnxruntime") is None:
        raise ResourceError(
            "reference.background.kind is network, which needs onnxruntime; "
            "install it with pip install 'placid_kedro[matting]'."
        )
    name = background.model
    if is_local(name) and not _local(name, root).is_file():
        raise ModelError(
            f"There is no network {name} for reference.background.model; give an ONNX file of U2-Net or IS-Net "
            "(docs/background.md says where they are)."
        )
    if not is_local(name) and len(name.split("/")) < 3:
        raise ModelError(
            f"reference.background.model is {name}; give a local file, beginning with ./, "
            "OWNER/REPOSITORY/FILE or OWNER/REPOSITORY@REVISION/FILE of the hub, or an address that begins with https://."
        )


def _local(name: str, root: Path) -> Path:
    return root / Path(name).expanduser()


def _network_file(name: str, root: Path) -> Path:
    if is_local(name):
        return _local(name, root)
    try:
        return _fetched(name)
    except Exception as error:  # the hub's client raises its own, requests' and the operating system's errors
        raise ModelError(
            f"The network {name} cannot be fetched ({type(error).__name__}); "
            "check the name and the network, or give a local ONNX file in reference.background.model."
        ) from error


def _fetched(name: str) -> Path:
    if name.startswith("https://"):
        file = Path(torch.hub.get_dir()) / "checkpoints" / name.rpartition("/")[2]
        if not file.is_file():
            file.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(name, str(file), progress=False)
        return file
    from huggingface_hub import hf_hub_download

    owner, repository, file_name = name.split("/", 2)
    name, revision = split_revision(f"{owner}/{repository}")
    return Path(hf_hub_download(name, file_name, revision=revision))


def _session(path: Path) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # its warnings are of weights that the exporter left over
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has a dozen classes without a common base of its own
        raise ModelError(
            f"{path} is no whole ONNX network ({type(error).__name__}); fetch it again."
        ) from error
    shapes = [given.shape for given in session.get_inputs()]
    if len(shapes) != 1 or list(shapes[0][1:2]) != [3] or not all(isinstance(n, int) for n in shapes[0][2:]):
        raise ModelError(
            f"The network {path} takes {shapes}; one that finds an object takes one image [1, 3, S, S] of fixed size."
        )
    return session


def _resized(image: Tensor, size: Any) -> Tensor:
    """[C, H, W] bilinear, averaged where it gets smaller."""
    if tuple(image.shape[1:]) == tuple(size):
        return image
    return F.interpolate(
        image[None].float(), tuple(size), mode="bilinear", antialias=True, align_corners=False
    )[0]


def _colours_of_object(image: Tensor, alpha: Tensor) -> Tensor:
    """The image [3, H, W] with the colour of the nearest opaque pixel where the background shines through."""
    opaque = alpha >= _OPAQUE
    if not bool(opaque.any()):
        return image
    rows, columns = ndimage.distance_transform_edt(
        (~opaque).cpu().numpy(), return_distances=False, return_indices=True
    )
    return image[:, torch.from_numpy(rows).to(image.device), torch.from_numpy(columns).to(image.device)]
