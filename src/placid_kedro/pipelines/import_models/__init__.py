"""Pipelines `import_zero123` and `import_latent_plane`: published weights become model folders."""

from placid_kedro.pipelines.import_models.pipeline import (
    create_latent_plane_pipeline,
    create_zero123_pipeline,
)

__all__ = ["create_latent_plane_pipeline", "create_zero123_pipeline"]
