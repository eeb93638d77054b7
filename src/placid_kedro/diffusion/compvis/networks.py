"""Networks of diffusers from tensors under CompVis's names."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from torch import nn

from placid_kedro.diffusion.compvis.checkpoint import REMEDY, Checkpoint
from placid_kedro.errors import ModelError

UNET_PREFIX = "model.diffusion_model."


def diffusers_network(
    network_class: Any, configuration: dict[str, Any], tensors: Checkpoint, prefix: str
) -> nn.Module:
    """A network in float32 through diffusers' own conversion of CompVis's names, which reads its configuration from a
    folder.

    Args:
        network_class: of diffusers.
        configuration: of it.
        tensors: of the network alone.
        prefix: that their names have in a checkpoint, and not here.

    Raises:
        ModelError: tensors are missing.
    """
    given = {prefix + name: tensor.float() for name, tensor in tensors.items()}
    with TemporaryDirectory() as folder:
        content = {"_class_name": network_class.__name__, **configuration}
        (Path(folder) / "config.json").write_text(json.dumps(content))
        try:
            network = network_class.from_single_file(given, config=folder, local_files_only=True)
        except NotImplementedError as error:  # torch's, of a tensor that was left without values
            raise ModelError(f"{tensors.path} lacks tensors of the {prefix[:-1]}; {REMEDY}.") from error
    converted: nn.Module = network
    return converted
