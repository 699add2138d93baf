"""Term weights: BM25 as others compute it, in any language."""

import bm25s
import numpy as np
import pytest
import qdrant_edge
from hypothesis import example, given, settings
from hypothesis import strategies as st

from encoder.base import SparseVector
from encoder.bm25 import LANGUAGES, NEUTRAL, Bm25Encoder, Bm25Settings

CORPUS = [
    "Employees may take twenty-five days of paid leave per year.",
    "Unpaid leave, unpaid leave, and again unpaid leave: ask the personnel office about leave.",
    "The office is closed on the last Friday of each year.",
    "Flights are booked by the travel office; book flights at least ten days before travelling.",
    "Parking.",
    "The fox jumps over the dog, the dog jumps over the fox, and the days pass.",
]
QUERIES = ["unpaid leave", "book a flight", "office days", "parking fox", "last year of travel"]


def scores(encoder: Bm25Encoder, query: str) -> list[float]:
    """The dot products an index with the IDF modifier answers with."""
    documents = [
        dict(zip(v.indices, v.values, strict=True)) for v in encoder.encode_documents(CORPUS)
    ]

    def idf(term: int) -> float:
        having = sum(term in document for document in documents)
        return float(np.log(1 + (len(documents) - having + 0.5) / (having + 0.5)))

    [terms] = encoder.encode_queries([query])
    return [
        sum(document.get(term, 0.0) * idf(term) for term in terms.indices) for document in documents
    ]


@pytest.mark.parametrize(("k1", "b"), [(0.9, 0.4), (1.2, 0.75), (2.0, 0.0), (0.5, 1.0)])
def test_scores_are_those_of_bm25s_on_the_same_terms(k1: float, b: float):
    fixed = Bm25Encoder(Bm25Settings(k1=k1, b=b))
    encoder = Bm25Encoder(Bm25Settings(k1=k1, b=b, avg_len=fixed.average_length(CORPUS)))
    tokens = [terms_in_order(encoder, text) for text in CORPUS]
    oracle = bm25s.BM25(method="lucene", k1=k1, b=b)
    oracle.index(tokens, show_progress=False)
    for query in QUERIES:
        expected = oracle.get_scores(terms_in_order(encoder, query))
        # Lucene leaves out the constant factor k1 + 1.
        assert scores(encoder, query) == pytest.approx(
            list(expected * (k1 + 1)), rel=1e-4, abs=1e-6
        )


def terms_in_order(encoder: Bm25Encoder, text: str) -> list[str]:
    """The term of each word of a text, as tokens for another library."""
    words = text.lower().replace("-", " ").split()
    return [str(i) for word in words for [v] in [encoder.encode_queries([word])] for i in v.indices]


def test_the_length_of_a_text_is_what_the_formula_divides_by():
    text = "The quick fox, the foxes and a state-of-the-art dog: it's the dog's 3.14"
    k1, b, avg_len = 1.0, 1.0, 7.0
    encoder = Bm25Encoder(Bm25Settings(k1=k1, b=b, avg_len=avg_len))
    [vector] = encoder.encode_documents([text])
    once = min(vector.values)  # a term that occurs once
    length = ((k1 + 1) / once - 1) * avg_len / k1
    assert encoder.count_terms(text) == round(length) == pytest.approx(length, abs=1e-3)


@given(st.lists(st.sampled_from(["fox", "foxes", "the", "dog", "leave", "x1"]), max_size=300))
@settings(max_examples=50, deadline=None)
def test_every_word_but_stop_words_counts_as_often_as_it_occurs(words: list[str]):
    counted = Bm25Encoder().count_terms(" ".join(words))
    assert counted == sum(word != "the" for word in words)


def test_the_average_length_is_the_mean_and_usable_for_no_texts():
    encoder = Bm25Encoder()
    assert encoder.average_length(["fox dog", "the fox", "dog dog dog"]) == 2.0
    assert encoder.average_length(["the", ""]) == 1.0
    assert encoder.average_length([]) == Bm25Settings().avg_len


def test_english_finds_inflected_words_and_no_stop_words():
    encoder = Bm25Encoder()
    leave, leaves, stop = encoder.encode_queries(["Leave", "leaves", "the of and"])
    assert leave == leaves
    assert leave.values == (1.0,)
    assert stop == SparseVector((), ())
    assert encoder.encode_documents(["", "the of and"]) == [SparseVector((), ())] * 2


def test_the_neutral_language_keeps_words_as_they_are():
    encoder = Bm25Encoder(Bm25Settings(language=NEUTRAL))
    leave, leaves, the = encoder.encode_queries(["Leave", "leaves", "the"])
    assert leave != leaves
    assert len(the.indices) == 1


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_listed_language_works(language: str):
    encoder = Bm25Encoder(Bm25Settings(language=language))
    assert len(encoder.encode_queries(["x25 y17"])[0].indices) == 2


@pytest.mark.parametrize("language", [NEUTRAL, "english", "chinese", "japanese"])
@pytest.mark.parametrize(
    ("query", "document"),
    [
        ("机器学习", "我们在北京大学研究机器学习和自然语言处理。"),
        ("機械学習", "東京に住んでいる人々は機械学習を使います。"),
        ("สวัสดี", "สวัสดีครับ"),
        ("2024-01-05 v2.1", "合同于 2024-01-05 生效\uff08v2.1\uff09。"),
        ("office", "Die o\ufb03ce-Suite"),
        ("café", "Cafe\u0301 au lait"),
    ],
)
def test_a_query_has_its_terms_in_the_text_around_it(language: str, query: str, document: str):
    encoder = Bm25Encoder(Bm25Settings(language=language))
    [asked], [there] = encoder.encode_queries([query]), encoder.encode_documents([document])
    assert asked.indices
    assert set(asked.indices) <= set(there.indices)


def test_numbers_are_terms():
    for language in (NEUTRAL, "english"):
        encoder = Bm25Encoder(Bm25Settings(language=language))
        assert encoder.count_terms("42 3.14 2024-01-05 192.168.0.1") == 1 + 2 + 3 + 4


def test_terms_name_a_word_for_every_id():
    encoder = Bm25Encoder()
    text = "State-of-the-art foxes; U.S. offices 北京大学 na\u0308ive 3.14"
    terms = encoder.terms(text)
    assert set(terms) == set(encoder.encode_documents([text])[0].indices)
    assert {"State", "art", "foxes", "U", "offices", "北京", "京大", "大学", "14"} <= set(
        terms.values()
    )


def test_ids_are_those_of_qdrants_own_bm25():
    own = qdrant_edge.Bm25(qdrant_edge.Bm25Config(language="english", k=0.9, b=0.4, avg_len=20.0))
    expected = own.embed_document(CORPUS[1])
    [got] = Bm25Encoder(Bm25Settings(avg_len=20.0)).encode_documents([CORPUS[1]])
    assert dict(zip(got.indices, got.values, strict=True)) == pytest.approx(
        dict(zip(expected.indices, expected.values, strict=True))
    )


@given(st.text(max_size=200))
@example("0\U00013460")  # a letter to the engine's Unicode, not yet to Python's
@settings(max_examples=100, deadline=None)
def test_any_text_can_be_weighed(text: str):
    encoder = Bm25Encoder(Bm25Settings(language=NEUTRAL))
    [document], [query] = encoder.encode_documents([text]), encoder.encode_queries([text])
    assert set(document.indices) == set(query.indices) == set(encoder.terms(text))
    assert all(value > 0 for value in document.values)


def test_an_undecodable_argument_is_searched_without_what_is_not_text():
    assert Bm25Encoder().encode_queries(["fox \udcff"]) == Bm25Encoder().encode_queries(["fox"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"language": "polish"}, r"must be 'none' or one of arabic, .*; got 'polish'\nhint"),
        ({"language": "English"}, "got 'English'"),
        ({"k1": -1.0}, "`k1` must be finite and >= 0; got -1.0"),
        ({"k1": float("nan")}, "`k1`"),
        ({"b": 1.5}, r"`b` must be in \[0, 1\]; got 1.5"),
        ({"avg_len": 0.0}, "`avg_len` must be finite and > 0; got 0.0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(changes: dict[str, float], message: str):
    with pytest.raises(ValueError, match=message):
        Bm25Settings(**changes)  # type: ignore[arg-type]
