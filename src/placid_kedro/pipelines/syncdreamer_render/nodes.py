"""Nodes of the stage `syncdreamer_render`."""

from placid_kedro.app.run_context import current_run
from placid_kedro.config import RenderParameters
from placid_kedro.pipelines.types import DataFrame


def render_views(objects: DataFrame, seed: int, parameters: RenderParameters) -> DataFrame:
    """Render what is not rendered yet; the views go to the stage's folder, the table tells of them."""
    from placid_kedro.objects.render_stage import RenderPlan, render_objects

    return render_objects(objects, RenderPlan(parameters, seed), current_run().progress)
