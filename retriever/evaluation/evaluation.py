"""Measure a ranking function against judgements, and two of them against each other."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from retriever.evaluation.judgements import Judgements
from retriever.evaluation.metrics import Ranking, parse_metric, trec_order
from retriever.evaluation.significance import (
    Interval,
    PairedDifference,
    bootstrap_interval,
    randomisation_test,
)

logger = logging.getLogger(__name__)

DEFAULT_METRICS = ("ndcg@10", "recall@100", "mrr@10", "map")

RankQueries = Callable[[Sequence[str]], Sequence[Ranking]]
"""Texts of queries to one ranking of documents each, in the given order."""


@dataclass(frozen=True, slots=True)
class EvaluationReport:
    """Values of one ranking function on one set of judged queries."""

    metrics: Mapping[str, Interval]
    """Mean over the queries and its 95 % bootstrap interval, by metric."""

    per_query: Mapping[str, Mapping[str, float]]
    """Value by metric, by query id."""

    skipped: tuple[str, ...] = ()
    """Queries without a relevant document: no ranking can do well or badly on them."""

    @property
    def finds_anything(self) -> bool:
        """Whether a metric of a query is above 0."""
        return any(any(values.values()) for values in self.per_query.values())

    def to_json(self) -> dict[str, Any]:
        """Give the form `argot eval --json` prints."""
        return {
            "schema_version": 1,
            "queries": len(self.per_query),
            "metrics": {
                name: {"value": mean.value, "low": mean.low, "high": mean.high}
                for name, mean in self.metrics.items()
            },
        }


def evaluate(
    rank: RankQueries,
    judgements: Judgements,
    *,
    rng: np.random.Generator,
    metrics: Sequence[str] = DEFAULT_METRICS,
) -> EvaluationReport:
    """Rank the documents for every judged query and measure the rankings.

    A query with relevant documents for which nothing was found counts as 0. One without relevant
    documents is skipped; trec_eval would count it as 0 for every system.

    Args:
        rank: Called once, with the texts of all the queries.
        judgements: Queries and grades.
        rng: Source of the bootstrap's resamples.
        metrics: Names such as ``ndcg@10``.

    Returns:
        Means with their intervals, and every query's values.

    Raises:
        ValueError: a metric is unknown, no query has a relevant document, or `rank` does not give
            one ranking per query.
    """
    measures = [parse_metric(name) for name in metrics]
    ids = [id_ for id_ in judgements.queries if max(judgements.grades[id_].values()) > 0]
    if not ids or not measures:
        raise ValueError("an evaluation needs a metric and a query with a relevant document")
    rankings = rank([judgements.queries[id_] for id_ in ids])
    if len(rankings) != len(ids):
        raise ValueError(
            f"`rank` must give one ranking per query; got {len(rankings)} for {len(ids)}"
        )
    per_query = {
        id_: {measure.name: measure(ranked, judgements.grades[id_]) for measure in measures}
        for id_, ranked in zip(ids, map(trec_order, rankings), strict=True)
    }
    means = {
        measure.name: bootstrap_interval(
            [values[measure.name] for values in per_query.values()], rng=rng
        )
        for measure in measures
    }
    skipped = tuple(id_ for id_ in judgements.queries if id_ not in per_query)
    if skipped:
        logger.info("skipped %d queries without a relevant document", len(skipped))
    return EvaluationReport(means, per_query, skipped)


def compare(
    a: EvaluationReport, b: EvaluationReport, *, rng: np.random.Generator
) -> dict[str, PairedDifference]:
    """Test, for every metric both have, whether `a` and `b` differ by more than chance.

    Args:
        a: Report of one ranking function.
        b: Report of another on the same judged queries.
        rng: Source of the test's resamples.

    Returns:
        `a` minus `b` by metric. The p values are not corrected for the number of metrics.

    Raises:
        ValueError: they were measured on different queries, or share no metric.
    """
    if a.per_query.keys() != b.per_query.keys():
        apart = sorted(a.per_query.keys() ^ b.per_query.keys())
        raise ValueError(
            "two reports can be compared on the same queries only; "
            f"{len(apart)} are in one of them, such as {apart[0]!r}"
        )
    shared = [name for name in a.metrics if name in b.metrics]
    if not shared:
        raise ValueError(
            f"the reports share no metric; they have {list(a.metrics)} and {list(b.metrics)}"
        )
    return {
        name: randomisation_test(
            [a.per_query[id_][name] for id_ in a.per_query],
            [b.per_query[id_][name] for id_ in a.per_query],
            rng=rng,
        )
        for name in shared
    }
