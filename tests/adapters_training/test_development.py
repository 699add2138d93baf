"""The development set: what is held back, how rankings are judged, which weights are chosen."""

import json
import math

import numpy as np
import pytest

from adapters_training.pair_making.held_back import hold_back, query_key, without_queries
from adapters_training.pairs import Pair
from adapters_training.selection.development import (
    HELD_BACK,
    JUDGED,
    DevelopmentSet,
    NearCopies,
    development_from_dict,
    development_to_dict,
    draw_passages,
    ndcg_of_rankings,
    ndcg_of_vectors,
)
from adapters_training.selection.selection import (
    Evaluation,
    best_evaluation,
    is_due,
    out_of_patience,
)

WORDS = ["wing", "lift", "drag", "flow", "plate", "heat", "shock", "layer", "speed", "tail"]


def passage(number: int) -> str:
    """A text of its own: near no other."""
    rng = np.random.default_rng(number)
    return " ".join([*rng.choice(WORDS, 12), f"report {number}"])


def make_pairs(count: int, *, origin: str = "structural") -> list[Pair]:
    """Two queries ask for each passage."""
    return [
        Pair(query=f"{origin} query {i}", positive=passage(i // 2), origin=origin)
        for i in range(count)
    ]


def held(pairs: list[Pair], *, count: int = 40, most: int = 100, seed: int = 0) -> DevelopmentSet:
    _, development = hold_back(
        pairs, count=count, max_passages=most, extra_passages=[passage(9000)], seed=seed
    )
    assert development is not None
    return development


def test_training_loses_every_pair_of_a_held_back_query_or_passage():
    pairs = make_pairs(400)
    left, development = hold_back(pairs, count=30, max_passages=100, seed=0)
    assert development is not None
    assert len(development.queries) == 30
    answers = {development.passages[i] for places in development.relevant for i in places}
    assert not {query_key(pair.query) for pair in left} & set(map(query_key, development.queries))
    assert not {pair.positive for pair in left} & answers
    assert len(left) >= 400 - 2 * 30
    assert development.origin == HELD_BACK
    assert development.composition == {"structural": 30}


def test_never_more_than_a_fifth_is_held_back_and_under_twenty_nothing():
    pairs = make_pairs(200)
    left, development = hold_back(pairs, count=200, max_passages=300, seed=0)
    assert development is not None
    assert len(left) >= 160
    few = make_pairs(90)
    assert hold_back(few, count=200, max_passages=300, seed=0) == (few, None)


def test_a_passage_that_answers_half_of_all_queries_stays_in_training():
    common = [Pair(query=f"common {i}", positive="the same page for all") for i in range(300)]
    left, _ = hold_back([*common, *make_pairs(300)], count=50, max_passages=100, seed=0)
    assert sum(pair.positive == "the same page for all" for pair in left) == 300


def test_labelled_queries_are_held_back_first_and_no_more_than_their_fifth():
    pairs = [*make_pairs(1000), *make_pairs(150, origin="labelled")]
    assert held(pairs, count=50).composition == {"labelled": 30, "structural": 20}


def test_passages_are_answers_then_negatives_then_others_and_never_near_copies():
    pairs = [
        Pair(query=f"q {i}", positive=passage(i), negatives=(f"wrong {i}",)) for i in range(200)
    ]
    near = [f"Title {i}\n{passage(i)}" for i in range(200)]
    left, development = hold_back(
        pairs, count=40, max_passages=120, extra_passages=[*near, passage(9000)], seed=1
    )
    assert development is not None
    answers = {development.passages[i] for places in development.relevant for i in places}
    others = set(development.passages) - answers
    assert len(development.passages) == 120
    assert sum(text.startswith("wrong") for text in others) == 40
    copies = NearCopies(answers)
    assert not any(copies.holds(text) for text in others)
    assert {pair.positive for pair in left} & others


def test_one_seed_draws_one_development_set_and_another_seed_another():
    pairs = make_pairs(400)
    assert held(pairs) == held(pairs)
    assert held(pairs) != held(pairs, seed=1)


def test_judged_queries_leave_training_and_judged_passages_stay():
    pairs = [*make_pairs(10), Pair(query="STRUCTURAL  query 3", positive="other")]
    judged = DevelopmentSet(
        queries=("structural query 3",),
        passages=(passage(0), passage(1)),
        relevant=(frozenset({0}),),
        origin=JUDGED,
        kinds=("judged",),
        instructions=(None,),
    )
    left = without_queries(pairs, judged)
    assert len(left) == 9
    assert passage(0) in {pair.positive for pair in left}


def test_a_development_set_survives_json():
    development = held(make_pairs(300))
    again = development_from_dict(json.loads(json.dumps(development_to_dict(development))))
    assert again == development
    assert again.digest() == development.digest()


def test_a_query_without_an_answer_is_no_development_set():
    with pytest.raises(
        ValueError, match="answers must be places among the 1 passages; got \\[1\\]"
    ):
        DevelopmentSet(
            queries=("q",),
            passages=("p",),
            relevant=(frozenset({1}),),
            origin=JUDGED,
            kinds=("judged",),
            instructions=(None,),
        )


def test_ndcg_agrees_with_hand_computed_values():
    rankings = np.array([[4, 2, 0], [1, -1, -1], [3, 1, 2]])
    relevant = [frozenset({2, 0}), frozenset({1}), frozenset({7})]
    ideal = 1 + 1 / math.log2(3)
    expected = [(1 / math.log2(3) + 1 / math.log2(4)) / ideal, 1.0, 0.0]
    assert ndcg_of_rankings(rankings, relevant).tolist() == pytest.approx(expected)


def test_only_ten_ranks_count_and_equal_scores_rank_by_place():
    queries, passages = np.ones((1, 2)), np.ones((12, 2))
    values = [ndcg_of_vectors(queries, passages, [frozenset({i})])[0] for i in range(12)]
    assert values[:10] == pytest.approx([1 / math.log2(i + 2) for i in range(10)])
    assert values[10:] == [0, 0]


def test_answers_do_not_stand_first_among_the_passages():
    needed = [passage(i) for i in range(20)]
    drawn = draw_passages(
        needed, map(passage, range(20, 200)), most=200, rng=np.random.default_rng(0)
    )
    assert len(drawn) == 200
    assert np.mean([drawn.index(text) for text in needed]) > 50


def test_evaluations_are_spread_over_a_stage_and_the_last_is_at_its_end():
    def steps(count: int, of: int) -> list[int]:
        return [s + 1 for s in range(of) if is_due(count, before=s / of, after=(s + 1) / of)]

    assert steps(5, 10) == [2, 4, 6, 8, 10]
    assert steps(3, 300) == [100, 200, 300]
    assert steps(7, 3) == [1, 2, 3]
    assert steps(0, 10) == []


def test_of_equal_evaluations_the_first_is_best_and_patience_counts_from_it():
    course = [Evaluation(step, (value,)) for step, value in enumerate([0.1, 0.4, 0.4, 0.2])]
    assert best_evaluation(course).step == 1
    assert [out_of_patience(course, n) for n in (1, 2, 3, None)] == [True, True, False, False]
    assert not out_of_patience([], 1)
