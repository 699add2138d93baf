"""Maximal marginal relevance: hits that answer the query and do not repeat each other.

Shapes: N candidates, D dimensions.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from encoder.base import FloatArray
from indexing.stores.base import VectorStore
from retriever.candidates import Candidate


def diversified(
    candidates: Sequence[Candidate], *, store: VectorStore, weight: float, are_cosines: bool
) -> list[Candidate]:
    """Order candidates by maximal marginal relevance; scores stay what they are.

    Args:
        candidates: Best first, all of them in `store`.
        store: Holds their dense vectors.
        weight: Of relevance, in [0, 1]; see `diverse_order`.
        are_cosines: The scores are cosines of the query. Other scores are brought to [0, 1] first,
            to be comparable with the cosines between candidates.

    Returns:
        All that are still there. The explanation has the rank before, and the value that each was
        chosen for.
    """
    points = {point.id: point.dense for point in store.read([one.id for one in candidates])}
    known = [one for one in candidates if points.get(one.id) is not None]
    if not known:
        return []
    relevance = np.array([candidate.score for candidate in known], dtype=np.float32)
    chosen = diverse_order(
        relevance if are_cosines else _scaled(relevance),
        np.array([points[candidate.id] for candidate in known], dtype=np.float32),
        weight=weight,
    )
    return [
        _placed(known[place], weight=weight, value=value, before=place + 1)
        for place, value in chosen
    ]


def diverse_order(
    relevance: FloatArray, vectors: FloatArray, *, weight: float
) -> list[tuple[int, float]]:
    """Choose one candidate after the other: the most relevant that is least like those before.

    The next one has the highest ``weight * relevance - (1 - weight) * nearest``, where ``nearest``
    is the highest cosine with one that was chosen; for the first there is none, and it counts 0.

    Args:
        relevance: ``[N]``.
        vectors: ``[N, D]``, unit norm.
        weight: In [0, 1]: 1 is relevance alone, 0 difference alone.

    Returns:
        Place of each candidate and the value it was chosen for, in the order of choice; the first
        of equal ones is chosen first.

    Source:
        Carbonell and Goldstein 1998, "The Use of MMR, Diversity-Based Reranking for Reordering
        Documents and Producing Summaries"; `weight` is their lambda.
    """
    cosines = vectors @ vectors.T  # [N, N]
    nearest = np.zeros(len(relevance), dtype=np.float32)
    left = np.ones(len(relevance), dtype=bool)
    chosen: list[tuple[int, float]] = []
    for _ in range(len(relevance)):
        values = np.where(left, weight * relevance - (1 - weight) * nearest, -np.inf)
        place = int(np.argmax(values))
        nearest = np.maximum(nearest, cosines[place]) if chosen else cosines[place]
        chosen.append((place, float(values[place])))
        left[place] = False
    return chosen


def _scaled(scores: FloatArray) -> FloatArray:
    low, width = scores.min(), scores.max() - scores.min()
    scaled = (scores - low) / width if width else np.ones_like(scores)
    return np.asarray(scaled, dtype=np.float32)


def _placed(candidate: Candidate, *, weight: float, value: float, before: int) -> Candidate:
    step = {"lambda": weight, "value": value, "before": before}
    return replace(candidate, later={**candidate.later, "mmr": step})
