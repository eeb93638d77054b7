"""Does the object match its prompt?"""

from placid_kedro.evaluation.retrieval import Retrieval, SimilarityScorer, rank_of_prompt

__all__ = ["Retrieval", "SimilarityScorer", "rank_of_prompt"]
