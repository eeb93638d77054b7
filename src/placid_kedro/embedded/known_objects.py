"""The furniture objects that the embedded text-to-image model knows by name, in their own colours and painted."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from placid_kedro.embedded.training.caption_table import CaptionTable
from placid_kedro.embedded.training.captions import with_article
from placid_kedro.embedded.training.colors import painted, paintings
from placid_kedro.embedded.training.split import read_split
from placid_kedro.errors import DataError
from placid_kedro.evaluation.geometry import RealObject, real_object
from placid_kedro.evaluation.retrieval import plain_name
from placid_kedro.objects.config import SweetHome3dSource
from placid_kedro.objects.sweethome3d import FurnitureModel, convert_model, list_furniture
from placid_kedro.rendering import Mesh, load_mesh


class KnownFurniture:
    """Furniture by the captions that the text-to-image model was trained on: names, articles, colours, materials.

    "A blue teddy bear" is the teddy bear, painted blue as for the training. Where an object of that name is blue by
    itself, it is meant instead.

    Args:
        folder: of the `.sh3f` libraries. That it holds none is told with the first object that is asked for.
    """

    def __init__(self, folder: str) -> None:
        self._source = SweetHome3dSource(folder=folder, libraries=(), count=0)
        self._vocabulary = read_split().vocabulary
        named = [(one.name, one.adjectives) for one in self._vocabulary]
        self._paintings = paintings(self._vocabulary)
        painted_rows = [(index, wanted) for index, _, wanted in self._paintings]
        self._by_caption = CaptionTable.of(named, painted_rows).by_caption
        self._furniture: dict[str, FurnitureModel] | None = None

    def meant_by(self, prompt: str) -> Mapping[str, RealObject]:
        """See `placid_kedro.evaluation.truth.RealObjects`."""
        noun = plain_name(prompt)
        wordings = (prompt.strip().casefold(), noun, with_article(noun)) if noun else ()
        found = next((self._by_caption[words] for words in wordings if words in self._by_caption), None)
        if found is None:
            raise DataError(f"the embedded models know no object by the name {prompt[:60]!r}.")
        if self._furniture is None:
            self._furniture = {one.record.uid: one for one in list_furniture(self._checked())}
        name, look = self._seen(found, self._furniture)
        return {name: look}

    def _seen(self, row: int, furniture: Mapping[str, FurnitureModel]) -> tuple[str, RealObject]:
        """Name and look of a row of the caption table: an object, or behind these one of the paintings."""
        count = len(self._vocabulary)
        index, *colors = (row,) if row < count else self._paintings[row - count]
        uid = self._vocabulary[index].uid
        if uid not in furniture:
            raise DataError(f"{self._source.folder} lacks the object {uid}.")
        mesh = furniture_mesh(furniture[uid])
        if not colors:
            return uid, real_object(mesh)
        own, wanted = colors
        return f"{uid}, painted {wanted}", real_object(mesh, paint=partial(painted, own=own, wanted=wanted))

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
