"""The step that lets a reranker order the best candidates anew."""

import math
from collections.abc import Sequence
from dataclasses import replace

from retriever.candidates import Candidate, full_text
from retriever.errors import StageError
from retriever.stages import Reranker


def reranked(
    candidates: Sequence[Candidate], *, query: str, reranker: Reranker, depth: int
) -> list[Candidate]:
    """Order the first `depth` candidates by what a reranker says; the others keep their order.

    Args:
        candidates: Best first.
        query: In the user's words.
        reranker: Reads them.
        depth: How many it reads, >= 1.

    Returns:
        All of them, best first, equal scores in their former order. Those that were not read have
        made-up scores, each 1 below the one before, so that scores and order agree.

    Raises:
        StageError: the reranker does not give one finite score for each text.
    """
    read, rest = candidates[:depth], candidates[depth:]
    if not read:
        return []
    scores = reranker.scores(query, [full_text(candidate.payload) for candidate in read])
    if len(scores) != len(read) or not all(math.isfinite(score) for score in scores):
        raise StageError(
            f"reranker {reranker.name!r} must give one finite score for each of {len(read)} texts; "
            f"got {len(scores)}: {list(scores)[:5]}"
        )
    order = sorted(range(len(read)), key=lambda place: (-scores[place], place))
    first = [
        _moved(
            read[place], reranker=reranker, score=float(scores[place]), before=place, after=after
        )
        for after, place in enumerate(order)
    ]
    lowest = first[-1].score
    below = [replace(one, score=lowest - step) for step, one in enumerate(rest, start=1)]
    return [*first, *below]


def _moved(
    candidate: Candidate, *, reranker: Reranker, score: float, before: int, after: int
) -> Candidate:
    step = {
        "name": reranker.name,
        "score": score,
        "before": before + 1,
        "after": after + 1,
        "delta": before - after,
    }
    return replace(candidate, score=score, later={**candidate.later, "rerank": step})
