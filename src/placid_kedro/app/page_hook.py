"""The last lines of a run that made a page: where it is."""

import logging
from pathlib import Path

from kedro.framework.hooks import hook_impl
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline

from placid_kedro.app.runners.stamps import dataset_path

logger = logging.getLogger("placid_kedro.run")


class PageHooks:
    """Says where the page of the object is, and the folder with everything else."""

    @hook_impl
    def after_pipeline_run(self, pipeline: Pipeline, catalog: CatalogProtocol) -> None:
        """Name every page that the run wrote."""
        for page in pages_of(pipeline, catalog):
            logger.info("the object is in %s", page.parent)
            logger.info("look at it: open %s in a web browser", page)


def pages_of(pipeline: Pipeline, catalog: CatalogProtocol) -> list[Path]:
    """The pages among a pipeline's outputs that are on disk."""
    names = sorted(name for name in pipeline.all_outputs() if name in catalog)
    paths = [dataset_path(catalog.get(name)) for name in names]
    return [path for path in paths if path is not None and path.suffix == ".html" and path.is_file()]
