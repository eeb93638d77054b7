"""Stage `latent_plane_train`: a Latent-Plane for a multi-view model, on the training set."""

from placid_kedro.pipelines.latent_plane_train.pipeline import create_pipeline

__all__ = ["create_pipeline"]
