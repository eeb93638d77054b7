"""Nodes of the pipeline `pretrain`."""

import logging
from pathlib import Path

from placid_kedro.app.run_context import current_run
from placid_kedro.config import PretrainParameters, RunParameters
from placid_kedro.pipelines.types import DataFrame, FolderWriter, PretrainPlan, Tensor

logger = logging.getLogger(__name__)


def plan(seed: int, run: RunParameters, parameters: PretrainParameters) -> PretrainPlan:
    """Check that the objects are there, and tell what the run will cost before it costs anything."""
    from placid_kedro.embedded.training.cost import make_plan
    from placid_kedro.embedded.training.objects import check_sources
    from placid_kedro.pipelines.pretrain.setup import cores_of, place_of, ring_of, split_of, start_of

    split = split_of(parameters)
    ring_of(parameters)
    start_of(parameters)
    check_sources(split, parameters.ingest)
    counts = (len(split.trained), len(split.vocabulary), len(split.held_out))
    result = make_plan(parameters, *counts, place_of(seed, run, parameters), cores_of(parameters))
    for line in result.lines():
        logger.info(line)
    return result


def make_views(
    plan: PretrainPlan, seed: int, parameters: PretrainParameters
) -> tuple[DataFrame, FolderWriter, FolderWriter, FolderWriter]:
    """Convert and render what is not rendered yet, and pack all views into arrays.

    Returns:
        The table of the trained objects, their views, those of their deformed copies, and those of objects made by
        chance.
    """
    from placid_kedro.app.preflight import check_disk
    from placid_kedro.embedded.made import write_made
    from placid_kedro.embedded.training.objects import (
        deformed_plans,
        made_plan,
        packed_views,
        trained_objects,
    )
    from placid_kedro.objects.render_stage import RenderPlan
    from placid_kedro.pipelines.pretrain.setup import split_of

    progress = current_run().progress
    check_disk(Path(parameters.rendering.folder).absolute(), plan.disk_mb)
    objects = trained_objects(split_of(parameters), parameters.ingest, seed, progress)
    return (
        objects,
        packed_views(objects, [RenderPlan(parameters.rendering, seed)], progress),
        packed_views(objects, deformed_plans(parameters, seed), progress),
        packed_views(
            write_made(parameters.made.count, Path(parameters.made.folder), progress),
            [made_plan(parameters, seed)],
            progress,
        ),
    )


def fit_autoencoder(
    views: Path,
    deformed_views: Path,
    made_views: Path,
    seed: int,
    run: RunParameters,
    parameters: PretrainParameters,
) -> tuple[FolderWriter, dict[str, Tensor]]:
    """Fit the autoencoder, train its decoder's repair, encode all views.

    Returns:
        The autoencoder, and `latents` [N, V, C, h, w] of all views with `copies` [A, N, V, C, h, w] of the objects'
        other copies, `painted` [P, V, C, h, w] of the vocabulary in other colours, `deformed` [2, R * N, V, C, h, w] of
        the deformed objects and their altered copies, and `made` [2, M, V, C, h, w] of the same of objects made by
        chance.
    """
    from placid_kedro.embedded.training.colors import paintings
    from placid_kedro.embedded.training.copies import (
        encode_copy,
        encode_other_copies,
        encode_painted,
        encode_twice,
    )
    from placid_kedro.embedded.training.recipes import make_autoencoder, train_repair
    from placid_kedro.pipelines.pretrain.setup import (
        AllViews,
        images_of,
        place_of,
        split_of,
        start_of,
        vocabulary_rows,
    )

    place, start = place_of(seed, run, parameters), start_of(parameters)
    split = split_of(parameters)
    every = AllViews.open(views, deformed_views, made_views)
    arrays = every.objects
    if start is None:
        autoencoder = make_autoencoder(arrays, parameters.autoencoder, seed, place.progress)
    else:
        autoencoder = start.part("zero123", "vae")
    latents = encode_copy(autoencoder, arrays, 0, place.progress)
    copies = encode_other_copies(autoencoder, arrays, latents, parameters.novel_view.copies, place.progress)
    vocabulary = paintings(split.vocabulary)
    painted = encode_painted(autoencoder, arrays, vocabulary_rows(split), vocabulary, place.progress)
    deformed, made = (encode_twice(autoencoder, one, place.progress) for one in (every.deformed, every.made))
    if start is None:
        own = parameters.autoencoder
        train_repair(autoencoder, images_of(arrays, parameters, own.training, place), own, place)
    return autoencoder, {
        "latents": latents,
        "copies": copies,
        "painted": painted,
        "deformed": deformed,
        "made": made,
    }


def train_text_to_image(
    views: Path,
    autoencoder: Path,
    latents: dict[str, Tensor],
    seed: int,
    run: RunParameters,
    parameters: PretrainParameters,
) -> FolderWriter:
    """Train the text-to-image model on the vocabulary."""
    from placid_kedro.embedded.networks.patch_autoencoder import PatchAutoencoder
    from placid_kedro.embedded.training.export import TextToImageFolder
    from placid_kedro.embedded.training.recipes import train_text_to_image
    from placid_kedro.embedded.training.samples import text_to_image_samples
    from placid_kedro.embedded.training.views import ViewArrays
    from placid_kedro.pipelines.pretrain.setup import data_id, place_of, split_of, start_of, vocabulary_rows

    place = place_of(seed, run, parameters)
    arrays, split = ViewArrays.open(views), split_of(parameters)
    decoder = PatchAutoencoder.from_pretrained(autoencoder).eval().requires_grad_(False)
    unet = train_text_to_image(
        latents["latents"][vocabulary_rows(split)],
        latents["painted"],
        arrays.azimuths_deg(),
        split.vocabulary,
        parameters.text_to_image,
        place,
        data_id(arrays, parameters),
        text_to_image_samples(decoder, parameters.text_to_image, place.device, place.progress),
        start_of(parameters),
    )
    return TextToImageFolder(unet, decoder.to("cpu"), split.vocabulary_names)


def train_lifted_reference(
    views: Path,
    deformed_views: Path,
    made_views: Path,
    latents: dict[str, Tensor],
    seed: int,
    run: RunParameters,
    parameters: PretrainParameters,
) -> FolderWriter:
    """Train what the novel-view model lifts its reference with on all objects."""
    from placid_kedro.embedded.training.drawn import DrawnViews
    from placid_kedro.embedded.training.recipes import train_lifted_reference
    from placid_kedro.pipelines.pretrain.setup import AllViews, novel_views_of, place_of, start_of

    if start := start_of(parameters):
        kept: FolderWriter = start.part("zero123", "lifted_reference")
        return kept
    every = AllViews.open(views, deformed_views, made_views)
    lifted: FolderWriter = train_lifted_reference(
        novel_views_of(every, latents, DrawnViews.none(latents["latents"]), parameters),
        parameters.novel_view,
        place_of(seed, run, parameters),
        every.data_id(parameters),
    )
    return lifted


def draw_known_fronts(
    views: Path,
    latents: dict[str, Tensor],
    text_to_image: Path,
    seed: int,
    run: RunParameters,
    parameters: PretrainParameters,
) -> dict[str, Tensor]:
    """Draw the fronts of the vocabulary's objects with the finished text-to-image model.

    Returns:
        `latents` [D, C, h, w], and which `objects` [D] and `views` [D] they should show.
    """
    from placid_kedro.diffusion.text_to_image import load_text_to_image
    from placid_kedro.embedded.training.drawn import draw_known_fronts
    from placid_kedro.embedded.training.views import ViewArrays
    from placid_kedro.pipelines.pretrain.setup import known_views_of, place_of
    from placid_kedro.randomness import stage_generator

    place = place_of(seed, run, parameters)
    return draw_known_fronts(
        known_views_of(ViewArrays.open(views), latents, parameters),
        load_text_to_image(text_to_image, place.device),
        parameters.novel_view.drawn,
        stage_generator(seed, "drawn fronts"),
        place.progress,
    ).tensors


def train_novel_view(
    views: Path,
    deformed_views: Path,
    made_views: Path,
    autoencoder: Path,
    latents: dict[str, Tensor],
    drawn_fronts: dict[str, Tensor],
    lifted_reference: Path,
    seed: int,
    run: RunParameters,
    parameters: PretrainParameters,
) -> FolderWriter:
    """Train the novel-view model on all objects, in part with references that the text-to-image model drew."""
    import torch

    from placid_kedro.embedded.networks.lifted_reference import LiftedReference
    from placid_kedro.embedded.networks.patch_autoencoder import PatchAutoencoder
    from placid_kedro.embedded.training.drawn import DrawnViews
    from placid_kedro.embedded.training.export import NovelViewFolder
    from placid_kedro.embedded.training.plane_batches import plane_cameras, ring_views
    from placid_kedro.embedded.training.recipes import train_novel_view
    from placid_kedro.embedded.training.samples import novel_view_samples
    from placid_kedro.files import MANIFEST, file_hash
    from placid_kedro.pipelines.pretrain.setup import AllViews, novel_views_of, place_of, ring_of, start_of

    place, ring = place_of(seed, run, parameters), ring_of(parameters)
    every = AllViews.open(views, deformed_views, made_views)
    source = novel_views_of(every, latents, DrawnViews(**drawn_fronts), parameters)
    decoder = PatchAutoencoder.from_pretrained(autoencoder).eval().requires_grad_(False)
    lifted = LiftedReference.from_pretrained(lifted_reference)
    shown = source.vocabulary_rows[: parameters.novel_view.sample_objects].tolist()
    truth = torch.stack([every.objects.images(index, ring_views(ring)) for index in shown])
    cameras = plane_cameras(every.objects, ring)
    network = train_novel_view(
        source,
        lifted,
        parameters.novel_view,
        place,
        every.data_id(parameters, file_hash(lifted_reference / MANIFEST), source.drawn.digest),
        novel_view_samples(
            decoder, lifted, truth, cameras, parameters.novel_view, place.device, place.progress
        ),
        start_of(parameters),
    )
    return NovelViewFolder(network["unet"], network["reference_tokens"], lifted, decoder.to("cpu"))


def draw_known_views(
    views: Path,
    latents: dict[str, Tensor],
    text_to_image: Path,
    zero123: Path,
    seed: int,
    run: RunParameters,
    parameters: PretrainParameters,
) -> dict[str, Tensor]:
    """Draw the vocabulary's objects from all round with the finished UNets.

    Returns:
        `latents` [D, C, h, w], and which `objects` [D] and `views` [D] they should show.
    """
    from placid_kedro.diffusion.novel_view import load_novel_view
    from placid_kedro.diffusion.text_to_image import load_text_to_image
    from placid_kedro.embedded.training.drawn import draw_known_views
    from placid_kedro.embedded.training.views import ViewArrays
    from placid_kedro.pipelines.pretrain.setup import known_views_of, place_of
    from placid_kedro.randomness import stage_generator

    place = place_of(seed, run, parameters)
    return draw_known_views(
        known_views_of(ViewArrays.open(views), latents, parameters),
        load_text_to_image(text_to_image, place.device),
        load_novel_view(zero123, place.device),
        parameters.decoder,
        stage_generator(seed, "drawn"),
        place.progress,
    ).tensors


def train_decoder(
    views: Path,
    drawn: dict[str, Tensor],
    text_to_image: Path,
    zero123: Path,
    seed: int,
    run: RunParameters,
    parameters: PretrainParameters,
) -> tuple[FolderWriter, FolderWriter]:
    """Train the decoder on with what both models draw.

    Returns:
        Both models with their last decoder.
    """
    from placid_kedro.diffusion.loading import load_component
    from placid_kedro.embedded.training.drawn import DrawnViews
    from placid_kedro.embedded.training.export import NovelViewFolder, TextToImageFolder
    from placid_kedro.embedded.training.recipes import train_decoder
    from placid_kedro.embedded.training.views import ViewArrays
    from placid_kedro.files import MANIFEST, file_hash
    from placid_kedro.pipelines.pretrain.setup import data_id, images_of, place_of, split_of

    place, arrays = place_of(seed, run, parameters), ViewArrays.open(views)
    unet, tokens, lifted, decoder = (
        load_component(zero123, part) for part in ("unet", "reference_tokens", "lifted_reference", "vae")
    )
    models = [file_hash(folder / MANIFEST) for folder in (text_to_image, zero123)]
    train_decoder(
        decoder.to(place.device),
        images_of(arrays, parameters, parameters.decoder.training, place),
        DrawnViews(**drawn),
        parameters.decoder,
        parameters.autoencoder,
        place,
        data_id(arrays, parameters, *models),
    )
    decoder = decoder.to("cpu")
    names = split_of(parameters).vocabulary_names
    return (
        TextToImageFolder(load_component(text_to_image, "unet"), decoder, names),
        NovelViewFolder(unet, tokens, lifted, decoder),
    )


def train_latent_plane(
    views: Path,
    deformed_views: Path,
    made_views: Path,
    latents: dict[str, Tensor],
    zero123: Path,
    seed: int,
    run: RunParameters,
    parameters: PretrainParameters,
) -> FolderWriter:
    """Train Latent-Plane in the novel-view model."""
    from placid_kedro.diffusion.loading import load_component
    from placid_kedro.embedded.networks.conditioner import EmbeddedConditioner
    from placid_kedro.embedded.training.recipes import train_latent_plane
    from placid_kedro.files import MANIFEST, file_hash
    from placid_kedro.latent_plane.training.export import LatentPlaneFolder
    from placid_kedro.pipelines.pretrain.setup import AllViews, place_of, plane_source_of

    every = AllViews.open(views, deformed_views, made_views)
    # Densities and distances along rays need float32.
    place = place_of(seed, run, parameters, precision="no")
    unet, tokens, lifted = (
        load_component(zero123, part).to(place.device)
        for part in ("unet", "reference_tokens", "lifted_reference")
    )
    plane = train_latent_plane(
        plane_source_of(every, latents, parameters),
        unet,
        EmbeddedConditioner(tokens, lifted),
        parameters.latent_plane,
        place,
        every.data_id(parameters, file_hash(zero123 / MANIFEST)),
    )
    return LatentPlaneFolder(plane)


def train_scorer(views: Path, seed: int, run: RunParameters, parameters: PretrainParameters) -> FolderWriter:
    """Train the scorer on all objects."""
    from placid_kedro.embedded.training.export import ScorerFolder
    from placid_kedro.embedded.training.recipes import train_scorer
    from placid_kedro.embedded.training.views import ViewArrays
    from placid_kedro.pipelines.pretrain.setup import place_of, split_of

    place = place_of(seed, run, parameters)
    trained = split_of(parameters).trained
    return ScorerFolder(*train_scorer(ViewArrays.open(views), trained, parameters.scorer, place))


def write_card_and_attribution(
    plan: PretrainPlan, objects: DataFrame, parameters: PretrainParameters
) -> tuple[str, str]:
    """What goes with the weights.

    Returns:
        The model card and the attribution file.
    """
    from placid_kedro.embedded.training.attribution import attribution_text
    from placid_kedro.embedded.training.card import model_card
    from placid_kedro.embedded.training.objects import credits_of
    from placid_kedro.embedded.training.recipes import PATCH_SIZE
    from placid_kedro.pipelines.pretrain.setup import split_of

    split, protocol = split_of(parameters), parameters.rendering.protocol
    card = model_card(split, plan, protocol.size, protocol.view_count, PATCH_SIZE)
    return card, attribution_text(credits_of(split, objects))
