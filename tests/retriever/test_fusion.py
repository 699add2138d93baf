"""Reciprocal rank fusion: the formula, and what holds for any rankings."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from retriever.fusion import reciprocal_rank_fusion

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
