"""One ranking out of several, by rank alone.

Argot fuses the rankings itself, so that every engine gives the same order.
"""

import math
from collections.abc import Mapping, Sequence


def reciprocal_rank_fusion(
    rankings: Mapping[str, Sequence[str]],
    *,
    k: int = 60,
    weights: Mapping[str, float] | None = None,
) -> list[tuple[str, float]]:
    """Sum ``weight / (k + rank)`` over the rankings that hold an id; ranks count from 1.

    Args:
        rankings: Ids of each ranking under its name, best first, each id at most once.
        k: >= 0. Larger values flatten the difference between the top ranks.
        weights: >= 0, by name of the ranking; 1 where absent. 0 leaves the ranking out.

    Returns:
        Every id with its score, best first, equal scores in order of id.

    Source:
        Cormack, Clarke and Büttcher 2009, "Reciprocal Rank Fusion outperforms Condorcet and
        individual Rank Learning Methods", k = 60. The weights are an addition. Qdrant's own RRF
        counts ranks from 0 and defaults to k = 2, so its order differs from this one.
    """
    weights = dict.fromkeys(rankings, 1.0) | dict(weights or {})
    _check(rankings, k=k, weights=weights)
    parts: dict[str, list[float]] = {}
    for name, ids in rankings.items():
        if weights[name] == 0:
            continue
        for rank, id_ in enumerate(ids, start=1):
            parts.setdefault(id_, []).append(weights[name] / (k + rank))
    # fsum rounds once: the order of the rankings can't make or break a tie
    scores = {id_: math.fsum(values) for id_, values in parts.items()}
    return sorted(scores.items(), key=lambda item: (-item[1], item[0]))


def _check(rankings: Mapping[str, Sequence[str]], *, k: int, weights: Mapping[str, float]) -> None:
    if k < 0:
        raise ValueError(f"`k` must be >= 0; got {k}")
    for name, weight in weights.items():
        if name not in rankings:
            raise ValueError(f"weight for {name!r}, but the rankings are {sorted(rankings)}")
        if not (math.isfinite(weight) and weight >= 0):
            raise ValueError(f"weight of {name!r} must be a finite number >= 0; got {weight}")
    for name, ids in rankings.items():
        if len(set(ids)) != len(ids):
            raise ValueError(f"an id may be in ranking {name!r} once; it holds a duplicate")
