"""Nodes of the pipeline `ablation`."""

from typing import Any

from placid_kedro.app.run_context import current_run
from placid_kedro.config import AblationParameters, ModelsParameters
from placid_kedro.pipelines.types import DataFrame, Figure, Tensor


def make_objects(parameters: AblationParameters, models: ModelsParameters, *stages: Any) -> DataFrame:
    """Make every object of the sweep, one row each.

    `stages` are the parameters of the stages that make an object: what the variants change. The sweep reads them from
    its session; as inputs they say when the table is out of date.
    """
    from kedro.framework.project import pipelines

    from placid_kedro.app.sweep.sweep import run_sweep

    return run_sweep(parameters, models, "generate", pipelines["generate"], current_run())


def compare_variants(
    cells: DataFrame, seed: int, parameters: AblationParameters
) -> tuple[DataFrame, DataFrame, Figure, Tensor]:
    """Paired differences from the first variant (twice, for two formats), and their plot (interactive, as an image)."""
    import numpy as np

    from placid_kedro.ablation.comparison import differences
    from placid_kedro.ablation.figures import table_image, table_plot
    from placid_kedro.distillation.lab.figures import drawn

    table = differences(cells, parameters.variants[0], parameters.variants, np.random.default_rng(seed))
    current_run().progress.log_metrics(
        0, {f"{row.metric}/{row.variant}": row.mean for row in table.itertuples()}
    )
    return table, table, table_plot(table), drawn(table_image(table))


def show_objects(cells: DataFrame, parameters: AblationParameters) -> tuple[Tensor, str]:
    """A picture of every object, prompt by variant, of the first seed: as an image, and as an HTML page that leads to
    the objects' own."""
    from pathlib import Path

    from placid_kedro.ablation.comparison import FINISHED
    from placid_kedro.ablation.pictures import from_sides, grid, grid_page
    from placid_kedro.splats import load_ply
    from placid_kedro.viewer.gallery import PAGE

    shown = cells[cells["seed"] == parameters.seeds[0]]
    pictures, links, sentences = {}, {}, {}
    for row in shown.itertuples():
        place = (row.prompt, row.variant)
        if row.status == FINISHED:
            folder = Path(row.folder)
            pictures[place] = from_sides(load_ply(folder / "gaussians.ply"), 1, 192)
            links[place] = "/".join(
                [*folder.parts[-2:], PAGE]
            )  # the page of the sweep lies beside the variants
        else:
            sentences[place] = row.sentence
    rows, columns = parameters.prompts, parameters.variants
    page = grid_page(f"Sweep {parameters.name}", pictures, links, sentences, rows, columns)
    return grid(pictures, rows, columns), page
