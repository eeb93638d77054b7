"""A sequential runner that knows which artifacts are out of date."""

import logging
from pathlib import Path
from typing import Any

from kedro.framework.hooks import hook_impl
from kedro.framework.hooks.manager import _create_hook_manager
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node
from kedro.runner import SequentialRunner
from pluggy import PluginManager

from placid_kedro.runners.stamps import fingerprint, node_digest, read_stamp, stamp_path, value_digest, write_stamp

logger = logging.getLogger(__name__)


class StampedRunner(SequentialRunner):
    """Kedro's sequential runner, with a stamp beside each artifact that says from what it was made.

    A plain run makes everything anew. With `--only-missing-outputs`, Kedro skips nodes whose outputs exist; this
    runner skips them only when they also are what the node would make now, so that a changed parameter re-runs the
    first stage that takes it and all that follows, and nothing before.
    """

    def run(
        self,
        pipeline: Pipeline,
        catalog: CatalogProtocol,
        hook_manager: PluginManager | None = None,
        run_id: str | None = None,
        only_missing_outputs: bool = False,
    ) -> dict[str, Any]:
        """Run the pipeline and stamp what it saves. Arguments and result are those of Kedro's runners."""
        manager = hook_manager or _create_hook_manager()
        stamps = _Stamps(pipeline, catalog)
        manager.register(stamps)
        try:
            return super().run(pipeline, catalog, manager, run_id, only_missing_outputs)
        finally:
            manager.unregister(stamps)

    def _filter_pipeline_for_missing_outputs(self, pipeline: Pipeline, catalog: CatalogProtocol) -> Pipeline:
        stamps = _Stamps(pipeline, catalog)
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


class _Stamps:
    """Digests of the datasets of one pipeline; as a hook, it writes the stamps."""

    def __init__(self, pipeline: Pipeline, catalog: CatalogProtocol) -> None:
        self._catalog = catalog
        self._producers = {output: node for node in pipeline.nodes for output in node.outputs}
        self._digests: dict[str, str] = {}

    def path(self, name: str) -> Path | None:
        """Where a dataset lies on disk; None for one that lives in memory."""
        dataset = self._catalog.get(name) if name in self._catalog else None
        found = getattr(dataset, "path", None) or getattr(dataset, "_filepath", None)
        return Path(str(found)) if found else None

    def is_stale(self, node: Node) -> bool:
        """Whether an output of the node on disk is missing or was made from something else."""
        paths = [path for name in node.outputs if (path := self.path(name)) is not None]
        return any(read_stamp(path) != self.digest(node) for path in paths)

    def digest(self, node: Node) -> str:
        """The digest that the node's outputs have when it runs now."""
        return node_digest(node.func, {name: self._input_digest(name) for name in node.inputs})

    def _input_digest(self, name: str) -> str:
        if name not in self._digests:
            path = self.path(name)
            if name in self._producers:
                self._digests[name] = self.digest(self._producers[name])
            elif path is None:
                self._digests[name] = value_digest(self._catalog.load(name))
            else:
                self._digests[name] = read_stamp(path) or (fingerprint(path) if path.exists() else "missing")
        return self._digests[name]

    @hook_impl
    def before_dataset_saved(self, dataset_name: str) -> None:
        """From here on the old stamp is not true any more."""
        path = self.path(dataset_name)
        if path is not None:
            stamp_path(path).unlink(missing_ok=True)

    @hook_impl
    def after_dataset_saved(self, dataset_name: str, node: Node) -> None:
        """Stamp what was saved."""
        path = self.path(dataset_name)
        if path is not None and path.exists():
            write_stamp(path, self.digest(node))
