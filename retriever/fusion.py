"""One ranking out of several, by rank alone or by scores brought to one scale.

Argot fuses the rankings itself, so that every engine gives the same order.
"""

import math
from collections.abc import Mapping, Sequence
from statistics import fmean, pstdev


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

    Raises:
        ValueError: ``k`` or a weight is out of range, or a ranking holds an id twice.

    Source:
        Cormack, Clarke and Büttcher 2009, "Reciprocal Rank Fusion outperforms Condorcet and
        individual Rank Learning Methods", k = 60. The weights are an addition. Qdrant's own RRF
        counts ranks from 0 and defaults to k = 2, so its order differs from this one.
    """
    scaled = {name: reciprocal_ranks(ids, k=k) for name, ids in rankings.items()}
    return totals(contributions(scaled, weights=weights))


def relative_score_fusion(
    rankings: Mapping[str, Sequence[tuple[str, float]]],
    *,
    weights: Mapping[str, float] | None = None,
) -> list[tuple[str, float]]:
    """Sum weighted scores, each ranking's brought to [0, 1] by its lowest and its highest.

    Keeps by how much one document is better than another, which ranks forget. An id that a ranking
    does not hold gets nothing of it; where all its scores are equal, each counts as 1.

    Args:
        rankings: Ids with their scores of each ranking under its name, each id at most once.
        weights: As for `reciprocal_rank_fusion`.

    Returns:
        Every id with its score, best first, equal scores in order of id.

    Source:
        Bruch, Gai and Ingber 2023, "An Analysis of Fusion Functions for Hybrid Retrieval",
        arXiv:2210.11934, section 3: the convex combination with min-max normalisation.
    """
    scaled = {name: relative_scores(found) for name, found in rankings.items()}
    return totals(contributions(scaled, weights=weights))


def distribution_score_fusion(
    rankings: Mapping[str, Sequence[tuple[str, float]]],
    *,
    weights: Mapping[str, float] | None = None,
) -> list[tuple[str, float]]:
    """Sum weighted scores, each ranking's brought to one scale by its mean and standard deviation.

    0 is three deviations below the mean and 1 three above. What lies beyond is not cut off: the
    best of a ranking are often there, and would lose their order. Where all scores are equal, each
    counts as a half.

    Args:
        rankings: As for `relative_score_fusion`.
        weights: As for `reciprocal_rank_fusion`.

    Returns:
        Every id with its score, best first, equal scores in order of id.

    Source:
        Qdrant's "distribution-based score fusion" (DBSF), without its sample variance.
    """
    scaled = {name: distributed_scores(found) for name, found in rankings.items()}
    return totals(contributions(scaled, weights=weights))


def reciprocal_ranks(ids: Sequence[str], *, k: int) -> list[tuple[str, float]]:
    """Score ids, best first, by ``1 / (k + rank)``; see `reciprocal_rank_fusion`."""
    if k < 0:
        raise ValueError(f"`k` must be >= 0; got {k}")
    return [(id_, 1 / (k + rank)) for rank, id_ in enumerate(ids, start=1)]


def relative_scores(found: Sequence[tuple[str, float]]) -> list[tuple[str, float]]:
    """Bring scores to [0, 1] by the lowest and the highest; see `relative_score_fusion`."""
    scores = [score for _, score in found]
    low, width = min(scores, default=0.0), max(scores, default=0.0) - min(scores, default=0.0)
    return [(id_, (score - low) / width if width else 1.0) for id_, score in found]


def distributed_scores(found: Sequence[tuple[str, float]]) -> list[tuple[str, float]]:
    """Bring scores to one scale by mean and deviation; see `distribution_score_fusion`."""
    scores = [score for _, score in found]
    width = 6 * pstdev(scores) if scores else 0.0
    low = fmean(scores) - width / 2 if scores else 0.0
    return [(id_, (score - low) / width if width else 0.5) for id_, score in found]


def contributions(
    rankings: Mapping[str, Sequence[tuple[str, float]]],
    *,
    weights: Mapping[str, float] | None = None,
) -> dict[str, dict[str, float]]:
    """Weigh rankings whose scores are on one scale: by id, what each ranking adds to its score.

    Raises:
        ValueError: a weight is out of range, or a ranking holds an id twice.
    """
    weights = dict.fromkeys(rankings, 1.0) | dict(weights or {})
    _check(rankings, weights=weights)
    parts: dict[str, dict[str, float]] = {}
    for name, found in rankings.items():
        for id_, score in found if weights[name] else ():
            parts.setdefault(id_, {})[name] = weights[name] * score
    return parts


def totals(parts: Mapping[str, Mapping[str, float]]) -> list[tuple[str, float]]:
    """Sum what the rankings add: every id, best first, equal scores in order of id."""
    # fsum rounds once: the order of the rankings can't make or break a tie
    scores = {id_: math.fsum(values.values()) for id_, values in parts.items()}
    return sorted(scores.items(), key=lambda item: (-item[1], item[0]))


def _check(
    rankings: Mapping[str, Sequence[tuple[str, float]]], *, weights: Mapping[str, float]
) -> None:
    for name, weight in weights.items():
        if name not in rankings:
            raise ValueError(f"weight for {name!r}, but the rankings are {sorted(rankings)}")
        if not (math.isfinite(weight) and weight >= 0):
            raise ValueError(f"weight of {name!r} must be a finite number >= 0; got {weight}")
    for name, found in rankings.items():
        if len({id_ for id_, _ in found}) != len(found):
            raise ValueError(f"an id may be in ranking {name!r} once; it holds a duplicate")
