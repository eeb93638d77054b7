"""The furniture objects that the embedded text-to-image model knows by name, as meshes."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from placid_kedro.embedded.training.caption_table import CaptionTable
from placid_kedro.embedded.training.split import read_split
from placid_kedro.errors import DataError
from placid_kedro.evaluation.retrieval import plain_name
from placid_kedro.objects.config import SweetHome3dSource
from placid_kedro.objects.sweethome3d import FurnitureModel, convert_model, list_furniture
from placid_kedro.rendering import Mesh, load_mesh


class KnownFurniture:
    """Furniture by the captions that the text-to-image model was trained on: names, articles, colours, materials.

    Args:
        folder: of the `.sh3f` libraries. That it holds none is told with the first object that is asked for.
    """

    def __init__(self, folder: str) -> None:
        self._source = SweetHome3dSource(folder=folder, libraries=(), count=0)
        self._vocabulary = read_split().vocabulary
        named = [(one.name, one.adjectives) for one in self._vocabulary]
        self._by_caption = CaptionTable.of(named).by_caption
        self._furniture: dict[str, FurnitureModel] | None = None

    def meshes(self, prompt: str) -> Mapping[str, Mesh]:
        """See `placid_kedro.evaluation.truth.RealObjects`."""
        found = self._by_caption.get(prompt.strip().casefold()) or self._by_caption.get(plain_name(prompt))
        if found is None:
            raise DataError(f"the embedded models know no object by the name {prompt[:60]!r}.")
        if self._furniture is None:
            self._furniture = {one.record.uid: one for one in list_furniture(self._checked())}
        uids = [self._vocabulary[index].uid for index in found[0]]
        missing = [uid for uid in uids if uid not in self._furniture]
        if missing:
            raise DataError(f"{self._source.folder} lacks the object {missing[0]}.")
        return {uid: furniture_mesh(self._furniture[uid]) for uid in uids}

    def _checked(self) -> SweetHome3dSource:
        folder = self._source.folder
        if not any(Path(folder).expanduser().glob("*.sh3f")):
            raise DataError(
                f"{folder} holds no .sh3f library; install the Debian package sweethome3d-furniture, or give another "
                "folder in the parameter truth.folder."
            )
        return self._source


def furniture_mesh(model: FurnitureModel) -> Mesh:
    """A model of a library, in the unit cube with its front towards +x.

    Raises:
        RejectedAsset: it cannot be read.
    """
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / f"{model.record.uid}.glb"
        convert_model(model.library, model.member, model.rotation, path)
        return load_mesh(path)
