"""Names on the command line: a tag, dataset, environment or runner that is not there is said at once."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from kedro.pipeline import Pipeline
from kedro.utils import load_obj

from placid_kedro.errors import ParameterError

_ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz")
# The options that choose nodes: their names among those of `kedro run`, on the command line, and for `Pipeline.filter`.
_CHOICES = (
    ("node_names", "--nodes", "node_names"),
    ("from_nodes", "--from-nodes", "from_nodes"),
    ("to_nodes", "--to-nodes", "to_nodes"),
    ("from_inputs", "--from-inputs", "from_inputs"),
    ("to_outputs", "--to-outputs", "to_outputs"),
    ("tags", "--tags", "tags"),
    ("namespaces", "--namespaces", "node_namespaces"),
)
_RUNNERS = ("SequentialRunner", "ThreadRunner", "ParallelRunner")


def check_pipelines(names: Iterable[str], known: Iterable[str]) -> None:
    """Raises ParameterError where one of the pipelines that were asked for is not there."""
    _require(names, [name for name in known if name != "__default__"], "There is no pipeline")


def check_configuration(conf_source: str | None, env: str | None, project_path: Path) -> None:
    """Look for a configuration and an environment in it.

    Args:
        conf_source: folder or archive of the configuration; None for the project's own.
        env: that was asked for; None for the default one.
        project_path: folder of the project.

    Raises:
        ParameterError: there is no configuration, or no such environment in it.
    """
    configuration = Path(conf_source or project_path / "conf")
    if configuration.is_file() and not configuration.name.endswith(_ARCHIVES):
        raise ParameterError(
            f"{configuration} is no configuration; give --conf-source a folder like conf/, or such a folder in one "
            f"{', '.join(_ARCHIVES)} file."
        )
    if not configuration.is_dir():
        return  # Kedro looks into archives and at addresses
    if not (configuration / "base").is_dir():
        raise ParameterError(
            f"There is no configuration in {configuration}: it has no folder 'base'; give --conf-source a folder like "
            "conf/."
        )
    # An environment is a folder of the configuration, and may hold nothing yet.
    environments = [path.name for path in configuration.iterdir() if path.is_dir()]
    _require([env] if env is not None else [], environments, "There is no environment")


def check_names(options: Mapping[str, Any], pipeline: Pipeline, project_path: Path) -> None:
    """Look up what `kedro run` was told by name.

    Args:
        options: of `kedro run`.
        pipeline: that is to run.
        project_path: folder of the project.

    Raises:
        ParameterError: there is no such tag, namespace, dataset, configuration, environment or runner, naming it and
            the nearest; or no node is in all that was named.
    """
    tags = {tag for node in pipeline.nodes for tag in node.tags}
    namespaces = {node.namespace for node in pipeline.nodes if node.namespace}
    _require(options.get("tags"), tags, "The pipeline has no tag")
    _require(options.get("namespaces"), namespaces, "The pipeline has no stage")
    _require(options.get("from_inputs"), pipeline.datasets(), "The pipeline has no dataset")
    _require(options.get("to_outputs"), pipeline.datasets(), "The pipeline has no dataset")
    _require(options.get("load_versions"), pipeline.datasets(), "The pipeline has no dataset")
    check_configuration(options.get("conf_source"), options.get("env"), project_path)
    _check_runner(str(options.get("runner") or _RUNNERS[0]), options.get("runner_params") or {})
    _check_nodes_are_left(options, pipeline)


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


def _check_nodes_are_left(options: Mapping[str, Any], pipeline: Pipeline) -> None:
    given = [choice for choice in _CHOICES if options.get(choice[0])]
    try:
        pipeline.filter(**{name: options[option] for option, _, name in given})
    except ValueError as error:
        words = " and ".join(word for _, word, _ in given)
        raise ParameterError(
            f"No node is left of the pipeline with {words} as they are; leave one out, or give it another name."
        ) from error


def _check_runner(name: str, parameters: Mapping[str, Any]) -> None:
    from kedro.runner import AbstractRunner

    try:
        runner = load_obj(name, "kedro.runner")
    except (ImportError, AttributeError, ValueError) as error:
        raise ParameterError(f"There is no runner {name!r}; {_hint(name, _RUNNERS)}") from error
    if not (isinstance(runner, type) and issubclass(runner, AbstractRunner)):
        raise ParameterError(f"The object {name!r} is not a runner; {_hint(name, _RUNNERS)}")
    for parameter in parameters:
        if parameter not in inspect.signature(runner).parameters:
            raise ParameterError(f"The {runner.__name__} takes no {parameter!r}; leave --runner-params out.")
