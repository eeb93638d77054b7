"""From the curated list to the views of its objects, with the stages that also make training sets."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pandas as pd

from placid_kedro.embedded.training.attribution import Credit
from placid_kedro.embedded.training.config import PretrainParameters
from placid_kedro.embedded.training.split import ObjectSplit
from placid_kedro.embedded.training.views import PackedViews
from placid_kedro.errors import DataError
from placid_kedro.files import digest_of
from placid_kedro.objects.config import IngestParameters
from placid_kedro.objects.dataset import RenderedObjects
from placid_kedro.objects.folder import list_folder
from placid_kedro.objects.ingest import ingest
from placid_kedro.objects.render_stage import RenderPlan, render_objects
from placid_kedro.objects.sweethome3d import list_furniture
from placid_kedro.objects.table import accepted
from placid_kedro.progress import SILENT, Progress


def check_sources(split: ObjectSplit, parameters: IngestParameters) -> None:
    """Look, without reading any mesh, whether the sources have the trained objects.

    Objaverse's index is left to `trained_objects`: it may have to be downloaded.

    Raises:
        DataError: a source is missing, or none has an object of the list.
    """
    if "objaverse" in parameters.source_names:
        return
    known: set[str] = set()
    if "sweethome3d" in parameters.source_names:
        known |= {model.record.uid for model in list_furniture(parameters.sweethome3d)}
    if "folder" in parameters.source_names:
        known |= {record.uid for record in list_folder(parameters.folder)}
    _require_known(split, known)


def trained_objects(
    split: ObjectSplit, parameters: IngestParameters, seed: int, progress: Progress = SILENT
) -> pd.DataFrame:
    """The table of the objects that networks are trained on, in the split's order.

    Raises:
        DataError: when a source lacks one of them or it cannot be read.
    """
    table = ingest(parameters, seed, progress).set_index("uid", drop=False)
    _require_known(split, set(table.index))
    chosen = table.loc[[one.uid for one in split.trained]].reset_index(drop=True)
    _require_all(chosen)
    return chosen


def packed_views(
    objects: pd.DataFrame, plans: Sequence[RenderPlan], progress: Progress = SILENT
) -> PackedViews:
    """Render the objects by every plan, those that are rendered already apart, and get ready to pack their views.

    Raises:
        DataError: when one of them cannot be rendered.
    """
    sets, made_of = [], []
    for plan in plans:
        rendered = render_objects(objects, plan, progress)
        _require_all(rendered)
        made_of += [plan.provenance(), *rendered["views_sha256"]]
        sets.append(RenderedObjects(rendered, plan.folder))
    return PackedViews(tuple(sets), digest_of(*made_of), progress)


def deformed_plans(parameters: PretrainParameters, seed: int) -> list[RenderPlan]:
    """The plans by which the objects are rendered with other proportions, once a copy."""
    rendering, wanted = parameters.rendering, parameters.deformed
    return [
        RenderPlan(
            rendering.model_copy(
                update={"deformation": wanted.shape, "folder": f"{rendering.folder}_deformed_{copy}"}
            ),
            seed + copy,
        )
        for copy in range(1, wanted.copies + 1)
    ]


def made_plan(parameters: PretrainParameters, seed: int) -> RenderPlan:
    """The plan by which objects made by chance are rendered: like the others, into a folder of their own."""
    rendering = parameters.rendering
    return RenderPlan(rendering.model_copy(update={"folder": f"{rendering.folder}_made"}), seed)


def credits_of(split: ObjectSplit, objects: pd.DataFrame) -> list[Credit]:
    """Whom to name for the trained objects.

    Args:
        split: of the objects.
        objects: their table.
    """
    rows = objects.set_index("uid")
    return [
        Credit(
            catalog_id=one.catalog_id,
            name=one.name,
            creator=rows.loc[one.uid, "attribution"],
            library=one.catalog_id.partition("#")[0],
            licence=rows.loc[one.uid, "licence"],
        )
        for one in split.trained
    ]


def _require_known(split: ObjectSplit, known: set[str]) -> None:
    missing = [one.uid for one in split.trained if one.uid not in known]
    if missing:
        raise DataError(
            f"The sources in pretrain.ingest lack {len(missing)} objects of the list, first {missing[0]}; add the "
            "source that has them, or take them off the list."
        )


def _require_all(table: pd.DataFrame) -> None:
    """The models are to learn all objects of the list: a missing one is an error, not a smaller data set."""
    rejected = table[table["reason"] != ""]
    if len(rejected):
        first = rejected.iloc[0]
        raise DataError(
            f"{len(rejected)} of the {len(accepted(table)) + len(rejected)} objects cannot be used, first "
            f"{first['uid']} ({json.dumps(first['detail'])}); repair them or take them off the list."
        )
