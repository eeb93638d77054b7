"""A sequential runner that skips what is up to date, where Kedro's own skips what exists."""

import logging

from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node
from kedro.runner import SequentialRunner

from placid_kedro.app.runners.stamps import Stamps

logger = logging.getLogger("placid_kedro.run")


class StampedRunner(SequentialRunner):
    """Kedro's sequential runner with another meaning of `--only-missing-outputs`.

    Kedro skips nodes whose outputs exist; this runner skips them only when they also are what the node
    would make now, so that a changed parameter re-runs the stages that take it and all that follow, and
    nothing before.
    """

    def _filter_pipeline_for_missing_outputs(self, pipeline: Pipeline, catalog: CatalogProtocol) -> Pipeline:
        stamps = Stamps(pipeline, catalog)
        needed: set[str] = set()
        running: list[Node] = []
        for node in reversed(pipeline.nodes):
            if not node.outputs or stamps.is_stale(node) or needed & set(node.outputs):
                running.append(node)
                # Only what is not on disk has to be made again for the sake of a node that runs.
                needed |= {name for name in node.inputs if stamps.path(name) is None}
        skipped = [node.name for node in pipeline.nodes if node not in running]
        if skipped:
            logger.info("up to date, not run again: %s", ", ".join(skipped))
        return pipeline.filter(node_names=[node.name for node in running]) if running else Pipeline([])
