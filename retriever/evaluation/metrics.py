"""How good a ranking is, given judged documents.

Values agree with trec_eval (and so with BEIR): the gain is the grade itself, not ``2**grade - 1``;
a document without a judgement counts as not relevant; a grade of 0 or below is not relevant.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

Ranking = Sequence[tuple[str, float]]
"""Document ids with their scores, in any order."""

Grades = Mapping[str, int]
"""Grade of each judged document of one query."""


def trec_order(ranking: Ranking) -> list[str]:
    """Order ids by score, highest first, and equal scores by id, last first, as trec_eval does."""
    ids = [id_ for id_, _ in sorted(ranking, key=lambda item: (item[1], item[0]), reverse=True)]
    if len(set(ids)) != len(ids):
        twice = next(id_ for id_ in ids if ids.count(id_) > 1)
        raise ValueError(f"a document may be ranked once; {twice!r} is there more than once")
    return ids


def ndcg(ranked: Sequence[str], grades: Grades, *, k: int) -> float:
    """Discounted gain of the first `k` documents over that of the best possible order.

    Source:
        Järvelin and Kekäläinen 2002, with trec_eval's linear gain and discount ``log2(rank + 1)``.
    """
    ideal = _discounted(sorted(grades.values(), reverse=True)[:k])
    return _discounted([grades.get(id_, 0) for id_ in ranked[:k]]) / ideal if ideal else 0.0


def recall(ranked: Sequence[str], grades: Grades, *, k: int) -> float:
    """Share of the relevant documents that are among the first `k`."""
    relevant = _relevant(grades)
    return len(relevant.intersection(ranked[:k])) / len(relevant) if relevant else 0.0


def reciprocal_rank(ranked: Sequence[str], grades: Grades, *, k: int) -> float:
    """One over the rank of the first relevant document; 0 if it is not among the first `k`."""
    relevant = _relevant(grades)
    return next((1 / rank for rank, id_ in enumerate(ranked[:k], 1) if id_ in relevant), 0.0)


def average_precision(ranked: Sequence[str], grades: Grades) -> float:
    """Mean, over the relevant documents, of the precision at their rank; 0 for one not ranked."""
    relevant = _relevant(grades)
    found = np.array([id_ in relevant for id_ in ranked], dtype=bool)
    precision = np.cumsum(found) / np.arange(1, len(found) + 1)
    return float(precision[found].sum() / len(relevant)) if relevant else 0.0


def _relevant(grades: Grades) -> set[str]:
    return {id_ for id_, grade in grades.items() if grade > 0}


def _discounted(gains: Sequence[int]) -> float:
    gain = np.maximum(np.asarray(gains, dtype=np.float64), 0)
    return float((gain / np.log2(np.arange(2, len(gain) + 2))).sum())


_AT_K: dict[str, Callable[..., float]] = {"ndcg": ndcg, "recall": recall, "mrr": reciprocal_rank}


@dataclass(frozen=True, slots=True)
class Metric:
    """A measure under the name people give it."""

    name: str
    """``ndcg@10``, ``recall@100``, ``mrr@10``, ``map``."""

    cutoff: int | None = None
    """The number after ``@``; None for ``map``, which looks at the whole ranking."""

    def __call__(self, ranked: Sequence[str], grades: Grades) -> float:
        """Measure one query; `ranked` holds document ids, best first."""
        if self.cutoff is None:
            return average_precision(ranked, grades)
        return _AT_K[self.name.partition("@")[0]](ranked, grades, k=self.cutoff)


def parse_metric(name: str) -> Metric:
    """Read a metric's name, such as ``ndcg@10``."""
    if name == "map":
        return Metric(name)
    match = re.fullmatch(rf"({'|'.join(_AT_K)})@([1-9][0-9]*)", name)
    if match is None:
        raise ValueError(
            f"no metric is called {name!r}\n"
            "hint: `ndcg@K`, `recall@K` or `mrr@K` with a whole number K >= 1, or `map`"
        )
    return Metric(name, int(match[2]))
