"""Hooks of every run: checks before the work, progress and records while it goes on."""

import atexit
import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node
from pydantic import BaseModel

from placid_kedro.app import preflight
from placid_kedro.app.model_check import check_models
from placid_kedro.app.node_names import stage_of
from placid_kedro.app.peak_memory import forget_peak, peak_mib
from placid_kedro.app.run_context import (
    RunContext,
    SessionSource,
    TrackedProgress,
    current_run,
    set_current_run,
)
from placid_kedro.app.run_record import models_left_out, needed_models, parameter_groups, record_of
from placid_kedro.app.runners.stamps import Stamps, dataset_path
from placid_kedro.app.tracking import NoTracker, RunStatus, Tracker, start_run
from placid_kedro.checkpoints import Checkpoint
from placid_kedro.config import Parameters, RunParameters
from placid_kedro.config.check import check_parameters
from placid_kedro.objects.checks import check_renderer, check_scorer
from placid_kedro.progress import ConsoleProgress

logger = logging.getLogger(__name__)
run_log = logging.getLogger("placid_kedro.run")

# Parameter groups of the stages that render splats on the run's device.
SPLATTING = {"bsd_3dgs", "t3bench_eval", "evaluate", "ablation", "export"}


def typed_parameters(model: BaseModel | None, prefix: str = "params:") -> Iterator[tuple[str, BaseModel]]:
    """Every group of a parameter tree, as the name that nodes know it by and its model."""
    for name in type(model).model_fields if model is not None else ():
        group = getattr(model, name)
        if isinstance(group, BaseModel):
            yield f"{prefix}{name}", group
            yield from typed_parameters(group, f"{prefix}{name}.")


class PreflightHooks:
    """Everything that can be wrong with a run is found before its first stage."""

    def __init__(self) -> None:
        self._parameters: Parameters | None = None
        self._project_path = Path()
        self._data_root = Path()

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Check names and types of all parameters."""
        self._parameters = check_parameters(context.config_loader["parameters"])
        self._project_path = context.project_path
        self._data_root = context.project_path / context.config_loader["globals"]["data_root"]

    @hook_impl
    def after_catalog_created(
        self, catalog: CatalogProtocol, conf_catalog: dict[str, Any], load_versions: dict[str, str] | None
    ) -> None:
        """Refuse versions of what keeps none, and give every node its parameters as models.

        Kedro does so where it can evaluate all hints of a node's function, but one hint that is imported for type
        checkers only (a tensor's) makes it hand over dictionaries.
        """
        preflight.check_versions(load_versions or {}, conf_catalog)
        for name, model in typed_parameters(self._parameters):
            if name in catalog:
                catalog.save(name, model)

    @hook_impl
    def before_pipeline_run(
        self, run_params: dict[str, Any], pipeline: Pipeline, catalog: CatalogProtocol
    ) -> None:
        """Check what the pipeline needs and where it writes."""
        preflight.check_runner(str(run_params["runner"]))
        parameters = self._parameters
        if parameters is None:
            raise RuntimeError("Kedro ran a pipeline before it created a context.")
        groups = parameter_groups(pipeline)
        if "prompt" in groups:
            preflight.check_prompt(parameters)
        if "models" in groups:
            self._check_models(
                parameters, needed_models(pipeline, parameters), makes_views="multiview" in groups
            )
        if "multiview" in groups:
            preflight.check_multiview(parameters.multiview)
        if "reference" in groups:
            preflight.check_reference(parameters.reference, self._project_path)
        if "init" in groups:
            preflight.check_init(parameters.init, parameters.multiview.plane_preset)
        if "syncdreamer_render" in groups:
            check_renderer(parameters.syncdreamer_render)
        if "filter" in groups:
            check_scorer(parameters.filter, self._project_path)
        for group in groups & {"t3bench_eval", "evaluate"}:
            preflight.check_scores(getattr(parameters, group).scores, catalog.load("judge_credentials"))
            preflight.check_truth(getattr(parameters, group).truth)
        if "import_models" in groups:
            preflight.check_imports(parameters.import_models, pipeline.inputs())
        if "run" in groups:
            preflight.check_device(parameters.run.device)
        if groups & SPLATTING:
            preflight.check_kernels()
            preflight.check_splatting(parameters.run.device)
        if "models" in groups:
            preflight.check_memory(parameters, groups, self._project_path)
        if "latent_plane_train" in groups:
            preflight.check_plane_training(parameters, renders="syncdreamer_render" in groups)
        preflight.check_disk(self._data_root, parameters.run.free_disk_mb)
        outputs = [catalog.get(name) for name in sorted(pipeline.all_outputs()) if name in catalog]
        preflight.check_targets(output for output in outputs if isinstance(output, preflight.Target))

    def _check_models(self, parameters: Parameters, needed: set[str], makes_views: bool) -> None:
        """Refuse a run whose models cannot be had, and say what it will fetch and which sources it passed over."""
        multiview = parameters.multiview if makes_views else None
        for available in check_models(parameters.models, self._project_path, needed, multiview=multiview):
            for reason in available.passed_over:
                logger.warning("%s is taken: %s.", available.pinned, reason)
            if available.to_fetch:
                logger.info(
                    "%s: %.0f MiB will be fetched", available.pinned, sum(available.to_fetch.values()) / 2**20
                )


class StampHooks:
    """Leaves a stamp beside each artifact that says from what it was made (see
    `placid_kedro.app.runners.stamps`)."""

    def __init__(self) -> None:
        self._stamps: Stamps | None = None
        self._slug = ""

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Remember the folder of the run's prompt."""
        self._slug = getattr(context.config_loader, "slug", "")

    @hook_impl
    def before_pipeline_run(self, pipeline: Pipeline, catalog: CatalogProtocol) -> None:
        """Get ready for the run's datasets, and say which are replaced that other parameters made."""
        self._stamps = Stamps(pipeline, catalog)
        self._tell_replaced(self._stamps, pipeline)
        for node in pipeline.nodes:
            path = self._stamps.checkpoint(node)
            if path is not None and path.exists() and not self._stamps.is_stale(node):
                path.unlink()  # killed after the last save

    def _tell_replaced(self, stamps: Stamps, pipeline: Pipeline) -> None:
        """Name the results that other parameters made, and those parameters."""
        replaced: list[str] = []
        changed: set[str] = set()
        for node in pipeline.nodes:
            paths = [path for name in node.outputs if (path := stamps.path(name)) is not None]
            if not any(path.parent.as_posix().endswith(f"/{self._slug}") for path in paths):
                continue
            if names := stamps.changed_parameters(node):
                replaced += [path.name for path in paths]
                changed |= names
        if replaced:
            logger.warning(
                "%s of %s: made with other parameters (%s), replaced now; to keep both, give this run a name: "
                "--params experiment=NAME",
                ", ".join(replaced),
                self._slug,
                ", ".join(sorted(changed)),
            )

    @hook_impl
    def before_dataset_loaded(self, dataset_name: str) -> None:
        """Note what is read."""
        if self._stamps is not None:
            self._stamps.before_reading(dataset_name)

    @hook_impl
    def after_dataset_loaded(self, dataset_name: str) -> None:
        """See that it was one thing."""
        if self._stamps is not None:
            self._stamps.after_reading(dataset_name)

    @hook_impl
    def before_node_run(self, node: Node, inputs: Mapping[str, Any]) -> None:
        """Say where the node may leave off, and where it may go on from."""
        assert self._stamps is not None
        path, run = self._stamps.checkpoint(node), inputs.get("params:run")
        checkpoint = None
        if path is not None and isinstance(run, RunParameters):
            checkpoint = Checkpoint(path, self._stamps.digest_as_read(node), run.checkpoint_seconds)
        set_current_run(replace(current_run(), checkpoint=checkpoint))

    @hook_impl
    def before_dataset_saved(self, dataset_name: str) -> None:
        """Take the old stamp away."""
        if self._stamps is not None:
            self._stamps.remove(dataset_name)

    @hook_impl
    def after_dataset_saved(self, dataset_name: str, node: Node) -> None:
        """Leave the new stamp; what the node could have gone on from is needed no longer."""
        if self._stamps is not None:
            self._stamps.write(dataset_name, node)
            path = self._stamps.checkpoint(node)
            if path is not None and dataset_name == node.outputs[-1]:
                path.unlink(missing_ok=True)


class TrackingHooks:
    """Shows the progress of each stage and records the run in MLflow."""

    def __init__(self) -> None:
        # A run that Ctrl-C or SystemExit ends raises no error that Kedro would report.
        atexit.register(self._close, "KILLED")
        self._context: KedroContext | None = None
        self._catalog: CatalogProtocol | None = None
        self._console = ConsoleProgress()
        self._tracker: Tracker = NoTracker()
        # Of the newest run; the run's context holds the same dictionaries.
        self.stage_seconds: dict[str, float] = {}
        self.stage_peak_mib: dict[str, float] = {}
        self._node = ExitStack()
        self._node_started = 0.0

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Remember where the project is."""
        self._context = context

    @hook_impl
    def before_pipeline_run(
        self, run_params: dict[str, Any], pipeline: Pipeline, catalog: CatalogProtocol
    ) -> None:
        """Open the run, with the parameters that its nodes take."""
        if self._context is None:
            raise RuntimeError("Kedro ran a pipeline before it created a context.")
        parameters = check_parameters(self._context.config_loader["parameters"])
        self._catalog = catalog
        self._console = ConsoleProgress(parameters.run.report_seconds)
        self.stage_seconds, self.stage_peak_mib = {}, {}
        if parameters.tracking.enabled:
            with self._console.stage("open MLflow"):
                project_path = self._context.project_path
                record = record_of(parameters, pipeline, catalog, run_params, project_path)
                self._tracker = start_run(parameters.tracking, project_path, record)
        set_current_run(
            RunContext(
                source=source_of(self._context),
                progress=TrackedProgress(self._console, self._tracker),
                tracker=self._tracker,
                stage_seconds=self.stage_seconds,
                stage_peak_mib=self.stage_peak_mib,
                unused_models=frozenset(models_left_out(parameters)),
            )
        )

    @hook_impl
    def before_node_run(self, node: Node) -> None:
        """Start the stage's clock and its sign of life."""
        self._node.enter_context(self._console.stage(node.name.rpartition(".")[2]))
        self._node_started = time.monotonic()
        forget_peak()

    @hook_impl
    def after_node_run(self, node: Node) -> None:
        """Stop the clock, and note the most memory."""
        seconds = time.monotonic() - self._node_started
        self._node.close()
        stage = stage_of(node)
        self.stage_seconds[stage] = self.stage_seconds.get(stage, 0.0) + seconds
        self.stage_peak_mib[stage] = max(self.stage_peak_mib.get(stage, 0.0), peak_mib())
        self._tracker.log_metrics(
            0,
            {
                f"seconds/{stage}": self.stage_seconds[stage],
                f"peak_mib/{stage}": self.stage_peak_mib[stage],
            },
        )

    @hook_impl
    def on_node_error(self, error: Exception) -> None:
        """Stop the sign of life."""
        self._node.__exit__(type(error), error, error.__traceback__)

    @hook_impl
    def after_dataset_saved(self, dataset_name: str) -> None:
        """Record an artifact whose catalog entry says `metadata: {mlflow: true}`."""
        dataset = self._catalog.get(dataset_name) if self._catalog is not None else None
        metadata: Mapping[str, Any] = getattr(dataset, "metadata", None) or {}
        path = dataset_path(dataset)
        if metadata.get("mlflow") and path is not None:
            self._tracker.log_artifact(path)

    @hook_impl
    def after_pipeline_run(self) -> None:
        """Close the run, and say where it is recorded."""
        address = self._tracker.address
        self._close("FINISHED")
        if address:
            run_log.info("compare it with others in MLflow: %s", address)

    @hook_impl
    def on_pipeline_error(self) -> None:
        """Close the run as failed."""
        self._close("FAILED")

    def _close(self, status: RunStatus) -> None:
        self._tracker.end(status)
        self._tracker = NoTracker()
        set_current_run(None)


def source_of(context: KedroContext) -> SessionSource:
    """What another session like this one is made from."""
    return SessionSource(
        project_path=context.project_path,
        conf_source=str(context.config_loader.conf_source),
        env=context.env,
        parameters=dict(context.config_loader["parameters"]),
    )
