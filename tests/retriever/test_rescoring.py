"""Rescoring with the whole stored vectors, on and off for each search."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from encoder.base import FloatArray
from encoder.bm25 import Bm25Encoder, Bm25Settings
from encoder.fake import HashingEncoder
from indexing.reduction.settings import ReductionSettings
from indexing.stores.base import Point
from indexing.versions.collection import create_index
from retriever.answering.answering import Answerer
from retriever.answering.settings import AnswerSettings
from retriever.errors import PlanError
from retriever.results import Hit
from retriever.search import DEFAULT_SETTINGS, Searcher
from retriever.settings import SearchSettings

WIDTH = 64
TEXTS = [
    *("Leave is thirty days.", "Unused leave expires in March.", "Leave of parents is longer."),
    *("Salaries are paid monthly.", "Parking spaces are shared.", "Book trains early."),
]
QUERY = "how many days of leave"
Open = Callable[..., Searcher]


@pytest.fixture
def small() -> HashingEncoder:
    return HashingEncoder(WIDTH)


@pytest.fixture
def reduced(tmp_path: Path, small: HashingEncoder) -> Iterator[Open]:
    """Open a searcher over an index with a cheap first stage."""
    opened = []

    def make(settings: SearchSettings = DEFAULT_SETTINGS, **reduction: Any) -> Searcher:
        index = create_index(
            tmp_path,
            dense=small,
            reduction=ReductionSettings(**reduction),
            chunker={},
            bm25=asdict(Bm25Settings()),
        )
        opened.append(index)
        index.store.upsert(
            [
                Point(
                    id=f"{row:08d}-0000-0000-0000-000000000000",
                    dense=index.encoder_for(small).encode_documents([text])[0],
                    sparse=Bm25Encoder().encode_documents([text])[0],
                    payload={
                        "source": "s",
                        "document_id": str(row),
                        "text": text,
                        "protected": False,
                    },
                )
                for row, text in enumerate(TEXTS)
            ]
        )
        return Searcher(index, sparse=Bm25Encoder(), dense=small, settings=settings)

    yield make
    for index in opened:
        index.close()


def cosines(query: FloatArray, documents: FloatArray) -> dict[str, float]:
    """By document."""
    shorter = query / np.linalg.norm(query)
    # a vector of zeros is like nothing
    rows = documents / np.maximum(np.linalg.norm(documents, axis=1, keepdims=True), 1e-12)
    return {str(row): float(cosine) for row, cosine in enumerate(rows @ shorter)}


def scores(hits: Sequence[Hit]) -> dict[str, float]:
    return {hit.document_id: hit.score for hit in hits}


def test_codes_score_alone_where_a_search_says_so(reduced: Open, small: HashingEncoder):
    searcher = reduced(quantization="binary")
    exact = cosines(small.encode_queries([QUERY])[0], small.encode_documents(TEXTS))

    for rescore in (None, True):
        hits = searcher.search(QUERY, mode="dense", rescore=rescore)
        assert scores(hits) == pytest.approx(exact, abs=1e-5)
        assert {hit.explanation["dense"]["rescored"] for hit in hits} == {True}
    codes = searcher.search(QUERY, mode="dense", rescore=False)
    assert scores(codes).keys() == exact.keys()
    assert all(hit.score == round(hit.score) for hit in codes), "agreeing bits are counted"
    assert {hit.explanation["dense"]["rescored"] for hit in codes} == {False}


def test_small_vectors_score_alone_where_a_search_says_so(reduced: Open, small: HashingEncoder):
    searcher = reduced(two_stage=16)
    query, documents = small.encode_queries([QUERY])[0], small.encode_documents(TEXTS)

    whole = searcher.search(QUERY, mode="dense")
    assert scores(whole) == pytest.approx(cosines(query, documents), abs=1e-5)
    first = searcher.search(QUERY, mode="dense", rescore=False)
    expected = cosines(query[:16], documents[:, :16])
    assert scores(first) == pytest.approx(expected, abs=1e-5)
    assert [hit.score for hit in first] == sorted((hit.score for hit in first), reverse=True)


def test_the_settings_decide_where_a_search_does_not(reduced: Open):
    searcher = reduced(SearchSettings(rescore=False), quantization="tq1")
    on = searcher.search_many([QUERY], mode="hybrid", rescore=True)[0]
    off = searcher.search_many([QUERY], mode="hybrid", rescore=False)[0]

    assert off == searcher.search(QUERY)
    assert on[0].dense is not None
    assert off[0].dense is not None
    assert on[0].dense.score != off[0].dense.score


def test_whole_vectors_are_searched_the_same_either_way(searcher: Searcher):
    on, off = (searcher.search(QUERY, mode="dense", rescore=rescore) for rescore in (True, False))
    assert on == off
    assert on[0].explanation["dense"].keys() == {"rank", "score"}


def test_a_threshold_on_cosines_is_refused_where_there_are_none(searcher: Searcher):
    with pytest.raises(PlanError, match="those of vectors that are not rescored"):
        searcher.search(QUERY, mode="dense", min_score=0.3, rescore=False)
    wrong: Any = 1
    with pytest.raises(ValueError, match="`rescore` must be true or false; got 1"):
        searcher.search(QUERY, rescore=wrong)


def test_relevance_by_cosine_is_judged_by_cosines(reduced: Open):
    """A code's score, here up to 64, would let every hit through."""
    searcher = reduced(SearchSettings(rescore=False), quantization="binary")
    settings = AnswerSettings(min_term_share=1.0, min_cosine=0.99)
    answerer = Answerer(
        searcher, sparse=Bm25Encoder(), load_model=lambda: pytest.fail("read"), settings=settings
    )
    assert answerer.answer("trains of salaries", mode="dense").refusal is not None
