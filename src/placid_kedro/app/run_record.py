"""What is recorded of a run before it starts: its name, its parameters, its tags, and what it is made from."""

import getpass
import platform
import subprocess
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import distributions
from pathlib import Path
from typing import Any, get_args

from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline

from placid_kedro.app.experiment_page import RUNS_PAGE, SWEEPS_PAGE
from placid_kedro.app.runners.stamps import dataset_path
from placid_kedro.app.variants import variants_of
from placid_kedro.config import ModelsParameters, Parameters
from placid_kedro.files import content_hash, digest_of, is_local
from placid_kedro.latent_plane.config import ViewsSource
from placid_kedro.models import find_model
from placid_kedro.prompts.slug import slugify_prompt
from placid_kedro.versions import package_versions

_DIGEST_LIMIT = 36
_NAME_LIMIT = 250
# Groups of the stages of `generate` whose parameters say which models they take.
_WITH_MODELS = ("reference", "multiview", "init")
_VIEWS_MODELS = [source.model_fields["kind"].default for source in get_args(ViewsSource)]
# The name says these in another way, or they do not change what comes out.
_NOT_IN_THE_NAME = (
    "prompt",
    "seed",
    "distillation.algorithm",
    "tracking.",
    "run.",
    "models.",
    "ablation.name",
)


@dataclass(frozen=True)
class Source:
    """Something that a run is made from.

    Attributes:
        name: short, for tables.
        digest: tells one state of it from another, at most 36 characters.
        place: a path, an address or the text itself.
        context: what it is to the run, such as `prompts` or `model`.
    """

    name: str
    digest: str
    place: str
    context: str


@dataclass(frozen=True)
class RunRecord:
    """What is recorded of a run before it starts.

    Attributes:
        name: says what differs from other runs: `a-cactus sds seed 3`.
        values: nested parameters, recorded one a leaf as `group.name`.
        tags: MLflow's own (`mlflow.user`, `mlflow.source.name`, ...) and this project's.
        sources: what the run is made from.
        packages: every installed distribution, as `pip freeze` writes it.
        page: of MLflow, that shows the run beside others.
    """

    name: str
    values: Mapping[str, Any]
    tags: Mapping[str, str]
    sources: tuple[Source, ...] = ()
    packages: str = ""
    page: str = RUNS_PAGE


def record_of(
    parameters: Parameters,
    pipeline: Pipeline,
    catalog: CatalogProtocol,
    run_params: Mapping[str, Any],
    project_path: Path,
) -> RunRecord:
    """Describe a run that is about to start. A sweep names the variant and the sources of its cells itself.

    Args:
        parameters: of the run, checked.
        pipeline: what runs.
        catalog: its datasets.
        run_params: Kedro's description of the session.
        project_path: folder that relative paths in the parameters are in.
    """
    groups = parameter_groups(pipeline) | {"run", "experiment"}
    tags = run_tags(project_path, run_params)
    sources: tuple[Source, ...] = ()
    if not parameters.tracking.run and "ablation" not in groups:
        sources = (
            *model_sources(parameters.models, project_path, needed_models(pipeline, parameters)),
            *_files_read(pipeline, catalog),
        )
        tags |= {"variant": parameters.distillation.root.algorithm} if "distillation" in groups else {}
    return RunRecord(
        name=run_name(parameters, groups, run_params),
        values={key: value for key, value in parameters.model_dump(mode="json").items() if key in groups},
        tags=tags,
        sources=sources,
        packages=installed_packages(),
        page=SWEEPS_PAGE if "ablation" in groups else RUNS_PAGE,
    )


def parameter_groups(pipeline: Pipeline) -> set[str]:
    """First names of the parameters that a pipeline's nodes take: `params:lora.rank` is in the group
    `lora`."""
    return {
        name.removeprefix("params:").split(".")[0] for name in pipeline.inputs() if name.startswith("params:")
    }


def needed_models(pipeline: Pipeline, parameters: Parameters) -> set[str]:
    """Names of the models that a pipeline's nodes take, alone (`params:models.scorer`) or with all others; without
    those that they leave out as their parameters are, and none where no node takes `params:run`: the stage `prompt`
    looks for a list of names in a model's folder. Of a sweep, those that any of its variants takes.

    Raises:
        PlacidError: see `placid_kedro.app.variants.variants_of`.
    """
    groups = parameter_groups(pipeline)
    if "ablation" in groups:
        return {name for one in variants_of(parameters) for name in taken_models(one)}
    if "run" not in groups:
        return set()
    taken = {
        name.removeprefix("params:models") for name in pipeline.inputs() if name.startswith("params:models")
    }
    needed = set(ModelsParameters.model_fields) if "" in taken else {name.removeprefix(".") for name in taken}
    return needed - models_left_out(parameters, groups)


def taken_models(parameters: Parameters) -> set[str]:
    """Names of the models that an object is made with."""
    return set(ModelsParameters.model_fields) - models_left_out(parameters)


def models_left_out(parameters: Parameters, groups: Collection[str] = _WITH_MODELS) -> set[str]:
    """Names of the models that the stages with these groups of parameters do not take as the parameters are."""
    draws_views = parameters.multiview.source.kind if "multiview" in groups else None
    draws_reference = None
    if "reference" in groups and not parameters.reference.image:
        draws_reference = parameters.reference.source.kind
    # Where no views are drawn, zero123 may be what a Latent-Plane is trained in.
    unused = set(_VIEWS_MODELS) - {draws_views or "zero123", draws_reference}
    if "init" not in groups or parameters.init.source.kind != "shap_e":
        unused.add("shap_e")
    if draws_views is not None and parameters.multiview.plane_preset == "none":
        unused.add("latent_plane")
    return unused


def pipeline_name(run_params: Mapping[str, Any]) -> str:
    """The pipelines that were asked for; `generate` is the one that runs where none was."""
    names = run_params.get("pipeline_names") or ["__default__"]
    return "+".join("generate" if name == "__default__" else name for name in names)


def run_name(parameters: Parameters, groups: set[str], run_params: Mapping[str, Any]) -> str:
    """What tells a run from others: prompt, algorithm and seed or else the pipeline, an environment that is not the
    default one, and changed parameters.

    Example: `a-cactus sds seed 3 draft lora.steps=50`.
    """
    parts = [pipeline_name(run_params)]
    if "prompt" in groups:
        parts = [slugify_prompt(parameters.prompt)]
        parts += [parameters.distillation.root.algorithm] if "distillation" in groups else []
        parts += [f"seed {parameters.seed}"]
    elif "ablation" in groups:
        parts = [f"sweep {parameters.ablation.name}"]
    parts += [environment] if (environment := run_params.get("env") or "local") != "local" else []
    changed = flatten(run_params.get("runtime_params") or {})
    parts += [f"{name}={value}" for name, value in changed.items() if not name.startswith(_NOT_IN_THE_NAME)]
    return " ".join(parts)[:_NAME_LIMIT]


def run_tags(project_path: Path, run_params: Mapping[str, Any]) -> dict[str, str]:
    """Tags of a run: pipeline, environment, command, user, machine, commit and versions."""
    environment, pipeline = str(run_params.get("env") or "local"), pipeline_name(run_params)
    branch = _git(project_path, "rev-parse", "--abbrev-ref", "HEAD")
    return {
        "pipeline": pipeline,
        "environment": environment,
        "mlflow.user": _user(),
        "mlflow.source.type": "LOCAL",
        "mlflow.source.name": f"kedro run --env {environment} --pipeline {pipeline}",
        "mlflow.source.git.commit": _commit(project_path),
        **({"mlflow.source.git.branch": branch} if branch else {}),
        "machine": platform.node(),
        "version.python": platform.python_version(),
        **{f"version.{name}": number for name, number in package_versions().items()},
    }


def model_sources(models: ModelsParameters, project_path: Path, needed: Collection[str]) -> list[Source]:
    """Where the models of a run come from: a folder with the SHA-256 of its contents, or a model of a hub."""

    def source(name: str, given: Any) -> Source:
        place = find_model(given, project_path).pinned
        if not is_local(place):
            return Source(name, digest_of(place), place, "model")
        return Source(
            name, content_hash(project_path / Path(place).expanduser())[:_DIGEST_LIMIT], place, "model"
        )

    return [source(name, given) for name, given in models if name in needed]


@cache
def installed_packages() -> str:
    """One line `name==version` for every installed distribution, in order of their names; read once a process."""
    lines = {f"{one.name}=={one.version}" for one in distributions() if one.name}
    return "\n".join(sorted(lines, key=str.lower)) + "\n"


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one mapping with dotted names."""
    leaves: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            leaves |= flatten(value, f"{prefix}{key}.")
        else:
            leaves[f"{prefix}{key}"] = value
    return leaves


def _files_read(pipeline: Pipeline, catalog: CatalogProtocol) -> list[Source]:
    """Files and folders that the pipeline reads and does not make."""
    found = [
        (name, path)
        for name in sorted(pipeline.inputs())
        if name in catalog and (path := dataset_path(catalog.get(name))) is not None and path.exists()
    ]
    return [Source(name, content_hash(path)[:_DIGEST_LIMIT], str(path), "dataset") for name, path in found]


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # no name for this user id, as in a container
        return "unknown"


def _commit(folder: Path) -> str:
    return _git(folder, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*") or "unknown"


def _git(folder: Path, *arguments: str) -> str:
    """What git says; nothing outside a repository, or where git is not installed."""
    try:
        return subprocess.run(
            ["git", *arguments], cwd=folder, capture_output=True, text=True, check=False
        ).stdout.strip()
    except FileNotFoundError:
        return ""
