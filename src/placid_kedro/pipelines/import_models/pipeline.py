"""Pipelines `import_zero123` and `import_latent_plane`."""

from kedro.pipeline import Pipeline, node, pipeline

from placid_kedro.pipelines.import_models import nodes


def create_zero123_pipeline() -> Pipeline:
    """A checkpoint in, `imported_zero123` out."""
    return pipeline(
        [
            node(
                nodes.convert_zero123,
                inputs="params:import_models.zero123",
                outputs="imported_zero123",
                name="convert_zero123",
            )
        ],
        namespace="import_zero123",
        prefix_datasets_with_namespace=False,
    )


def create_latent_plane_pipeline() -> Pipeline:
    """The authors' two files in, `trained_latent_plane` out, in the place of one's own."""
    return pipeline(
        [
            node(
                nodes.convert_latent_plane,
                inputs="params:import_models.latent_plane",
                outputs="trained_latent_plane",
                name="convert_latent_plane",
            )
        ],
        namespace="import_latent_plane",
        prefix_datasets_with_namespace=False,
    )
