"""Hooks of a sweep: everything that can be wrong with one of its objects is found before the first."""

from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.framework.project import pipelines
from kedro.pipeline import Pipeline

from placid_kedro.app.hooks import source_of
from placid_kedro.app.run_context import SessionSource
from placid_kedro.app.run_record import parameter_groups
from placid_kedro.app.sweep.plan import plan_cells
from placid_kedro.config.check import check_parameters


class SweepHooks:
    """Checks every variant with every prompt."""

    def __init__(self) -> None:
        self._source: SessionSource | None = None

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Remember what the session was made from."""
        self._source = source_of(context)

    @hook_impl
    def before_pipeline_run(self, pipeline: Pipeline) -> None:
        """Plan the sweep, where the pipeline is one."""
        if self._source is not None and "ablation" in parameter_groups(pipeline):
            ablation = check_parameters(self._source.parameters).ablation
            plan_cells(self._source, ablation, pipelines["generate"])
