"""MLflow's page of an experiment: which columns it shows, and where it is."""

import json
import os
from pathlib import Path
from typing import Any

from placid_kedro.app.addresses import without_password
from placid_kedro.app.tracking_store import Store, database_of

# A view of the table of runs that its address names.
_VIEW = "placid_kedro"
_COLUMNS = (
    "params.`prompt`",
    "tags.`variant`",
    "params.`seed`",
    "tags.`pipeline`",
    "metrics.`retrieval_rank`",
    "metrics.`retrieval_score`",
    "attributes.`Source`",
    "attributes.`User`",
)


# Beside it, a view of the objects of sweeps, with charts that compare them.
_SWEEPS = "placid_kedro_sweeps"
# The ends of their addresses. MLflow opens an experiment on its page for language models; these ask for runs.
RUNS_PAGE = f"workflowType=machine_learning&viewStateShareKey={_VIEW}"
SWEEPS_PAGE = f"workflowType=machine_learning&viewStateShareKey={_SWEEPS}&compareRunsMode=CHART"
_OBJECT_COLUMNS = ("params.`prompt`", "tags.`variant`", "params.`seed`", "tags.`sweep`")
_WHAT_DIFFERS = ("distillation.algorithm", "init.source.kind", "lora.steps")
_MEASURES = tuple(f"object/geometry.{name}" for name in ("silhouette_iou", "color_distance", "detail"))


def choose_columns(store: Store, experiment_id: str) -> None:
    """Let the views that MLflow's addresses name show what tells runs apart; a view that somebody has changed stays."""
    known = store.call("get_experiment", experiment_id).tags
    for name, state in ((_VIEW, {"selectedColumns": _COLUMNS}), (_SWEEPS, _sweeps_view())):
        tag = f"mlflow.sharedViewState.{name}"
        if tag not in known:
            store.call("set_experiment_tag", experiment_id, tag, json.dumps(state))


def _sweeps_view() -> dict[str, Any]:
    """The state of MLflow's page: parallel coordinates, an image grid and bars over the objects of sweeps."""
    wide, beside = "sweeps-wide", "sweeps-beside"  # the names of six axes need the whole width
    cards: list[dict[str, Any]] = [
        {
            "type": "PARALLEL",
            "metricSectionId": wide,
            "selectedParams": _WHAT_DIFFERS,
            "selectedMetrics": _MEASURES,
            "showAllRuns": False,
        },
        {
            "type": "IMAGE",
            "metricSectionId": beside,
            "imageKeys": ["gaussians"],
            "step": 0,
            "showRunParams": False,
        },
        *({"type": "BAR", "metricSectionId": beside, "metricKey": measure} for measure in _MEASURES),
    ]
    fixed = {"runsCountToCompare": 20, "isGenerated": False, "deleted": False}
    return {
        "searchFilter": "tags.sweep LIKE '%'",
        # Sorted by the date, MLflow folds the objects into their sweep's row.
        "orderByKey": f"metrics.`{_MEASURES[0]}`",
        "orderByAsc": False,
        "selectedColumns": [*_OBJECT_COLUMNS, *(f"metrics.`{measure}`" for measure in _MEASURES)],
        "runsHiddenMode": "SHOWALL",
        "compareRunCharts": [{**card, **fixed, "uuid": f"sweeps-{n}"} for n, card in enumerate(cards)],
        "compareRunSections": [
            _section(wide, "Settings and measures", 1),
            _section(beside, "Pictures and bars", 2),
        ],
        "isAccordionReordered": True,
    }


def _section(uuid: str, name: str, columns: int) -> dict[str, Any]:
    return {
        "uuid": uuid,
        "name": name,
        "columns": columns,
        "display": True,
        "isReordered": True,
        "deleted": False,
    }


def how_to_see(uri: str, project_path: Path, experiment_id: str, page: str) -> str:
    """Where a browser finds the recorded runs: the address, and the command that serves it where none does yet.

    page: `RUNS_PAGE` or `SWEEPS_PAGE`.
    """
    path = f"/#/experiments/{experiment_id}/runs?{page}"
    if uri.startswith(("http://", "https://")):
        return without_password(uri.rstrip("/")) + path
    known = "MLFLOW_TRACKING_URI" in os.environ or database_of(uri) == project_path / "mlflow.db"
    command = "mlflow ui" if known else f"mlflow ui --backend-store-uri {without_password(uri)}"
    return f"start `{command}`, then open http://127.0.0.1:5000{path}"
