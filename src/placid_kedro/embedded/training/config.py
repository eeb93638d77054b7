"""Parameters of the pipeline `pretrain`; imports nothing heavy."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from placid_kedro.latent_plane.training.config import PlaneLearningParameters
from placid_kedro.objects.config import DeformationParameters, IngestParameters, RenderParameters
from placid_kedro.parameter_types import (
    Fraction,
    NonNegativeFloat,
    ParameterModel,
    PositiveFloat,
    PositiveInt,
    Range,
)
from placid_kedro.training.config import LoopParameters

Widths = Annotated[tuple[PositiveInt, ...], Field(strict=False, min_length=1)]
ThreeWidths = Annotated[tuple[PositiveInt, PositiveInt, PositiveInt], Field(strict=False)]


class UNetParameters(ParameterModel):
    """A UNet of three resolutions.

    Attributes:
        channels: of each resolution, the finest first.
        attention: whether a resolution has cross-attention, the finest first.
        middle: whether there is a middle block, with cross-attention.
        context_width: D of the context [B, L, D].
        heads: of every attention layer.
        norm_groups: of every group normalisation.
        pooling_heads: of the attention that pools the context into the time embedding.
    """

    channels: ThreeWidths
    attention: Annotated[tuple[bool, bool, bool], Field(strict=False)]
    middle: bool
    context_width: PositiveInt
    heads: PositiveInt
    norm_groups: PositiveInt
    pooling_heads: PositiveInt


class ImageShares(ParameterModel):
    """How often which image is drawn to train the decoder's repair network.

    Attributes:
        vocabulary: an object of the vocabulary instead of any.
        eighths: one of the eight views that are drawn of a reference, instead of any.
        exchanged: batches with their colour channels exchanged.
        mirrored: batches in a mirror.
    """

    vocabulary: Fraction
    eighths: Fraction
    exchanged: Fraction
    mirrored: Fraction


class AutoencoderParameters(ParameterModel):
    """The patch autoencoder.

    Attributes:
        latent_channels: principal components that are kept.
        widths: of the decoder's repair network, at the latents' resolution, at twice and at four times that.
        blocks: of it, at the latents' resolution.
        moment_every: each so-many-th view enters the patches' statistics.
        shares: which images are learned from.
        latent_noise: largest standard deviation of the noise under which the repair network is trained.
        noisy_share: share of the images whose latents carry noise.
        background_weight: of errors on white, beside those on the object.
        absolute_weight: of the absolute error beside the squared one.
        gradient_weight: of the absolute error of differences of neighbouring pixels.
        sharpness_weight: of the absolute error of their local root mean square (`autoencoder.local_sharpness`).
        training: of the repair network.
    """

    latent_channels: PositiveInt
    widths: ThreeWidths
    blocks: PositiveInt
    moment_every: PositiveInt
    shares: ImageShares
    latent_noise: NonNegativeFloat
    noisy_share: Fraction
    background_weight: NonNegativeFloat
    absolute_weight: NonNegativeFloat
    gradient_weight: NonNegativeFloat
    sharpness_weight: NonNegativeFloat
    training: LoopParameters


class DrawingParameters(ParameterModel):
    """How finished models draw the vocabulary, for others to learn from.

    Attributes:
        draws: of each name.
        steps, guidance_scale: of the models, as `generate` uses them.
        farthest: a drawn front is of no known object from this mean squared distance of latents on.
    """

    draws: PositiveInt
    steps: PositiveInt
    guidance_scale: NonNegativeFloat
    farthest: PositiveFloat


class DecoderParameters(DrawingParameters):
    """The decoder's repair, trained on with what the finished models draw of the vocabulary.

    Attributes:
        true_references: share of the references that are the true front instead of the drawn one.
        share: of the images that come with drawn latents.
        training: of the repair network.
    """

    true_references: Fraction
    share: Fraction
    training: LoopParameters


class ViewPrior(ParameterModel):
    """From where a caption without view words shows its object.

    Attributes:
        front_share: of the front view at the ring's elevation.
        other_front_share: of the front at other elevations.
        oblique_deg: views up to this azimuth on either side ...
        oblique_weight: ... are so many times as frequent as those behind them.
    """

    front_share: Fraction
    other_front_share: Fraction
    oblique_deg: PositiveFloat
    oblique_weight: PositiveFloat


class TextShares(ParameterModel):
    """What the captions of the text-to-image training say.

    Attributes:
        empty: share of empty captions, for guidance.
        view_words: share of captions with the words of the view, over all views: most cameras of the distillation
            look from elsewhere than the front, and ask for that view by its words.
        painted: share of the captions of an object with a colour that speak of it in another one.
        pure_noise_share: share of the batches that hold the last timestep for certain.
        views: from where the others show their object.
    """

    empty: Fraction
    view_words: Fraction
    painted: Fraction
    pure_noise_share: Fraction
    views: ViewPrior


class TextToImageParameters(ParameterModel):
    """The text-to-image model.

    Attributes:
        sample_prompts: drawn at every validation.
    """

    unet: UNetParameters
    shares: TextShares
    sample_prompts: Annotated[tuple[str, ...], Field(strict=False, min_length=1)]
    sample_steps: PositiveInt
    sample_guidance: NonNegativeFloat
    training: LoopParameters


class ReferenceShares(ParameterModel):
    """Which references and views the novel-view model learns from.

    Attributes:
        unconditional: share of the wanted views without their condition, for guidance.
        vocabulary: share of the references drawn from the vocabulary's objects, the rest from all.
        painted: share of the references that show an object of the vocabulary in another colour.
        front: share of the references that are the front view; the others are any view.
        drawn: share of the references in their own colours, but for made objects', that are fronts which the
            text-to-image model drew of the vocabulary.
        eighths: share of the references whose wanted views are of the paper's eight.
        lower_ring: share of the references whose wanted views are of the last ring; the others want any views.
    """

    unconditional: Fraction
    vocabulary: Fraction
    painted: Fraction
    front: Fraction
    drawn: Fraction
    eighths: Fraction
    lower_ring: Fraction

    @model_validator(mode="after")
    def _at_most_all(self) -> Self:
        if self.eighths + self.lower_ring > 1:
            raise ValueError(
                f"eighths ({self.eighths}) and lower_ring ({self.lower_ring}) are shares of the same references; "
                "together they should be at most 1"
            )
        return self


class LiftedParameters(ParameterModel):
    """The reference's lifting into a volume (see `placid_kedro.embedded.networks.lifted_reference.LiftedReference`).

    Attributes:
        widths, groups, volume_channels, planes, samples_per_ray: sizes of the module.
        depth: nearest and farthest of the volume, from every camera.
        silhouette_weight: of the silhouettes' cross-entropy beside the squared error of latents.
        overlap_weight: of one minus the silhouettes' soft IoU.
    """

    widths: ThreeWidths
    groups: PositiveInt
    volume_channels: Annotated[int, Field(ge=2)]
    planes: PositiveInt
    samples_per_ray: Annotated[int, Field(ge=2)]
    depth: Annotated[Range, Field(strict=False)]
    silhouette_weight: NonNegativeFloat
    overlap_weight: NonNegativeFloat
    training: LoopParameters


class DeformedParameters(ParameterModel):
    """Objects with other proportions, which the novel-view model and Latent-Plane learn from as well.

    Attributes:
        copies: of every object, each with proportions and elevations of its own.
        shape: how far they go.
    """

    copies: PositiveInt
    shape: DeformationParameters


class MadeParameters(ParameterModel):
    """Objects made by chance (`placid_kedro.embedded.made`), which the same two learn from as well.

    Attributes:
        count: how many, of the seeds 0, 1, ...
        folder: for their files.
        share: of what is drawn for the novel-view model and Latent-Plane.
    """

    count: PositiveInt
    folder: str
    share: Fraction


class NovelViewParameters(ParameterModel):
    """The novel-view model: first what it lifts the reference with, then its UNet.

    Attributes:
        decoder_weight: of what the decoder block that Latent-Plane enhances is to tell of the clean latents by one
            linear map, beside the UNet's own output; without it a small UNet goes round its decoder.
        copies: of every object that it is shown, the object itself among them (see `copies.py`).
        wanted_views: of each reference; a batch holds `training.batch_size` of them in all.
        drawn: how the text-to-image model draws references.
        sample_objects: of the vocabulary, whose views are drawn at every validation.
    """

    unet: UNetParameters
    shares: ReferenceShares
    drawn: DrawingParameters
    copies: PositiveInt
    wanted_views: Annotated[int, Field(ge=1, le=8)]
    sample_objects: PositiveInt
    sample_steps: PositiveInt
    sample_guidance: NonNegativeFloat
    decoder_weight: NonNegativeFloat
    lifted: LiftedParameters
    training: LoopParameters

    @model_validator(mode="after")
    def _whole_references(self) -> Self:
        for loop in (self.lifted.training, self.training):
            if loop.batch_size % self.wanted_views:
                raise ValueError(
                    f"batch_size ({loop.batch_size}) must be a multiple of wanted_views ({self.wanted_views})"
                )
        return self


class PlaneParameters(PlaneLearningParameters):
    """Latent-Plane in the novel-view model: its density first, its features second (Sec. 4.2).

    Attributes:
        vocabulary: share of the objects drawn from the vocabulary.
    """

    vocabulary: Fraction


class ScorerParameters(ParameterModel):
    """The image-text scorer. What its images are put through is what splats and small models do to images.

    Attributes:
        channels: of its stages.
        embedding: width of the common space.
        label_smoothing: of the cross-entropy over all names.
        max_temperature: largest factor on the similarities.
        blur_share: share of the images that are scaled down and up again.
        noise: largest standard deviation of the noise.
        colour_cast: largest relative change of a colour channel.
        scale, shift: largest relative change of the object's size and of its place (in half image sides).
    """

    channels: Widths
    embedding: PositiveInt
    label_smoothing: Fraction
    max_temperature: PositiveFloat
    blur_share: Fraction
    noise: NonNegativeFloat
    colour_cast: NonNegativeFloat
    scale: Annotated[float, Field(ge=0, lt=1)]
    shift: NonNegativeFloat
    training: LoopParameters


class PretrainParameters(ParameterModel):
    """Pipeline `pretrain`: the data and all embedded models from scratch.

    Attributes:
        start: folder of models whose UNets are trained on, with their lifted reference and the linear part of their
            autoencoder kept as they are; empty to start from nothing.
        objects: csv of the objects' parts, names and adjectives; empty for the project's own.
        checkpoints: folder that an interrupted training goes on from.
        precision: `auto` (bfloat16 where the hardware computes in it), `bf16` or `no`.
        ingest: where the objects come from.
        rendering: from where they are seen; the first ring begins at the front, the last is `generate`'s lower one.
        deformed, made: what is learned from beside the objects themselves.
    """

    start: str
    objects: str
    checkpoints: str
    precision: Literal["auto", "bf16", "no"]
    ingest: IngestParameters
    rendering: RenderParameters
    deformed: DeformedParameters
    made: MadeParameters
    autoencoder: AutoencoderParameters
    text_to_image: TextToImageParameters
    novel_view: NovelViewParameters
    decoder: DecoderParameters
    latent_plane: PlaneParameters
    scorer: ScorerParameters

    @model_validator(mode="after")
    def _enough_lower_views(self) -> Self:
        lower, wanted = self.rendering.protocol.rings[-1].views, self.novel_view.wanted_views
        if lower < wanted:
            raise ValueError(
                f"the last of rendering.protocol.rings has {lower} views, and the novel-view model wants {wanted} at "
                "a time (novel_view.wanted_views); give it as many"
            )
        return self
