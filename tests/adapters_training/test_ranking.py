"""Rankers: BM25 and vectors."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters_training.ranking import VectorRanker, WordRanker, best
from encoder.base import FloatArray
from encoder.bm25 import Bm25Encoder, Bm25Settings

PASSAGES = [
    "Hotels are booked by the traveller, who is paid back.",
    "Trains and flights are booked through the agency.",
    "Receipts for hotels must reach accounting within ten days. Hotels without receipts wait.",
    "Die Kantine ist mittags geöffnet.",
    "",
]


def word_scores(queries: list[str], passages: list[str]) -> FloatArray:
    """Compute BM25 as the index does it: weights of the encoder, IDF over the passages."""
    average = Bm25Encoder().average_length(passages)
    encoder = Bm25Encoder(Bm25Settings(avg_len=average))
    documents = [
        dict(zip(vector.indices, vector.values, strict=True))
        for vector in encoder.encode_documents(passages)
    ]
    rows = []
    for query in encoder.encode_queries(queries):
        row = np.zeros(len(passages))
        for term in query.indices:
            df = sum(term in document for document in documents)
            idf = np.log(1 + (len(passages) - df + 0.5) / (df + 0.5))
            row += [idf * document.get(term, 0.0) for document in documents]
        rows.append(row)
    return np.array(rows, dtype=np.float32)


def test_word_scores_are_bm25_of_the_index():
    queries = ["booked hotels", "receipts in ten days", "zebra", "", "hotels hotels"]
    ranking = WordRanker(PASSAGES).rank(queries, k=len(PASSAGES))
    expected = word_scores(queries, PASSAGES)
    np.testing.assert_allclose(
        np.take_along_axis(expected, ranking.positions, axis=1), ranking.scores, rtol=1e-5
    )
    assert (np.diff(ranking.scores, axis=1) <= 0).all()
    assert ranking.positions.dtype == np.int64
    assert ranking.scores.dtype == np.float32


def test_passages_without_a_word_of_the_query_follow_in_their_order():
    ranking = WordRanker(PASSAGES).rank(["Kantine", "zebra"], k=3)
    assert ranking.positions.tolist() == [[3, 0, 1], [0, 1, 2]]
    assert ranking.scores[1].tolist() == [0, 0, 0]


def test_a_language_is_stemmed_as_it_is_in_the_index():
    ranker = WordRanker(PASSAGES, settings=Bm25Settings(language="german"))
    assert ranker.rank(["Kantinen"], k=1).positions.tolist() == [[3]]
    assert ranker.rank(["Kantinen"], k=1).scores[0, 0] > 0


def test_the_score_of_a_given_passage_is_the_one_it_is_ranked_by():
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((5, 8)).astype(np.float32)
    queries = ["hotels booked", "receipts"]
    for ranker in (
        WordRanker(PASSAGES),
        VectorRanker(vectors, lambda texts: vectors[: len(texts)]),
    ):
        ranking = ranker.rank(queries, k=5)
        for rank in range(5):
            given_scores = ranker.scores(queries, ranking.positions[:, rank].tolist())
            np.testing.assert_allclose(given_scores, ranking.scores[:, rank], rtol=1e-5)


def test_vectors_are_ranked_by_dot_product_and_an_unrelated_passage_scores_0_on_the_mean():
    rng = np.random.default_rng(1)
    # All point one way, as a decoder's do before it is adapted.
    vectors = (rng.standard_normal((50, 16)) + 4).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    queries = vectors[:7]
    ranking = VectorRanker(vectors, lambda texts: queries[: len(texts)]).rank(["q"] * 7, k=50)
    dots = queries @ vectors.T
    assert dots.min() > 0.7
    assert (ranking.positions == np.argsort(-dots, axis=1, kind="stable")).all()
    np.testing.assert_allclose(ranking.scores.mean(axis=1), 0, atol=1e-6)
    assert ranking.positions[:, 0].tolist() == list(range(7))


@settings(max_examples=50)
@given(scores=st.lists(st.integers(-3, 3), min_size=1, max_size=40), k=st.integers(1, 40))
def test_the_best_are_those_of_a_stable_sort(scores: list[int], k: int):
    row = np.array(scores, dtype=np.float32)
    places, values = best(row, k=min(k, len(row)))
    expected = np.argsort(-row, kind="stable")[:k]
    assert places.tolist() == expected.tolist()
    assert values.tolist() == row[expected].tolist()


def test_no_queries_give_no_ranks_and_impossible_ranks_are_refused():
    ranker = WordRanker(PASSAGES)
    assert ranker.rank([], k=2).positions.shape == (0, 2)
    for k in (0, 6):
        with pytest.raises(ValueError, match=r"`k` must be in \[1, 5\]"):
            ranker.rank(["hotel"], k=k)
    with pytest.raises(ValueError, match=r"at least one passage"):
        WordRanker([])
    with pytest.raises(ValueError, match=r"at least one passage"):
        VectorRanker(np.zeros((0, 3), dtype=np.float32), lambda _texts: np.zeros((0, 3)))


def test_thousands_of_queries_are_ranked_in_seconds():
    rng = np.random.default_rng(2)
    words = np.array([f"term{i}" for i in range(3000)])
    drawn = rng.zipf(1.3, size=(2000, 60)) % 3000
    passages = [" ".join(words[row]) for row in drawn]
    queries = [" ".join(words[row[:8]]) for row in drawn]
    started = time.process_time()
    ranking = WordRanker(passages).rank(queries, k=20)
    assert time.process_time() - started < 6
    assert (ranking.positions[:, 0] == np.arange(2000)).mean() > 0.7
