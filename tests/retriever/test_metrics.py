"""Metrics agree with trec_eval, and with values computed by hand."""

import math
import random

import pytest
import pytrec_eval

from retriever.evaluation.metrics import (
    average_precision,
    ndcg,
    parse_metric,
    recall,
    reciprocal_rank,
    trec_order,
)


def test_values_are_those_computed_by_hand():
    ranked, grades = ["x", "a", "y", "b"], {"a": 2, "b": 1, "c": 1, "x": 0, "y": -1}

    gained = 2 / math.log2(3) + 1 / math.log2(5)
    ideal = 2 / math.log2(2) + 1 / math.log2(3) + 1 / math.log2(4)
    assert ndcg(ranked, grades, k=10) == pytest.approx(gained / ideal)
    assert recall(ranked, grades, k=3) == pytest.approx(1 / 3)
    assert reciprocal_rank(ranked, grades, k=10) == pytest.approx(1 / 2)
    assert reciprocal_rank(ranked, grades, k=1) == 0
    assert average_precision(ranked, grades) == pytest.approx((1 / 2 + 2 / 4) / 3)


def test_nothing_found_or_nothing_relevant_is_zero():
    for name in ("ndcg@10", "recall@10", "mrr@10", "map"):
        assert parse_metric(name)([], {"a": 1}) == 0
        assert parse_metric(name)(["a"], {"a": 0}) == 0


def random_run(seed: int) -> tuple[dict[str, dict[str, int]], dict[str, dict[str, float]]]:
    """Graded judgements, unjudged documents, many ties: scores are one of few values."""
    rng = random.Random(seed)  # noqa: S311 - nothing secret
    documents = [f"d{number}" for number in range(60)]
    qrels, run = {}, {}
    for query in (f"q{number}" for number in range(20)):
        qrels[query] = {id_: rng.randint(-1, 3) for id_ in rng.sample(documents, 15)}
        qrels[query]["d0"] = 1
        found = rng.sample(documents, rng.randint(0, 50))
        run[query] = {id_: rng.randint(0, 12) / 4 for id_ in found}
    return qrels, run


@pytest.mark.parametrize("seed", range(5))
def test_random_runs_measure_as_trec_eval_measures_them(seed: int):
    qrels, run = random_run(seed)
    theirs = {"ndcg@10": "ndcg_cut_10", "recall@20": "recall_20", "map": "map"}
    evaluator = pytrec_eval.RelevanceEvaluator(qrels, {"ndcg_cut.10", "recall.20", "map"})
    expected = evaluator.evaluate(run)

    for query, scores in run.items():
        ranked = trec_order(list(scores.items()))
        for ours, name in theirs.items():
            value = parse_metric(ours)(ranked, qrels[query])
            assert value == pytest.approx(expected[query][name], abs=1e-12), (query, ours)


@pytest.mark.parametrize("seed", range(5))
def test_mrr_is_trec_evals_reciprocal_rank_of_the_ranking_cut_at_k(seed: int):
    qrels, run = random_run(seed)
    ordered = {query: trec_order(list(scores.items()))[:10] for query, scores in run.items()}
    cut = {query: {id_: run[query][id_] for id_ in ids} for query, ids in ordered.items()}
    expected = pytrec_eval.RelevanceEvaluator(qrels, {"recip_rank"}).evaluate(cut)

    for query, ranked in ordered.items():
        value = parse_metric("mrr@10")(ranked, qrels[query])
        assert value == pytest.approx(expected[query]["recip_rank"], abs=1e-12)


def test_equal_scores_are_ordered_by_id_last_first():
    assert trec_order([("a", 1.0), ("c", 1.0), ("b", 2.0)]) == ["b", "c", "a"]


def test_a_document_ranked_twice_is_refused():
    with pytest.raises(ValueError, match="'a' is there more than once"):
        trec_order([("a", 2.0), ("b", 1.5), ("a", 1.0)])


@pytest.mark.parametrize("name", ["ndcg", "ndcg@0", "ndcg@", "ndcg@ten", "map@10", "NDCG@10", ""])
def test_a_name_that_is_no_metric_is_refused_with_those_that_are(name: str):
    with pytest.raises(ValueError, match="`ndcg@K`"):
        parse_metric(name)
