"""Mining hard negatives."""

import dataclasses
import json
from collections.abc import Sequence

import numpy as np
import pytest

from adapters_training.pair_making.hard_negatives import (
    MiningSettings,
    mine_negatives,
    with_positives,
)
from adapters_training.pairs import Pair
from adapters_training.ranking import Ranking, VectorRanker, WordRanker
from encoder.base import FloatArray

TOPICS = ("apples", "bread", "cheese", "dates", "eggs", "figs", "grapes", "honey")
PASSAGES = [f"A note on {topic}." for topic in TOPICS]


class GivenScores:
    """Ranks passages by scores that a test wrote down, the same for every query."""

    def __init__(self, *scores: float) -> None:
        self._scores = np.array(scores, dtype=np.float32)

    def rank(self, queries: Sequence[str], *, k: int) -> Ranking:
        order = np.argsort(-self._scores, kind="stable")[:k]
        rows = np.tile(order, (len(queries), 1))
        return Ranking(rows, self._scores[rows])

    def scores(self, queries: Sequence[str], positions: Sequence[int]) -> FloatArray:
        assert len(queries) == len(positions)
        return self._scores[list(positions)]


def topics(pair: Pair) -> list[str]:
    return [text.removeprefix("A note on ").removesuffix(".") for text in pair.negatives]


def mine(
    pair: Pair, *rankers: GivenScores, passages: Sequence[str] = PASSAGES, **given: int | float
) -> tuple[Pair, dict[str, int]]:
    settings = dataclasses.replace(MiningSettings(), **given)
    [mined], report = mine_negatives([pair], passages, rankers=rankers, settings=settings)
    return mined, report.passed_over


FRUIT = Pair(query="what keeps the doctor away", positive=PASSAGES[0], set="fruit")


def test_the_best_that_score_below_95_percent_of_the_positive_are_taken():
    scores = GivenScores(10, 11, 9.6, 9.4, 9.0, 1, 0, 0)
    mined, passed_over = mine(FRUIT, scores, count=3)
    assert topics(mined) == ["dates", "eggs", "figs"]
    assert passed_over == {"a positive of the query": 1, "scores too close to the positive": 2}
    assert dataclasses.replace(mined, negatives=()) == FRUIT


def test_what_scores_as_unrelated_is_not_hard_and_a_positive_not_found_judges_nothing():
    assert topics(mine(FRUIT, GivenScores(10, 9, 1, 0, 0, -1, -1, -1))[0]) == ["bread", "cheese"]
    assert topics(mine(FRUIT, GivenScores(0, 9, 8, 7, 0, -1, -1, -1))[0]) == []


def test_rankers_take_turns_each_with_its_own_limit():
    words = GivenScores(100, 90, 80, 70, 1, 1, 1, 1)
    vectors = GivenScores(0.5, 0.49, 0.1, 0.1, 0.3, 0.49, 0.2, 0.45)
    mined, passed_over = mine(FRUIT, words, vectors, count=4)
    assert topics(mined) == ["bread", "honey", "cheese", "eggs"]
    # Figs; bread was taken before.
    assert passed_over["scores too close to the positive"] == 1


def test_ranks_at_the_top_are_passed_over_and_those_below_the_depth_are_not_looked_at():
    scores = GivenScores(10, 9, 8, 7, 6, 5, 4, 3)
    mined, _ = mine(FRUIT, scores, skip_top=3, depth=5, count=4)
    assert topics(mined) == ["dates", "eggs"]


def test_given_negatives_come_first_stay_and_count():
    pair = dataclasses.replace(FRUIT, negatives=("By hand.", PASSAGES[2]))
    scores = GivenScores(10, 9, 8, 7, 6, 5, 4, 3)
    mined, _ = mine(pair, scores, count=3)
    assert mined.negatives == ("By hand.", PASSAGES[2], PASSAGES[1])
    assert mine(pair, scores, count=1)[0] == pair


def test_no_positive_of_the_same_query_becomes_a_negative_of_it():
    other = Pair(query=" What keeps the DOCTOR away", positive=PASSAGES[1])
    scores = GivenScores(10, 9, 8, 7, 6, 5, 4, 3)
    mined, _ = mine_negatives(
        [FRUIT, other], PASSAGES, rankers=[scores], settings=MiningSettings(count=2)
    )
    assert [topics(pair) for pair in mined] == [["cheese", "dates"], ["cheese", "dates"]]


def test_a_passage_that_stands_twice_is_taken_once():
    passages = [*PASSAGES[:3], "A  note on CHEESE.", *PASSAGES[4:]]
    mined, _ = mine(FRUIT, GivenScores(10, 1, 9, 8, 7, 1, 1, 1), passages=passages, count=2)
    assert mined.negatives == (PASSAGES[2], PASSAGES[4])


def test_passages_that_hold_the_query_or_most_of_the_positive_are_no_negatives():
    positive = (
        "Travellers book trains through the agency, hotels themselves, and send receipts to "
        "accounting within ten days."
    )
    pair = Pair(query="Booking a trip", positive=positive)
    passages = [
        positive,
        f"Everything about travel. {positive} Otherwise nothing is paid.",
        "Handbook > Booking a trip\nThe agency confirms within two hours of each order.",
        "Trains that are late let travellers ask the railway for money, and the agency helps them.",
    ]
    mined, passed_over = mine(pair, GivenScores(10, 9, 8, 7), passages=passages, count=3)
    assert mined.negatives == (passages[3],)
    assert passed_over == {
        "a positive of the query": 1,
        "overlaps with the positive or a negative": 1,
        "holds the query word by word": 1,
    }


def test_negatives_of_a_pair_do_not_say_the_same():
    said = "Lodging with friends is paid with a fixed sum for every night of the journey."
    passages = [PASSAGES[0], said, f"{said} No receipt is needed.", "Lunch is served at noon."]
    mined, _ = mine(FRUIT, GivenScores(10, 9, 8, 7), passages=passages, count=3)
    assert mined.negatives == (said, passages[3])


def test_a_positive_outside_the_passages_is_refused_and_can_be_added():
    pair = Pair(query="bees", positive="Bees make honey.")
    with pytest.raises(ValueError, match=r"(?s)'bees' must be among.*hint: .*with_positives"):
        mine_negatives([pair], PASSAGES, rankers=[WordRanker(PASSAGES)])
    passages = with_positives(PASSAGES, [pair, pair, FRUIT])
    assert passages == [*PASSAGES, "Bees make honey."]
    mine_negatives([pair], passages, rankers=[WordRanker(passages)])


def test_words_and_vectors_together_find_what_looks_like_an_answer():
    passages = [
        "Hotels are booked by the traveller, who pays and is paid back by accounting.",
        "Hotels for guests of the company are booked by the office that invites them.",
        "Lunch is served from noon to two in the canteen on the ground floor.",
        "Lodging with friends is paid with a fixed sum for every night of the journey.",
    ]
    vectors = np.array([[1, 0], [0.2, 1], [-1, 0], [0.8, 0.3]], dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    rankers = [
        WordRanker(passages),
        VectorRanker(vectors, lambda texts: np.tile(vectors[:1], (len(texts), 1))),
    ]
    pair = Pair(query="who books hotels for travellers", positive=passages[0])
    [mined], report = mine_negatives(
        [pair], passages, rankers=rankers, settings=MiningSettings(count=2, depth=3)
    )
    assert set(mined.negatives) == {passages[1], passages[3]}
    assert json.loads(json.dumps(dataclasses.asdict(report))) == {
        "pairs": 1,
        "given": 0,
        "mined": 2,
        "without": 0,
        "passed_over": {"a positive of the query": 2},
    }


def test_no_pairs_and_no_rankers_are_fine():
    assert mine_negatives([], PASSAGES, rankers=[WordRanker(PASSAGES)])[0] == []
    mined, report = mine_negatives([FRUIT], PASSAGES, rankers=[])
    assert mined == [FRUIT]
    assert report.without == 1


@pytest.mark.parametrize("given", [{"count": 0}, {"skip_top": 50}, {"positive_share": 0.0}])
def test_settings_check_themselves(given: dict[str, int]):
    with pytest.raises(ValueError, match=rf"`{next(iter(given))}`"):
        dataclasses.replace(MiningSettings(), **given)
