"""Pipeline of the stage `latent_plane_train`."""

from kedro.pipeline import Pipeline, node, pipeline

from placid_kedro.pipelines.latent_plane_train import nodes


def create_pipeline() -> Pipeline:
    """`training_set` in, `trained_latent_plane` out."""
    return pipeline(
        [
            node(
                nodes.train_on_set,
                inputs=[
                    "training_set",
                    "params:seed",
                    "params:run",
                    "params:models.zero123",
                    "params:latent_plane_train",
                ],
                outputs=["trained_latent_plane", "latent_plane_report"],
                name="train_on_set",
            )
        ],
        namespace="latent_plane_train",
        prefix_datasets_with_namespace=False,
    )
