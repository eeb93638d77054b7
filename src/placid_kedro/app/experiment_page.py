"""MLflow's page of an experiment: which columns it shows, and where it is."""

import json
import os
from pathlib import Path

from placid_kedro.app.addresses import without_password
from placid_kedro.app.tracking_store import Store, database_of

# A view of the table of runs that its address names.
_VIEW = "placid_kedro"
_TAG = f"mlflow.sharedViewState.{_VIEW}"
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


def choose_columns(store: Store, experiment_id: str) -> None:
    """Let the view that `how_to_see` names show what tells runs apart; a view that somebody has changed stays."""
    if _TAG not in store.call("get_experiment", experiment_id).tags:
        columns = json.dumps({"selectedColumns": _COLUMNS})
        store.call("set_experiment_tag", experiment_id, _TAG, columns)


def how_to_see(uri: str, project_path: Path, experiment_id: str) -> str:
    """Where a browser finds the recorded runs: the address, and the command that serves it where none does yet.

    MLflow opens an experiment on its page for language models; the address asks for the table of runs.
    """
    page = f"/#/experiments/{experiment_id}/runs?workflowType=machine_learning&viewStateShareKey={_VIEW}"
    if uri.startswith(("http://", "https://")):
        return without_password(uri.rstrip("/")) + page
    known = "MLFLOW_TRACKING_URI" in os.environ or database_of(uri) == project_path / "mlflow.db"
    command = "mlflow ui" if known else f"mlflow ui --backend-store-uri {without_password(uri)}"
    return f"start `{command}`, then open http://127.0.0.1:5000{page}"
