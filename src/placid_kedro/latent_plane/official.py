"""Reads the authors' two weight files into a LatentPlane."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from placid_kedro.cameras import Cameras
from placid_kedro.errors import ModelError
from placid_kedro.foreign import reading
from placid_kedro.latent_plane.plane import LatentPlane
from placid_kedro.latent_plane.presets import preset

NUM_HEADS = 8
NUM_OCTAVES = 10

# Their names, ours.
_DENSITY_NAMES = {
    "sigma_embeddings": "sigma_embedding",
    "latent_feature_ln": "feature_projection",
    "time_feature_ln": "time_projection",
    "sigma_query_ln": "sigma_token",
    "sigma_net": "sigma_head",
    "transformer_layer_norm": "density_transformer.norm",
    "transformer": "density_transformer.layers",
}
_FEATURE_NAMES = {
    "transformer_layer_norm": "feature_transformer.norm",
    "transformer": "feature_transformer.layers",
}


def load_official(
    coarse_path: str | os.PathLike[str],
    fine_path: str | os.PathLike[str],
    cameras: Cameras | None = None,
) -> LatentPlane:
    """The authors' Latent-Plane from their density ("coarse") and feature ("fine") files.

    All widths are read from the tensors; the heads are eight. Combination and rays are those of the authors'
    code (preset `official`). Where the layers of both files hold the same numbers, as in the released ones,
    the plane keeps them once.

    Args:
        coarse_path: state dict of the density part.
        fine_path: state dict of the feature part.
        cameras: the views; default the paper's eight.

    Raises:
        ModelError: for a missing file, one that is no plain state dict of tensors, or another architecture.
    """
    coarse = _AuthorsFile(Path(coarse_path), _DENSITY_NAMES)
    fine = _AuthorsFile(Path(fine_path), _FEATURE_NAMES)
    if fine.num_layers != coarse.num_layers:
        raise ModelError(
            f"{fine.path.name} must have {coarse.num_layers} attention layers like {coarse.path.name}, "
            f"got {fine.num_layers}."
        )
    share = coarse.layers_equal and fine.layers_equal
    token_channels, feature_channels = coarse.matrix("latent_feature_ln.weight")
    settings = preset("official")
    plane = LatentPlane(
        feature_channels=feature_channels,
        time_embedding_dim=coarse.matrix("time_feature_ln.weight")[1],
        cameras=cameras,
        token_channels=token_channels,
        num_octaves=NUM_OCTAVES,
        num_layers=coarse.num_layers,
        num_heads=NUM_HEADS,
        density_head_dim=coarse.head_dim,
        feature_head_dim=fine.head_dim,
        share_layers=share,
        combination=settings.combination,
        missed_rays=settings.missed_rays,
    )
    expected = plane.state_dict()
    tensors = {**coarse.renamed(expected, share), **fine.renamed(expected, share)}
    plane.load_state_dict(tensors)
    return plane.eval()


class _AuthorsFile:
    """One of the two files: its tensors under their names, checked as they are asked for."""

    def __init__(self, path: Path, names: Mapping[str, str]) -> None:
        self.path = path
        self.names = names
        self.state = _read(path)
        layers = [
            int(m[1]) for m in (re.match(r"transformer\.(\d+)\.to_q\.weight$", k) for k in self.state) if m
        ]
        self.num_layers = len(layers)
        if self.num_layers == 0:
            raise ModelError(
                f"{path.name} holds no attention layers; expected transformer.0.to_q.weight and so on."
            )

    @property
    def head_dim(self) -> int:
        inner = self.matrix("transformer.0.to_q.weight")[0]
        if inner % NUM_HEADS:
            raise ModelError(
                f"{self.path.name}: to_q must have {NUM_HEADS} heads of one width, got {inner} rows."
            )
        return inner // NUM_HEADS

    @property
    def layers_equal(self) -> bool:
        """Whether every layer holds the numbers of the first."""
        return all(
            torch.equal(tensor, self.state.get(re.sub(r"^transformer\.\d+", "transformer.0", name), tensor))
            for name, tensor in self.state.items()
            if name.startswith("transformer.") and tensor.dim() > 0
        )

    def matrix(self, name: str) -> tuple[int, int]:
        """The two sizes of a matrix."""
        tensor = self.state.get(name)
        if tensor is None or tensor.dim() != 2:
            raise ModelError(
                f"{self.path.name} must hold the matrix {name}, the authors' Latent-Plane has it."
            )
        return tensor.shape[0], tensor.shape[1]

    def renamed(self, expected: Mapping[str, Tensor], share: bool) -> dict[str, Tensor]:
        """The tensors under our names, every one of the shape that `expected` has."""
        tensors: dict[str, Tensor] = {}
        for name, tensor in self.state.items():
            ours = self._our_name(name)
            if ours is None or not tensor.is_floating_point():
                raise ModelError(
                    f"{self.path.name} holds {name}, which is no tensor of the authors' Latent-Plane."
                )
            if share and re.match(r"transformer\.[1-9]", name):
                continue
            if ours not in expected or expected[ours].shape != tensor.shape:
                shape = list(expected[ours].shape) if ours in expected else "no such tensor"
                raise ModelError(f"{self.path.name}: {name} must be {shape}, got {list(tensor.shape)}.")
            if not bool(tensor.isfinite().all()):
                raise ModelError(
                    f"{self.path.name}: {name} holds NaN or infinite values; the file is damaged."
                )
            tensors[ours] = tensor.float()
        prefixes = tuple(self.names.values())
        missing = [n for n in expected if n.startswith(prefixes) and n not in tensors]
        if missing:
            raise ModelError(
                f"{self.path.name} lacks the tensor for {missing[0]}; expected a whole state dict."
            )
        return tensors

    def _our_name(self, name: str) -> str | None:
        head, _, tail = name.partition(".")
        if head not in self.names:
            return None
        return ".".join(filter(None, [self.names[head], tail])).replace(".to_out.0.", ".to_out.")


def _read(path: Path) -> dict[str, Tensor]:
    with reading(path, "a plain state dict of tensors", "give the authors' weight files", error=ModelError):
        state = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(state, Mapping) or not all(
        isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in state.items()
    ):
        raise ModelError(f"{path} must be a plain state dict of tensors, got {type(state).__name__}.")
    return dict(state)
