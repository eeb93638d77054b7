"""Parameters of T3Bench's scores; imports no torch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from placid_kedro.parameter_types import ImageSize, ParameterModel, PositiveFloat, PositiveInt


class NoScorer(ParameterModel):
    """This part is not measured."""

    kind: Literal["none"]


class EmbeddedScorer(ParameterModel):
    """The stand-in that comes with the project; its numbers end with `_embedded`."""

    kind: Literal["embedded"]


class ImageRewardScorer(ParameterModel):
    """ImageReward-v1.0, the protocol's.

    Attributes:
        weights: hub id, with `@revision` for one commit, or folder that holds `ImageReward.pt`.
        tokenizer: hub id, with `@revision` for one commit, or folder of BERT's uncased tokenizer.
        batch_size: images at a time.
    """

    kind: Literal["imagereward"]
    weights: str
    tokenizer: str
    batch_size: PositiveInt


class ClipScorer(ParameterModel):
    """A CLIP of transformers; its numbers end with `_clip`.

    Attributes:
        model: hub id, with `@revision` for one commit, or folder.
        batch_size: images at a time.
    """

    kind: Literal["clip"]
    model: str
    batch_size: PositiveInt


class Blip2Captions(ParameterModel):
    """BLIP-2 of transformers with nucleus sampling.

    Attributes:
        model: hub id, with `@revision` for one commit, or folder; the protocol's is FLAN-T5-XXL's.
        batch_size: images at a time.
        max_tokens: longest caption.
        top_p: probability mass that words are drawn from.
        precision: of the network on CUDA.
    """

    kind: Literal["blip2"]
    model: str
    batch_size: PositiveInt
    max_tokens: PositiveInt
    top_p: Annotated[float, Field(gt=0, le=1)]
    precision: Literal["fp32", "fp16", "bf16"]


class EndpointJudge(ParameterModel):
    """A chat model behind an OpenAI-compatible endpoint, at temperature 0; its key is in the credentials (`judge`).

    Attributes:
        url: the endpoint's base, which `/chat/completions` follows.
        model: name of the model there.
        timeout_seconds: longest wait for one answer.
        retries: further attempts after an error that may pass: no connection, 408, 429, 5xx.
        backoff_seconds: before the second retry; doubled every time, unless the server says how long.
        cache: folder of the answers, one file a request; empty for none.
    """

    kind: Literal["endpoint"]
    url: Annotated[str, Field(pattern=r"^https?://[^\s/]+")]
    model: Annotated[str, Field(min_length=1)]
    timeout_seconds: PositiveFloat
    retries: Annotated[int, Field(ge=0, le=20)]
    backoff_seconds: Annotated[float, Field(ge=0)]
    cache: str


QualityScorer = Annotated[
    NoScorer | EmbeddedScorer | ImageRewardScorer | ClipScorer, Field(discriminator="kind")
]
CaptionScorer = Annotated[NoScorer | EmbeddedScorer | Blip2Captions, Field(discriminator="kind")]
JudgeScorer = Annotated[NoScorer | EmbeddedScorer | EndpointJudge, Field(discriminator="kind")]


class ScoresParameters(ParameterModel):
    """T3Bench's scores of an object.

    Attributes:
        protocol: `paper`, PlacidDreamer's variant for splats; `official`, which brings every object to one size first.
        subdivisions: of the quality's icosphere; 2 in the protocol: 162 poses, five images each.
        image_size: pixels along each edge; 512 in the protocol.
        background: behind the object; black in the protocol, white for the embedded stand-ins, which know no other.
        thumbnail: pixels along each edge of the images in the table of everything that led to the scores.
        quality: who scores the images.
        captions: who describes them.
        judge: who merges the captions and rates them.
    """

    protocol: Literal["paper", "official"]
    subdivisions: Annotated[int, Field(ge=0, le=3)]
    image_size: ImageSize
    background: Literal["black", "white"]
    thumbnail: Annotated[int, Field(ge=8)]
    quality: QualityScorer
    captions: CaptionScorer
    judge: JudgeScorer
