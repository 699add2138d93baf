"""Several indexes searched as one: fused by rank, each with its own encoder and access rules."""

from collections.abc import Callable
from typing import Any

import pytest

from encoder.fake import HashingEncoder
from indexing.filters import Eq
from retriever.errors import MissingPrincipalError
from retriever.federation import Federation
from retriever.search import Searcher

MakeSearcher = Callable[..., Searcher]
QUERY = "how many days of annual leave"


@pytest.fixture(scope="module")
def wiki(make_searcher: MakeSearcher) -> Searcher:
    """Of another encoder than the handbook's."""
    small = HashingEncoder(64)
    chunks = [
        {"document_id": "w1", "source": "wiki", "text": "Annual leave of freelancers, in days."},
        {"document_id": "w1", "source": "wiki", "text": "Leave again.", "ordinal": 1},
        {"document_id": "w2", "source": "wiki", "text": "How to book a room."},
    ]
    return make_searcher(chunks, indexed_with=small, dense=small)


def test_indexes_of_different_encoders_are_fused_by_rank(searcher: Searcher, wiki: Searcher):
    both = Federation({"handbook": searcher, "wiki": wiki})
    hits = both.search(QUERY, k=4)

    alone = {"handbook": searcher.search(QUERY, k=4), "wiki": wiki.search(QUERY, k=4)}
    expected = [alone[name][rank] for rank in range(2) for name in ("handbook", "wiki")]
    assert [hit.id for hit in hits] == [hit.id for hit in expected]
    assert [hit.index for hit in hits] == ["handbook", "wiki"] * 2
    assert hits[1].score == pytest.approx(1 / 61)
    assert hits[1].explanation["federation"] == {
        "score": hits[1].score,
        "indexes": [{"index": "wiki", "rank": 1, "score": expected[1].score}],
    }
    assert hits[1].explanation["dense"] == expected[1].explanation["dense"]


def test_what_two_indexes_hold_is_found_once_with_both_ranks(searcher: Searcher, wiki: Searcher):
    twice = Federation({"one": searcher, "two": searcher, "wiki": wiki}, weights={"wiki": 3})
    hits = twice.search(QUERY, k=3)

    assert [hit.index for hit in hits] == ["wiki", "wiki", "wiki"]
    shared = next(hit for hit in twice.search(QUERY, k=20) if hit.index == "one")
    found = shared.explanation["federation"]["indexes"]
    assert [part["index"] for part in found] == ["one", "two"]
    assert shared.score == pytest.approx(2 / (60 + found[0]["rank"]))
    none = Federation({"one": searcher, "wiki": wiki}, weights={"wiki": 0})
    assert {hit.index for hit in none.search(QUERY, k=20)} == {"one"}


def test_documents_of_several_indexes_are_grouped(searcher: Searcher, wiki: Searcher):
    both = Federation({"handbook": searcher, "wiki": wiki})
    hits = both.search("leave", k=2, per_document=2)

    assert [hit.document_id for hit in hits] == ["leave", "leave", "w1", "w1"]
    assert len({hit.score for hit in hits}) == 1  # both documents are first of their index


def test_a_document_that_two_indexes_hold_is_one_even_if_they_prefer_different_chunks(
    make_searcher: Callable[..., Searcher], encoder: HashingEncoder
):
    rules = {"document_id": "leave", "text": "Leave is thirty days.", "uri": "leave.md"}
    more = {"document_id": "leave", "text": "Leave, leave and leave.", "uri": "leave.md"}
    other = {"document_id": "leave", "text": "Leave is fewer days.", "uri": "elsewhere/leave.md"}
    searchers = {
        name: make_searcher(chunks, indexed_with=encoder, dense=encoder, mode="sparse")
        for name, chunks in (("one", [rules]), ("two", [rules, more]), ("third", [other]))
    }
    hits = Federation(searchers).search("leave", k=5, per_document=1)

    assert [(hit.uri, hit.index) for hit in hits] == [
        ("leave.md", "one"),
        ("elsewhere/leave.md", "third"),
    ]
    assert [part["index"] for part in hits[0].explanation["federation"]["indexes"]] == [
        *("one", "two")
    ]


def test_copies_are_one_hit_and_namesakes_of_nowhere_are_two_documents(
    make_searcher: Callable[..., Searcher], encoder: HashingEncoder
):
    copies = [
        {"document_id": "r", "text": "Leave rules.", "uri": f"{n}/r.md"} for n in ("one", "two")
    ]
    namesakes = [{"document_id": "1", "text": text} for text in ("Leave early.", "Leave late.")]
    searchers = {
        name: make_searcher(list(both), indexed_with=encoder, dense=encoder, mode="sparse")
        for name, *both in zip(("one", "two"), copies, namesakes, strict=True)
    }
    both = Federation(searchers)
    assert sorted(hit.document_id for hit in both.search("leave", k=9)) == ["1", "1", "r"]
    grouped = both.search("leave", k=9, per_document=1)
    assert sorted(hit.text for hit in grouped if hit.document_id == "1") == [
        *("Leave early.", "Leave late.")
    ]


def test_a_protected_index_among_others_needs_to_know_who_asks(
    searcher: Searcher, protected_searcher: Searcher
):
    both = Federation({"open": searcher, "secret": protected_searcher})
    for nobody in (None, [], {}, {"open": ["group:board"]}):
        with pytest.raises(MissingPrincipalError):
            both.search(QUERY, principals=nobody)
    bonus = Eq("document_id", "bonus")
    assert both.search("bonus", where=bonus, principals=["user:x"]) == []
    board = {"secret": ["group:board"]}
    assert [hit.index for hit in both.search("bonus", where=bonus, principals=board)] == ["secret"]
    with pytest.raises(ValueError, match="must name only open, secret; got 'sercet'"):
        both.search(QUERY, principals={"sercet": ["group:board"]})


async def test_async_gives_the_same(searcher: Searcher, wiki: Searcher):
    both = Federation({"handbook": searcher, "wiki": wiki})
    options: Any = {"k": 3, "mode": "sparse", "neighbours": 1}

    assert await both.search_async(QUERY, **options) == both.search(QUERY, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weights": {"other": 1.0}}, "of one of handbook; got 1.0 for 'other'"),
        ({"weights": {"handbook": -1.0}}, "a weight must be >= 0"),
        ({"rrf_k": -1}, "`rrf_k` must be a whole number >= 0"),
        ({"rrf_k": 1.5}, "`rrf_k` must be a whole number >= 0"),
    ],
)
def test_a_bad_federation_is_refused(searcher: Searcher, options: Any, message: str):
    with pytest.raises(ValueError, match=message):
        Federation({"handbook": searcher}, **options)
    with pytest.raises(ValueError, match="at least one index"):
        Federation({})
