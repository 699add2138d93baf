"""Bootstrap of measures that are no means: rank correlations, ratios of sums.

Resamples are drawn from a generator alone, so that two systems measured on the same N items with
generators of one seed are resampled alike, and their difference can be judged in pairs.

Shapes: N items · R resamples.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from retriever.evaluation.significance import Interval

RESAMPLES = 1000
_BLOCK = 100
"""Resamples drawn at once: bounds the memory at ``[_BLOCK, N]``."""

Values = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Measured:
    """A measure and what it would have been on other items like these."""

    value: float
    resamples: Values
    """``[R]``; not a number where a resample leaves the measure undefined."""

    def interval(self, *, confidence: float = 0.95) -> Interval:
        """Percentile bootstrap, as `significance.bootstrap_interval` has it for means."""
        return Interval(self.value, *_percentiles(self.resamples, confidence))

    def minus(self, other: "Measured", *, confidence: float = 0.95) -> Interval:
        """Give the difference to another system on the same items, with its paired interval.

        Raises:
            ValueError: the two were not resampled alike.
        """
        if self.resamples.shape != other.resamples.shape:
            raise ValueError(
                "a paired difference needs the same resamples of both; "
                f"got {len(self.resamples)} and {len(other.resamples)}"
            )
        differences = self.resamples - other.resamples
        return Interval(self.value - other.value, *_percentiles(differences, confidence))


def draws(n: int, *, rng: np.random.Generator) -> Iterator[npt.NDArray[np.int64]]:
    """Yield ``[N]`` positions for each of `RESAMPLES` resamples, drawn with replacement."""
    for _ in range(RESAMPLES // _BLOCK):
        yield from rng.integers(n, size=(_BLOCK, n))


def ratio_of_sums(
    numerators: npt.NDArray[np.int64],
    denominators: npt.NDArray[np.int64],
    *,
    rng: np.random.Generator,
) -> Measured:
    """Measure one sum over another, such as right words over words, and resample the items.

    Args:
        numerators: ``[N]``.
        denominators: ``[N]``; a ratio over a sum of zero counts as 0.
        rng: Source of the resamples.
    """
    resamples = np.array(
        [
            _ratio(int(numerators[drawn].sum()), int(denominators[drawn].sum()))
            for drawn in draws(len(numerators), rng=rng)
        ]
    )
    return Measured(_ratio(int(numerators.sum()), int(denominators.sum())), resamples)


def _ratio(numerator: int, denominator: int) -> float:
    return numerator / denominator if denominator else 0.0


def _percentiles(values: Values, confidence: float) -> tuple[float, float]:
    low, high = np.nanquantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)
