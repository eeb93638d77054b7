"""The scorers that the parameters name, ready to be used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from placid_kedro.evaluation.t3bench.config import ScoresParameters
from placid_kedro.pipelines.types import ModelSource

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from placid_kedro.embedded.stand_ins.image_scorer import EmbeddedImageScorer
    from placid_kedro.evaluation.report import RetrievalScore
    from placid_kedro.evaluation.t3bench.measure import Measured, Scorers, Sizes
    from placid_kedro.splats import Gaussians


def load_scorers(
    parameters: ScoresParameters, scorer: ModelSource, credentials: dict[str, str], device: torch.device
) -> Scorers:
    """Load what the parameters name, and nothing else in its place.

    Args:
        parameters: who scores.
        scorer: where the embedded scorer comes from.
        credentials: of the judge's endpoint.
        device: of the models that can compute elsewhere than on the CPU.

    Raises:
        ModelError: a model is missing or of another kind.
    """
    from placid_kedro.evaluation.t3bench.measure import Scorers

    embedded = (
        load_embedded(scorer) if "embedded" in (parameters.quality.kind, parameters.captions.kind) else None
    )
    return Scorers(
        _quality(parameters.quality, embedded, device),
        _captions(parameters.captions, embedded, device),
        _judge(parameters.judge, credentials),
    )


def load_embedded(scorer: ModelSource) -> EmbeddedImageScorer:
    """The embedded scorer of a source.

    Raises:
        ModelError: it is missing or of another kind.
    """
    from placid_kedro.embedded.stand_ins.image_scorer import load_embedded_scorer
    from placid_kedro.pipelines.loading import folder_of

    return load_embedded_scorer(folder_of(scorer))


def retrieval_score(scorer: EmbeddedImageScorer, images: Tensor, prompt: str) -> RetrievalScore:
    """Rank of a prompt among all names that the scorer knows, from images [N, 3, H, W] over white."""
    from placid_kedro.evaluation import rank_of_prompt
    from placid_kedro.evaluation.report import RankedName, RetrievalScore

    result = rank_of_prompt(scorer, images, prompt, scorer.names)
    best = tuple(RankedName(name=name, score=score) for name, score in result.best)
    return RetrievalScore(rank=result.rank, of=result.of, score=result.score, best=best)


def sizes_of(parameters: ScoresParameters) -> Sizes:
    """How finely is measured."""
    from placid_kedro.evaluation.t3bench.measure import Sizes

    return Sizes(parameters.subdivisions, parameters.image_size, parameters.background, parameters.thumbnail)


def measure_gaussians(
    gaussians: Gaussians | None,
    prompt: str,
    scorers: Scorers,
    parameters: ScoresParameters,
    seed: int,
    half_edge: float,
) -> Measured:
    """T3Bench's scores of Gaussians on the device that they are on, see `evaluation.t3bench.measure.measure`."""
    from placid_kedro.app.run_context import current_run
    from placid_kedro.evaluation.t3bench.measure import measure
    from placid_kedro.evaluation.t3bench.protocols import PROTOCOLS
    from placid_kedro.evaluation.t3bench.subjects import SplatSubject

    return measure(
        None if gaussians is None else SplatSubject(gaussians),
        prompt,
        scorers,
        PROTOCOLS[parameters.protocol],
        sizes_of(parameters),
        half_edge,
        seed,
        current_run().progress,
    )


def protocol_in_words(parameters: ScoresParameters) -> str:
    """How finely is measured, for a report."""
    from placid_kedro.evaluation.t3bench.poses import icosphere

    poses, whole = len(icosphere(parameters.subdivisions)), len(icosphere(2))
    images = f"{parameters.image_size} px, {parameters.background} background"
    return f"{parameters.protocol}, {poses} of {whole} poses, {images}"


def _quality(parameters: Any, embedded: Any, device: torch.device) -> Any:
    match parameters.kind:
        case "embedded":
            return embedded
        case "imagereward":
            from placid_kedro.evaluation.scorers.imagereward import load_imagereward

            return load_imagereward(parameters.weights, parameters.tokenizer, parameters.batch_size, device)
        case "clip":
            from placid_kedro.evaluation.scorers.clip import load_clip

            return load_clip(parameters.model, parameters.batch_size, device, "scores.quality.model")
    return None


def _captions(parameters: Any, embedded: Any, device: torch.device) -> Any:
    match parameters.kind:
        case "embedded":
            from placid_kedro.embedded.stand_ins.captions import RetrievedCaptions

            return RetrievedCaptions(embedded)
        case "blip2":
            from placid_kedro.evaluation.scorers.blip2 import load_blip2

            return load_blip2(parameters, device)
    return None


def _judge(parameters: Any, credentials: dict[str, str]) -> Any:
    match parameters.kind:
        case "embedded":
            from placid_kedro.embedded.stand_ins.judge import SimilarityJudge

            return SimilarityJudge()
        case "endpoint":
            from placid_kedro.evaluation.scorers.chat import endpoint_of
            from placid_kedro.evaluation.scorers.chat_judge import ChatJudge

            return ChatJudge(endpoint_of(parameters, credentials))
    return None
