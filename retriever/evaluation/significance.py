"""How far the queries at hand let one trust a mean, or the difference of two.

Shapes: N queries, R resamples.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_BLOCK = 1000
"""Resamples drawn at once: bounds the memory at ``[_BLOCK, N]``."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean over queries and the interval it is believed to lie in."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """How much better one system is than another on the same queries."""

    difference: float
    """Mean of `a` minus mean of `b`."""

    p_value: float
    """Two-sided, in (0, 1]: how often chance alone gives a difference this large."""


def bootstrap_interval(
    values: Sequence[float],
    *,
    rng: np.random.Generator,
    resamples: int = 1000,
    confidence: float = 0.95,
) -> Interval:
    """Percentile bootstrap of the mean over queries.

    It speaks of other queries like these on the same documents, not of other documents.

    Args:
        values: One value per query, ``[N]``, N >= 1.
        rng: Source of the resamples; the same state gives the same interval.
        resamples: >= 1.
        confidence: In (0, 1).

    Returns:
        The mean of `values` and the interval's bounds.

    Raises:
        ValueError: no values, or `resamples` or `confidence` out of range.

    Source:
        Efron 1979; on retrieval measures, Sakai 2006. The plain percentile form, without bias
        correction: a little narrow below some 30 queries.
    """
    sample = np.asarray(values, dtype=np.float64)
    if not len(sample):
        raise ValueError("a mean needs at least one value; got none")
    if resamples < 1 or not 0 < confidence < 1:
        raise ValueError(
            f"`resamples` must be >= 1 and `confidence` in (0, 1); got {resamples} and {confidence}"
        )
    means = np.concatenate(
        [
            sample[rng.integers(len(sample), size=(size, len(sample)))].mean(axis=1)
            for size in _blocks(resamples)
        ]
    )  # [R]
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(sample.mean()), float(low), float(high))


def randomisation_test(
    a: Sequence[float],
    b: Sequence[float],
    *,
    rng: np.random.Generator,
    resamples: int = 10_000,
) -> PairedDifference:
    """Paired randomisation test of the difference of two means, two-sided.

    If the systems were equal, swapping their values on any query would change nothing but chance:
    each resample swaps on a random half of the queries, which flips the sign of the difference.

    Args:
        a: Values of one system, ``[N]``, N >= 1.
        b: Values of the other on the same queries in the same order, ``[N]``.
        rng: Source of the swaps.
        resamples: >= 1.

    Returns:
        The difference and its p value.

    Raises:
        ValueError: `a` and `b` differ in length or are empty, or `resamples` is below 1.

    Source:
        Fisher's randomisation test, as Smucker, Allan and Carterette 2007 recommend it for
        retrieval. Signs are sampled instead of all ``2**N`` being enumerated, and the observed
        assignment counts as one of them (+1 above and below the line), so p is never 0.
    """
    if len(a) != len(b) or not len(a) or resamples < 1:
        raise ValueError(
            "both systems need values of the same queries, at least one, and `resamples` >= 1; "
            f"got {len(a)} and {len(b)} values and {resamples} resamples"
        )
    differences = np.asarray(a, dtype=np.float64) - np.asarray(b, dtype=np.float64)  # [N]
    observed = abs(differences.mean())
    as_large = 0
    for size in _blocks(resamples):
        signs = rng.choice(np.array([-1.0, 1.0]), size=(size, len(differences)))
        means = np.abs(signs @ differences) / len(differences)
        # sums in another order differ in the last bits; those are ties, not smaller values
        as_large += int(np.count_nonzero(means >= observed - 1e-12))
    return PairedDifference(float(differences.mean()), (as_large + 1) / (resamples + 1))


def _blocks(resamples: int) -> list[int]:
    full, rest = divmod(resamples, _BLOCK)
    return [_BLOCK] * full + [rest] * bool(rest)
