"""MiniLM's similarity of sentences in the place of a chat model."""

from __future__ import annotations

from placid_kedro.embedded.networks.text_encoder import MiniLMTextEncoder
from placid_kedro.embedded.stand_ins import SUFFIX
from placid_kedro.evaluation.t3bench.interfaces import HIGHEST_RATING, LOWEST_RATING, Rating


class SimilarityJudge:
    """Rates by the cosine of MiniLM's sentence embeddings."""

    name = "similarity of MiniLM's sentence embeddings"
    suffix = SUFFIX

    def merge(self, captions: list[str]) -> str:
        """The caption that is nearest to all the others; the first of several."""
        embeddings = MiniLMTextEncoder().sentence_embeddings(captions)
        return captions[int((embeddings @ embeddings.sum(dim=0)).double().round(decimals=5).argmax())]

    def rate(self, prompt: str, caption: str) -> Rating:
        """1 for a cosine of 0 and less, 5 for 1, evenly between."""
        first, second = MiniLMTextEncoder().sentence_embeddings([prompt, caption])
        cosine = float(first @ second)
        between = max(cosine, 0.0) * (HIGHEST_RATING - LOWEST_RATING)
        return Rating(min(LOWEST_RATING + round(between), HIGHEST_RATING), f"cosine {cosine:.3f}")
