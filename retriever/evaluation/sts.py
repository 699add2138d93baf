"""Semantic textual similarity: do cosines order pairs of sentences as people do.

Shapes: N pairs · D dimensions.
"""

import csv
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from retriever.errors import JudgementsError
from retriever.evaluation.resampling import Measured, Values, draws

HEADINGS = ["sentence1", "sentence2", "score"]


@dataclass(frozen=True, slots=True)
class ScoredPairs:
    """Pairs of sentences and how similar people found them."""

    first: tuple[str, ...]
    second: tuple[str, ...]
    scores: tuple[float, ...]
    """On any scale: only their order counts."""


def read_scored_pairs(path: Path) -> ScoredPairs:
    """Read ``sentence1 TAB sentence2 TAB score`` under a line with these headings.

    Quotation marks mean themselves.

    Raises:
        JudgementsError: the file can't be read, a line is malformed, or the scores are all equal.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    except (OSError, UnicodeDecodeError, csv.Error) as exc:
        raise JudgementsError(f"{path} can't be read: {exc}") from exc
    if not rows or [heading.strip().lower() for heading in rows[0]] != HEADINGS:
        raise JudgementsError(
            f"{path}:1: the first line must be the headings {', '.join(HEADINGS)}, set apart by "
            f"tabs; got {rows[0] if rows else 'an empty file'}"
        )
    pairs = [_pair(path, line, row) for line, row in enumerate(rows[1:], start=2) if row]
    if len({score for *_, score in pairs}) < 2:
        raise JudgementsError(
            f"{path} must hold pairs of at least two different scores to have an order; "
            f"it holds {len(pairs)} pairs"
        )
    first, second, scores = zip(*pairs, strict=True)
    return ScoredPairs(first, second, scores)


def _pair(path: Path, line: int, row: list[str]) -> tuple[str, str, float]:
    if len(row) != len(HEADINGS):
        raise JudgementsError(f"{path}:{line}: a line must hold 3 fields; got {len(row)}")
    try:
        score = float(row[2])
    except ValueError as exc:
        raise JudgementsError(
            f"{path}:{line}: the score, the third field, must be a number; got {row[2]!r}"
        ) from exc
    if not math.isfinite(score):
        raise JudgementsError(f"{path}:{line}: a score must be finite; got {row[2]!r}")
    return row[0], row[1], score


def spearman(a: npt.ArrayLike, b: npt.ArrayLike) -> float:
    """Correlate the ranks of ``a`` and ``b``, both ``[N]``; equal values share their mean rank.

    Returns:
        In [-1, 1]; not a number where all values of one of them are equal. Papers on sentence
        embeddings print it times 100.

    Source:
        Spearman 1904; the measure of STS, Reimers et al. 2016 (C16-1009).
    """
    ranks_a, ranks_b = _centred_ranks(np.asarray(a)), _centred_ranks(np.asarray(b))
    norms = float(np.linalg.norm(ranks_a) * np.linalg.norm(ranks_b))
    return float(ranks_a @ ranks_b) / norms if norms else math.nan


def measure_similarity(
    first: npt.NDArray[np.float32],
    second: npt.NDArray[np.float32],
    scores: tuple[float, ...],
    *,
    rng: np.random.Generator,
) -> Measured:
    """Correlate the cosines of pairs with their scores, and resample the pairs.

    Args:
        first: ``[N, D]``, unit norm.
        second: ``[N, D]``, unit norm, in the same order.
        scores: ``[N]``.
        rng: Source of the resamples.
    """
    cosines = np.einsum("nd,nd->n", first.astype(np.float64), second.astype(np.float64))
    gold = np.asarray(scores)
    resamples = [spearman(cosines[drawn], gold[drawn]) for drawn in draws(len(gold), rng=rng)]
    return Measured(spearman(cosines, gold), np.array(resamples))


def _centred_ranks(values: npt.NDArray[np.float64]) -> Values:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    mean_ranks = np.cumsum(counts) - (counts - 1) / 2
    return mean_ranks[inverse] - (len(values) + 1) / 2
