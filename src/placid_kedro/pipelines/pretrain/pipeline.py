"""Pipeline `pretrain`."""

from kedro.pipeline import Node, Pipeline, node, pipeline

from placid_kedro.pipelines.pretrain import nodes

COMMON = ("params:seed", "params:run", "params:pretrain")
VIEWS = "pretrain_views"
ALL_VIEWS = (VIEWS, "pretrain_deformed_views", "pretrain_made_views")
AUTOENCODER, LATENTS = "pretrain_autoencoder", "pretrain_latents"
MODELS = ("pretrain_text_to_image", "pretrain_zero123")


def create_pipeline() -> Pipeline:
    """Object libraries in; four model folders, their card and their attribution out."""
    return pipeline(
        [*_data(), *_diffusion_models(), *_decoder(), *_others()],
        namespace="pretrain",
        prefix_datasets_with_namespace=False,
    )


def _data() -> list[Node]:
    return [
        node(nodes.plan, list(COMMON), "pretrain_plan", name="plan_pretrain"),
        node(
            nodes.make_views,
            ["pretrain_plan", "params:seed", "params:pretrain"],
            ["pretrain_objects", *ALL_VIEWS],
            name="make_views",
        ),
        node(nodes.fit_autoencoder, [*ALL_VIEWS, *COMMON], [AUTOENCODER, LATENTS], name="fit_autoencoder"),
    ]


def _diffusion_models() -> list[Node]:
    text_to_image, zero123 = MODELS
    return [
        node(
            nodes.train_text_to_image,
            [VIEWS, AUTOENCODER, LATENTS, *COMMON],
            text_to_image,
            name="train_text_to_image",
        ),
        node(
            nodes.train_lifted_reference,
            [*ALL_VIEWS, LATENTS, *COMMON],
            "pretrain_lifted_reference",
            name="train_lifted_reference",
        ),
        node(
            nodes.draw_known_fronts,
            [VIEWS, LATENTS, text_to_image, *COMMON],
            "pretrain_drawn_fronts",
            name="draw_known_fronts",
        ),
        node(
            nodes.train_novel_view,
            [
                *ALL_VIEWS,
                AUTOENCODER,
                LATENTS,
                "pretrain_drawn_fronts",
                "pretrain_lifted_reference",
                *COMMON,
            ],
            zero123,
            name="train_novel_view",
        ),
    ]


def _decoder() -> list[Node]:
    return [
        node(
            nodes.draw_known_views,
            [VIEWS, LATENTS, *MODELS, *COMMON],
            "pretrain_drawn",
            name="draw_known_views",
        ),
        node(
            nodes.train_decoder,
            [VIEWS, "pretrain_drawn", *MODELS, *COMMON],
            ["embedded_text_to_image", "embedded_zero123"],
            name="train_decoder",
        ),
    ]


def _others() -> list[Node]:
    return [
        node(
            nodes.train_latent_plane,
            [*ALL_VIEWS, LATENTS, "pretrain_zero123", *COMMON],
            "embedded_latent_plane",
            name="train_latent_plane",
        ),
        node(nodes.train_scorer, [VIEWS, *COMMON], "embedded_scorer", name="train_scorer"),
        node(
            nodes.write_card_and_attribution,
            ["pretrain_plan", "pretrain_objects", "params:pretrain"],
            ["embedded_card", "embedded_attribution"],
            name="write_card_and_attribution",
        ),
    ]
