"""Rank passages for queries, by words and by vectors.

Shapes: Q queries · P passages · K ranks · D width.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt

from encoder.base import FloatArray, SparseVector
from encoder.bm25 import Bm25Encoder, Bm25Settings

IntArray = npt.NDArray[np.int64]

ENCODE_AT_ONCE = 1024
BLOCK_SCORES = 16 * 2**20
"""Scores held at once: 64 MiB."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """The first passages of each query, best first; of equal scores the earlier passage first."""

    positions: IntArray
    """``[Q, K]``, among the passages."""

    scores: FloatArray
    """``[Q, K]``, higher is closer; 0 is what an unrelated passage gets."""


class Ranker(Protocol):
    """Ranks a fixed set of passages."""

    def rank(self, queries: Sequence[str], *, k: int) -> Ranking:
        """Find the ``k`` best passages of each query, ``k`` in [1, P]."""

    def scores(self, queries: Sequence[str], positions: Sequence[int]) -> FloatArray:
        """Score one given passage for each query, ``[Q]``, as `rank` would."""


class WordRanker:
    """BM25 with the terms and weights of the index, and the IDF of the passages."""

    def __init__(self, passages: Sequence[str], *, settings: Bm25Settings | None = None) -> None:
        """Index passages.

        Args:
            passages: At least one.
            settings: Language and weights; ``avg_len`` is taken from the passages.
        """
        _require_passages(len(passages))
        settings = settings or Bm25Settings()
        average = Bm25Encoder(settings).average_length(passages)
        self._encoder = Bm25Encoder(replace(settings, avg_len=average))
        self._count = len(passages)
        terms, self._passages, weights = _postings(self._encoder, passages)
        self._terms, starts, frequencies = np.unique(terms, return_index=True, return_counts=True)
        self._borders = np.append(starts, len(terms))
        idf = np.log1p((self._count - frequencies + 0.5) / (frequencies + 0.5))
        self._weights = weights * np.repeat(idf, frequencies).astype(np.float32)

    def rank(self, queries: Sequence[str], *, k: int) -> Ranking:
        """Find the ``k`` best passages of each query; those without a word of it score 0."""
        _require_k(k, self._count)
        return _stacked([best(row, k=k) for row in self._rows(queries)], k=k)

    def scores(self, queries: Sequence[str], positions: Sequence[int]) -> FloatArray:
        """Score one given passage for each query, ``[Q]``."""
        rows = zip(self._rows(queries), positions, strict=True)
        return np.array([row[position] for row, position in rows], dtype=np.float32)

    def _rows(self, queries: Sequence[str]) -> Iterator[FloatArray]:
        for vector in self._encoder.encode_queries(queries):
            yield self._row(vector)

    def _row(self, query: SparseVector) -> FloatArray:
        """Score all passages, ``[P]``."""
        row = np.zeros(self._count, dtype=np.float32)
        # In the order of the ids, so that the same words give the same sum in any order.
        wanted = np.sort(np.array(query.indices, dtype=np.int64))
        for place in np.flatnonzero(np.isin(self._terms, wanted)) if len(wanted) else ():
            start, end = self._borders[place : place + 2]
            row[self._passages[start:end]] += self._weights[start:end]
        return row


class VectorRanker:
    """Dot products, less each query's mean over all passages.

    The mean changes no order. It makes 0 the score of an unrelated passage also for an encoder
    whose vectors all point one way, as those of a decoder do before it is adapted.
    """

    def __init__(
        self, passage_vectors: FloatArray, encode_queries: Callable[[Sequence[str]], FloatArray]
    ) -> None:
        """Keep vectors.

        Args:
            passage_vectors: ``[P, D]``, unit norm, at least one.
            encode_queries: Gives ``[Q, D]``, unit norm.
        """
        _require_passages(len(passage_vectors))
        mean = passage_vectors.mean(axis=0, dtype=np.float64).astype(np.float32)
        self._vectors: FloatArray = passage_vectors - mean
        self._encode_queries = encode_queries

    def rank(self, queries: Sequence[str], *, k: int) -> Ranking:
        """Find the ``k`` best passages of each query."""
        _require_k(k, len(self._vectors))
        vectors = self._encode_queries(queries)
        block = max(1, BLOCK_SCORES // len(self._vectors))
        found = [
            best(row, k=k)
            for start in range(0, len(vectors), block)
            for row in vectors[start : start + block] @ self._vectors.T
        ]
        return _stacked(found, k=k)

    def scores(self, queries: Sequence[str], positions: Sequence[int]) -> FloatArray:
        """Score one given passage for each query, ``[Q]``."""
        vectors = self._encode_queries(queries)
        chosen = self._vectors[np.asarray(positions, dtype=np.int64)]
        found: FloatArray = np.einsum("qd,qd->q", vectors, chosen).astype(np.float32)
        return found


def best(scores: FloatArray, *, k: int) -> tuple[IntArray, FloatArray]:
    """Find the ``k`` highest of ``[P]`` scores: places and scores, of equal ones the earlier."""
    lowest = np.partition(scores, len(scores) - k)[len(scores) - k]
    places = np.flatnonzero(scores >= lowest)
    first = places[np.argsort(-scores[places], kind="stable")[:k]]
    return first, scores[first]


def _postings(
    encoder: Bm25Encoder, passages: Sequence[str]
) -> tuple[IntArray, npt.NDArray[np.int32], FloatArray]:
    """List term, passage and weight of each term of each passage, in the order of the terms."""
    terms, places, weights = [], [], []
    for start in range(0, len(passages), ENCODE_AT_ONCE):
        vectors = encoder.encode_documents(passages[start : start + ENCODE_AT_ONCE])
        sizes = [len(vector.indices) for vector in vectors]
        places.append(np.repeat(np.arange(start, start + len(vectors), dtype=np.int32), sizes))
        terms.append(np.array([i for vector in vectors for i in vector.indices], dtype=np.int64))
        values = [value for vector in vectors for value in vector.values]
        weights.append(np.array(values, dtype=np.float32))
    joined = np.concatenate(terms)
    order = np.argsort(joined, kind="stable")
    return joined[order], np.concatenate(places)[order], np.concatenate(weights)[order]


def _stacked(found: list[tuple[IntArray, FloatArray]], *, k: int) -> Ranking:
    if not found:
        return Ranking(np.zeros((0, k), dtype=np.int64), np.zeros((0, k), dtype=np.float32))
    return Ranking(np.stack([row[0] for row in found]), np.stack([row[1] for row in found]))


def _require_passages(count: int) -> None:
    if count == 0:
        raise ValueError("a ranker needs at least one passage; got none")


def _require_k(k: int, passages: int) -> None:
    if not 1 <= k <= passages:
        raise ValueError(f"`k` must be in [1, {passages}], the number of passages; got {k}")
