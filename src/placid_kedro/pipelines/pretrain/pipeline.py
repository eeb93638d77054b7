"""Pipeline `pretrain`."""

from kedro.pipeline import Pipeline, node, pipeline

from placid_kedro.pipelines.pretrain import nodes


def create_pipeline() -> Pipeline:
    """Object libraries in; four model folders, their card and their attribution out."""
    common = ["params:seed", "params:run", "params:pretrain"]
    views = "pretrain_views"
    all_views = [views, "pretrain_deformed_views", "pretrain_made_views"]
    models = ["pretrain_text_to_image", "pretrain_zero123"]
    autoencoder, latents = "pretrain_autoencoder", "pretrain_latents"
    return pipeline(
        [
            node(nodes.plan, common, "pretrain_plan", name="plan_pretrain"),
            node(
                nodes.make_views,
                ["pretrain_plan", "params:seed", "params:pretrain"],
                ["pretrain_objects", *all_views],
                name="make_views",
            ),
            node(
                nodes.fit_autoencoder,
                [*all_views, *common],
                [autoencoder, latents],
                name="fit_autoencoder",
            ),
            node(
                nodes.train_text_to_image,
                [views, autoencoder, latents, *common],
                "pretrain_text_to_image",
                name="train_text_to_image",
            ),
            node(
                nodes.train_lifted_reference,
                [*all_views, latents, *common],
                "pretrain_lifted_reference",
                name="train_lifted_reference",
            ),
            node(
                nodes.train_novel_view,
                [*all_views, autoencoder, latents, "pretrain_lifted_reference", *common],
                "pretrain_zero123",
                name="train_novel_view",
            ),
            node(
                nodes.draw_known_views,
                [views, latents, *models, *common],
                "pretrain_drawn",
                name="draw_known_views",
            ),
            node(
                nodes.train_decoder,
                [views, "pretrain_drawn", *models, *common],
                ["embedded_text_to_image", "embedded_zero123"],
                name="train_decoder",
            ),
            node(
                nodes.train_latent_plane,
                [*all_views, latents, "pretrain_zero123", *common],
                "embedded_latent_plane",
                name="train_latent_plane",
            ),
            node(nodes.train_scorer, [views, *common], "embedded_scorer", name="train_scorer"),
            node(
                nodes.write_card_and_attribution,
                ["pretrain_plan", "pretrain_objects", "params:pretrain"],
                ["embedded_card", "embedded_attribution"],
                name="write_card_and_attribution",
            ),
        ],
        namespace="pretrain",
        prefix_datasets_with_namespace=False,
    )
