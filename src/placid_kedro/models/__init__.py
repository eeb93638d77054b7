"""Model folders in the diffusers layout: what must be in them, where they come from, whether they can serve. Nothing in
here loads a network."""

from placid_kedro.models.availability import (
    Availability,
    as_sources,
    find_model,
    local_folder,
    obtain_model,
)
from placid_kedro.models.hub import Hub
from placid_kedro.models.layout import (
    INDEX,
    WeightFiles,
    choose_weights,
    file_sizes,
    needed_files,
    read_object,
)

__all__ = [
    "INDEX",
    "Availability",
    "Hub",
    "WeightFiles",
    "as_sources",
    "choose_weights",
    "file_sizes",
    "find_model",
    "local_folder",
    "needed_files",
    "obtain_model",
    "read_object",
]
