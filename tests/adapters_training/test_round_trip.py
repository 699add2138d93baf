"""Which of the written lines become pairs, and the report about it."""

import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from adapters_training.pairs import Pair
from adapters_training.ranking import Ranking, WordRanker
from adapters_training.settings.synthetic import SyntheticSettings
from adapters_training.synthetic.round_trip import found_again, keep_found
from adapters_training.synthetic.written import WrittenQueries, WrittenQuery, clean_lines

PASSAGES = [
    "wing lift and drag in supersonic flow over a flat plate",
    "employees may take thirty days of leave in every year",
    "press the power button for three seconds to reset the device",
    "employees may take thirty days of leave in every year",
]
QUERIES = tuple(
    WrittenQuery(query=query, passage=passage)
    for query, passage in [
        ("how many days of leave may employees take?", 3),
        ("what reduces resistance of an aerofoil?", 0),
        ("how is the device reset?", 2),
        ("holidays", 1),
    ]
)
SETTINGS = SyntheticSettings(keep_rank=1)


class FixedRanker:
    """Ranks the passage it was told to first for each query."""

    def __init__(self, first: Sequence[int]) -> None:
        self._first = first

    def rank(self, queries: Sequence[str], *, k: int) -> Ranking:
        order = [[first, *(i for i in range(len(PASSAGES)) if i != first)] for first in self._first]
        assert len(queries) == len(order)
        return Ranking(np.array(order)[:, :k], np.full((len(order), k), 0.5, dtype=np.float32))

    def scores(self, queries: Sequence[str], positions: Sequence[int]) -> np.ndarray:
        raise AssertionError(f"not needed for {len(queries)} queries and {len(positions)} passages")


def test_lines_are_sorted_out_by_passage_and_across_passages():
    text = "Expenses up to 500 euros are approved by the head of the team."
    lines = {
        4: (text, ("1. who approves expenses?", "Who approves expenses", None, "what is it for?")),
        7: (text, ("", "is it what, for?")),
    }
    written = clean_lines(lines, prompted=[])
    assert [(query.passage, query.query) for query in written.queries] == [
        (4, "who approves expenses?")
    ]
    assert written.unfit == {
        "duplicate": ("Who approves expenses",),
        "did not end": ("",),
        "empty": ("",),
        "fits several passages": ("what is it for?", "is it what, for?"),
    }
    assert (written.passages, written.written) == (2, 6)


def test_a_query_is_kept_that_one_ranker_or_all_of_them_find_it_with():
    words, vectors = WordRanker(PASSAGES), FixedRanker([1, 0, 0, 2])

    def found(*rankers: WordRanker | FixedRanker, **changes: object) -> list[bool]:
        settings = replace(SETTINGS, **changes)
        return list(found_again(QUERIES, PASSAGES, rankers=rankers, settings=settings))

    assert found(words) == [True, False, True, False]
    assert found(vectors) == [True, True, False, False]
    assert found(words, vectors) == [True, True, True, False]
    assert found(words, vectors, filter="both") == [True, False, False, False]
    assert found() == [True, True, True, True]
    # A passage without a word of the query has its place by chance.
    assert found(words, keep_rank=99) == [True, False, True, False]
    assert found(vectors, keep_rank=99) == [True, True, True, True]
    assert list(found_again([], PASSAGES, rankers=[words], settings=SETTINGS)) == []


def test_pairs_hold_the_passage_and_the_report_accounts_for_every_line():
    written = WrittenQueries(
        passages=4,
        written=7,
        queries=QUERIES,
        unfit={"too short": ("a",), "duplicate": ("b", "c")},
        seconds=1.26,
    )
    pairs, report = keep_found(written, PASSAGES, rankers=[WordRanker(PASSAGES)], settings=SETTINGS)
    assert pairs == [
        Pair(query=QUERIES[0].query, positive=PASSAGES[3], origin="synthetic", set="synthetic"),
        Pair(query=QUERIES[2].query, positive=PASSAGES[2], origin="synthetic", set="synthetic"),
    ]
    assert report.fell == {"duplicate": 2, "does not find its passage": 2, "too short": 1}
    assert report.kept + sum(report.fell.values()) == report.written == 7
    assert report.fallen_examples["does not find its passage"] == QUERIES[1].query
    values = json.loads(json.dumps(report.to_dict()))
    assert values["kept_examples"][0] == [QUERIES[0].query, PASSAGES[3]]
    assert values["seconds"] == pytest.approx(1.3)


def test_nothing_written_gives_no_pair_and_a_report_of_nothing():
    nothing = WrittenQueries(passages=0, written=0, queries=(), unfit={}, seconds=0)
    pairs, report = keep_found(nothing, PASSAGES, rankers=[FixedRanker([])], settings=SETTINGS)
    assert pairs == []
    assert (report.written, report.kept, report.fell) == (0, 0, {})
