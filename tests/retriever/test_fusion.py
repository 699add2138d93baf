"""Fusion by rank and by score: the formulas, and what holds for any rankings."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from retriever.candidates import fuse
from retriever.fusion import (
    contributions,
    distributed_scores,
    distribution_score_fusion,
    reciprocal_rank_fusion,
    reciprocal_ranks,
    relative_score_fusion,
    relative_scores,
    totals,
)
from retriever.settings import FUSIONS, SearchSettings

Rankings = dict[str, list[str]]
RANKING = st.lists(st.text("abcdefgh", min_size=1, max_size=2), unique=True, max_size=8)
RANKINGS = st.dictionaries(st.sampled_from("xyz"), RANKING, max_size=3)


def test_scores_are_those_of_the_formula_computed_by_hand():
    fused = reciprocal_rank_fusion({"dense": ["a", "b", "c"], "sparse": ["c", "a"]}, k=60)

    assert [id_ for id_, _ in fused] == ["a", "c", "b"]
    assert dict(fused) == pytest.approx(
        {"a": 1 / 61 + 1 / 62, "c": 1 / 63 + 1 / 61, "b": 1 / 62}, rel=1e-15
    )


def test_weights_scale_a_ranking_and_zero_leaves_it_out():
    rankings = {"dense": ["a", "b"], "sparse": ["b", "c"]}

    weighted = dict(reciprocal_rank_fusion(rankings, k=1, weights={"dense": 3.0}))
    assert weighted == pytest.approx({"a": 3 / 2, "b": 3 / 3 + 1 / 2, "c": 1 / 3})
    assert [id_ for id_, _ in reciprocal_rank_fusion(rankings, weights={"dense": 0})] == ["b", "c"]


def test_equal_scores_are_in_order_of_id():
    fused = reciprocal_rank_fusion({"dense": ["b", "a"], "sparse": ["a", "b"]})

    assert [id_ for id_, _ in fused] == ["a", "b"]


@pytest.mark.parametrize(
    ("rankings", "options", "message"),
    [
        ({"x": ["a"]}, {"k": -1}, "`k` must be >= 0"),
        ({"x": ["a"]}, {"weights": {"y": 1.0}}, "weight for 'y'"),
        ({"x": ["a"]}, {"weights": {"x": -1.0}}, "weight of 'x'"),
        ({"x": ["a"]}, {"weights": {"x": float("nan")}}, "weight of 'x'"),
        ({"x": ["a", "b", "a"]}, {}, "holds a duplicate"),
    ],
)
def test_what_makes_no_sense_is_refused(rankings: Rankings, options: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=message):
        reciprocal_rank_fusion(rankings, **options)


@given(RANKINGS)
def test_every_id_comes_out_once_best_first(rankings: Rankings):
    fused = reciprocal_rank_fusion(rankings)

    assert sorted(id_ for id_, _ in fused) == sorted(set().union(*rankings.values()))
    assert [score for _, score in fused] == sorted((score for _, score in fused), reverse=True)


@given(RANKINGS)
# 1/61 + 1/61 + 1/62 added from the left and from the right differ in the last bit
@example({"x": ["a", "b"], "y": ["a", "b"], "z": ["b", "a"]})
def test_the_order_in_which_rankings_are_given_does_not_matter(rankings: Rankings):
    backwards = dict(reversed(rankings.items()))

    assert reciprocal_rank_fusion(rankings) == reciprocal_rank_fusion(backwards)


@given(RANKING, st.integers(0, 100))
def test_one_ranking_keeps_its_order(ranking: list[str], k: int):
    assert [id_ for id_, _ in reciprocal_rank_fusion({"x": ranking}, k=k)] == ranking


@given(RANKINGS, RANKING.filter(len))
def test_another_ranking_that_holds_an_id_never_lowers_its_score(
    rankings: Rankings, other: list[str]
):
    before = dict(reciprocal_rank_fusion(rankings))
    after = dict(reciprocal_rank_fusion({**rankings, "other": other}))

    assert all(after[id_] > before.get(id_, 0) for id_ in other)
    assert all(after[id_] >= score for id_, score in before.items())


SCORED = {
    "dense": [("a", 0.9), ("b", 0.8), ("c", 0.5)],
    "sparse": [("c", 12.0), ("d", 4.0)],
}


def test_relative_scores_lie_between_the_lowest_and_the_highest_of_each_ranking():
    fused = relative_score_fusion(SCORED, weights={"dense": 0.6, "sparse": 0.4})

    assert dict(fused) == pytest.approx({"a": 0.6, "b": 0.6 * 0.75, "c": 0.4, "d": 0.0})
    assert [id_ for id_, _ in fused] == ["a", "b", "c", "d"]


def test_distributed_scores_count_deviations_from_the_mean_of_each_ranking():
    fused = dict(distribution_score_fusion({"x": [("a", 3.0), ("b", 1.0)]}))

    # mean 2, deviation 1: one deviation above is four sixths of the way
    assert fused == pytest.approx({"a": 4 / 6, "b": 2 / 6})


def test_the_best_of_a_ranking_keep_their_order_however_far_above_the_others():
    outliers = [("b", 1000.0), ("a", 900.0), *((f"{i}", 1.0 + i / 100) for i in range(60))]
    ranking = sorted(outliers, key=lambda one: -one[1])
    fused = distribution_score_fusion({"x": ranking})

    assert [id_ for id_, _ in fused] == [id_ for id_, _ in ranking]


@pytest.mark.parametrize("found", [[("a", 2.0)], [("a", 0.3), ("b", 0.3)], []])
def test_equal_scores_are_a_ranking_too(found: list[tuple[str, float]]):
    for fusion, each in ((relative_score_fusion, 1.0), (distribution_score_fusion, 0.5)):
        assert dict(fusion({"x": found, "y": []})) == dict.fromkeys(dict(found), each)


@pytest.mark.parametrize("fusion", [relative_score_fusion, distribution_score_fusion])
def test_scores_on_any_scale_give_the_same_fusion(fusion: Any):
    scaled = {name: [(id_, 7 * s - 3) for id_, s in found] for name, found in SCORED.items()}

    assert dict(fusion(scaled)) == pytest.approx(dict(fusion(SCORED)))


def test_the_settings_choose_the_fusion():
    weights = {"dense": 0.6, "sparse": 0.4}
    by_name = {
        "relative_score": relative_score_fusion(SCORED, weights=weights),
        "dbsf": distribution_score_fusion(SCORED, weights=weights),
        "rrf": reciprocal_rank_fusion(
            {name: [id_ for id_, _ in found] for name, found in SCORED.items()},
            k=5,
            weights=weights,
        ),
    }
    assert set(by_name) == set(FUSIONS)
    for fusion in FUSIONS:
        settings = SearchSettings(fusion=fusion, rrf_k=5, dense_weight=0.6, sparse_weight=0.4)
        assert fuse(SCORED, settings=settings) == by_name[fusion]


@pytest.mark.parametrize("fusion", FUSIONS)
def test_what_the_rankings_add_sums_to_the_fused_score(fusion: Any):
    scaled = {
        "rrf": {name: reciprocal_ranks([i for i, _ in r], k=60) for name, r in SCORED.items()},
        "relative_score": {name: relative_scores(r) for name, r in SCORED.items()},
        "dbsf": {name: distributed_scores(r) for name, r in SCORED.items()},
    }[fusion]
    parts = contributions(scaled)

    assert totals(parts) == fuse(SCORED, settings=SearchSettings(fusion=fusion))
    assert {id_ for found in SCORED.values() for id_, _ in found} == parts.keys()
