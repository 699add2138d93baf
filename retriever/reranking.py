"""The step that lets a reranker order the best candidates anew."""

import math
from collections.abc import Sequence
from dataclasses import replace

from retriever.candidates import Candidate, full_text
from retriever.errors import StageError
from retriever.fusion import distributed_scores
from retriever.stages import Reranker


def reranked(
    read: Sequence[Candidate],
    *,
    below: Sequence[Candidate],
    query: str,
    reranker: Reranker,
    weight: float,
) -> list[Candidate]:
    """Order candidates by what a reranker says.

    Args:
        read: What it reads, with payloads, best first.
        below: The others; they keep their order.
        query: In the user's words.
        reranker: Reads them.
        weight: Of what it says, beside the scores so far; see `blended`.

    Returns:
        All of them, best first, equal scores in their former order. Those that were not read have
        made-up scores, each 1 below the one before, so that scores and order agree.

    Raises:
        StageError: the reranker does not give one finite score for each text.
    """
    if not read:
        return list(below)
    scores = reranker.scores(query, [full_text(candidate.payload) for candidate in read])
    if len(scores) != len(read) or not all(math.isfinite(score) for score in scores):
        raise StageError(
            f"reranker {reranker.name!r} must give one finite score for each of {len(read)} texts; "
            f"got {len(scores)}: {list(scores)[:5]}"
        )
    final = blended([candidate.score for candidate in read], scores, weight=weight)
    order = sorted(range(len(read)), key=lambda place: (-final[place], place))
    first = []
    for after, place in enumerate(order):
        step = {
            "name": reranker.name,
            "score": float(scores[place]),
            "weight": weight,
            "before": place + 1,
            "after": after + 1,
            "delta": place - after,
        }
        later = {**read[place].later, "rerank": step}
        first.append(replace(read[place], score=final[place], later=later))
    lowest = first[-1].score
    others = [replace(one, score=lowest - step) for step, one in enumerate(below, start=1)]
    return [*first, *others]


def blended(before: Sequence[float], reranker: Sequence[float], *, weight: float) -> list[float]:
    """Add the scores of candidates so far to those of a reranker, brought to one scale.

    Args:
        before: N scores; higher is better.
        reranker: N scores of the same candidates, on any scale.
        weight: Of the reranker, in (0, 1]; 1 leaves its scores as they are.

    Returns:
        N scores: with a weight below 1, each side scaled by mean and deviation as in
        `retriever.fusion.distribution_score_fusion`.
    """
    if weight == 1:
        return [float(score) for score in reranker]
    sides = (_scaled(before), _scaled(reranker))
    return [(1 - weight) * old + weight * new for old, new in zip(*sides, strict=True)]


def _scaled(scores: Sequence[float]) -> list[float]:
    return [score for _, score in distributed_scores([("", score) for score in scores])]
