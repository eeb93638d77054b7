"""Names on the command line: a tag, dataset, environment or runner that is not there is said at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from kedro.pipeline import Pipeline
from kedro.utils import load_obj

from placid_kedro.errors import ParameterError

_RUNNERS = ("SequentialRunner", "ThreadRunner", "ParallelRunner")


def check_names(options: Mapping[str, Any], pipeline: Pipeline, project_path: Path) -> None:
    """Look up what `kedro run` was told by name.

    Args:
        options: of `kedro run`.
        pipeline: that is to run.
        project_path: folder of the project.

    Raises:
        ParameterError: there is no such tag, namespace, dataset, environment or runner; naming it and the nearest.
    """
    tags = {tag for node in pipeline.nodes for tag in node.tags}
    namespaces = {node.namespace for node in pipeline.nodes if node.namespace}
    # An environment is a folder of the configuration, and may hold nothing yet.
    configuration = Path(options.get("conf_source") or project_path / "conf")
    environments = [path.name for path in configuration.glob("*") if path.is_dir()]
    _require(options.get("tags"), tags, "The pipeline has no tag")
    _require(options.get("namespaces"), namespaces, "The pipeline has no stage")
    _require(options.get("from_inputs"), pipeline.datasets(), "The pipeline has no dataset")
    _require(options.get("to_outputs"), pipeline.datasets(), "The pipeline has no dataset")
    _require(options.get("load_versions"), pipeline.datasets(), "The pipeline has no dataset")
    if options.get("env") and not configuration.is_file():  # Kedro looks into archives
        _require([options["env"]], environments, "There is no environment")
    if options.get("runner"):
        _check_runner(str(options["runner"]))


def _require(names: Iterable[str] | None, known: Iterable[str], sentence: str) -> None:
    for name in names or ():
        if name not in known:
            raise ParameterError(f"{sentence} {name!r}; {_hint(name, known)}")


def _hint(name: str, known: Iterable[str]) -> str:
    names = sorted(known)
    near = get_close_matches(name, names, n=1)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"there are {', '.join(names)}." if names else "there is none."


def _check_runner(name: str) -> None:
    from kedro.runner import AbstractRunner

    try:
        runner = load_obj(name, "kedro.runner")
    except (ImportError, AttributeError, ValueError) as error:
        raise ParameterError(f"There is no runner {name!r}; {_hint(name, _RUNNERS)}") from error
    if not (isinstance(runner, type) and issubclass(runner, AbstractRunner)):
        raise ParameterError(f"The object {name!r} is not a runner; {_hint(name, _RUNNERS)}")
