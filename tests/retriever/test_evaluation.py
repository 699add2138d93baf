"""Evaluation of a ranking function."""

from collections.abc import Sequence

import numpy as np
import pytest

from retriever.evaluation.evaluation import compare, evaluate
from retriever.evaluation.judgements import Judgements
from retriever.evaluation.metrics import Ranking

JUDGEMENTS = Judgements(
    queries={"q1": "leave", "q2": "pay", "q3": "parking"},
    grades={"q1": {"a": 2, "b": 1}, "q2": {"c": 1}, "q3": {"d": 0}},
)


def rng() -> np.random.Generator:
    return np.random.default_rng(5)


def good(queries: Sequence[str]) -> list[Ranking]:
    return [{"leave": [("a", 2.0), ("b", 1.0)], "pay": [("c", 1.0)]}[query] for query in queries]


def bad(queries: Sequence[str]) -> list[Ranking]:
    return [{"leave": [("x", 2.0), ("b", 1.0)], "pay": []}[query] for query in queries]


def test_each_query_is_measured_and_a_query_that_finds_nothing_counts():
    report = evaluate(bad, JUDGEMENTS, rng=rng(), metrics=["mrr@10", "recall@10"])

    assert report.per_query == {
        "q1": {"mrr@10": 0.5, "recall@10": 0.5},
        "q2": {"mrr@10": 0.0, "recall@10": 0.0},
    }
    assert report.metrics["mrr@10"].value == 0.25


def test_a_query_without_relevant_documents_is_skipped_and_named():
    report = evaluate(good, JUDGEMENTS, rng=rng())

    assert report.skipped == ("q3",)
    assert {mean.value for mean in report.metrics.values()} == {1.0}


def test_json_has_the_agreed_form():
    report = evaluate(good, JUDGEMENTS, rng=rng(), metrics=["ndcg@10", "map"])

    assert report.to_json() == {
        "schema_version": 1,
        "queries": 2,
        "metrics": {
            "ndcg@10": {"value": 1.0, "low": 1.0, "high": 1.0},
            "map": {"value": 1.0, "low": 1.0, "high": 1.0},
        },
    }


def test_two_reports_are_compared_on_every_metric_both_have():
    a = evaluate(good, JUDGEMENTS, rng=rng(), metrics=["mrr@10", "map"])
    b = evaluate(bad, JUDGEMENTS, rng=rng(), metrics=["map", "mrr@10", "recall@5"])

    result = compare(a, b, rng=rng())
    assert list(result) == ["mrr@10", "map"]
    assert result["mrr@10"].difference == 0.75
    assert result["mrr@10"].p_value == pytest.approx(0.5, abs=0.05)  # two queries: 2 of 4 flips


def test_what_cannot_be_measured_or_compared_is_refused():
    with pytest.raises(ValueError, match="no metric is called 'f1'"):
        evaluate(good, JUDGEMENTS, rng=rng(), metrics=["f1"])
    with pytest.raises(ValueError, match="one ranking per query; got 0 for 2"):
        evaluate(lambda _queries: [], JUDGEMENTS, rng=rng())
    with pytest.raises(ValueError, match="a query with a relevant document"):
        evaluate(good, Judgements({"q3": "x"}, {"q3": {"d": 0}}), rng=rng())
    one = evaluate(good, Judgements({"q1": "leave"}, {"q1": {"a": 1}}), rng=rng())
    both = evaluate(good, JUDGEMENTS, rng=rng())
    with pytest.raises(ValueError, match="1 are in one of them, such as 'q2'"):
        compare(one, both, rng=rng())
    other = evaluate(good, JUDGEMENTS, rng=rng(), metrics=["recall@3"])
    with pytest.raises(ValueError, match="share no metric"):
        compare(both, other, rng=rng())
