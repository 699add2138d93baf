"""Synthetic chunks for `engine.py`: every backend gets the same ones, made as they are asked for.

Shapes: D width of the dense vectors. A text names its vectors: "17" is chunk 17, "q17" a query.
"""

from collections.abc import Sequence
from time import perf_counter

import numpy as np

from encoder.base import FloatArray, SparseVector

WIDTH, CLUSTERS, TENANTS = 576, 1000, 100
VOCABULARY, TERMS, TOPIC_TERMS, TOPIC_WORDS = 30_000, 40, 20, 200
SPREAD = 0.6
"""Of a chunk about its cluster's centre, by the spread of the centres."""

QUERY_SEED = 10_000_000_000


class PreparedVectors:
    """Dense and sparse encoders that look vectors up: clusters whose first dimensions tell most.

    Terms are those of a Zipf distribution, and some of the cluster's own topic.
    """

    dimensions = WIDTH
    fingerprint = "prepared-vectors"

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self._spectrum = np.arange(1, WIDTH + 1) ** -0.35
        self._centers = rng.standard_normal((CLUSTERS, WIDTH))
        self._topics = rng.integers(VOCABULARY, size=(CLUSTERS, TOPIC_WORDS))
        self.seconds = 0.0
        """Spent here, and no merit or fault of a backend."""

    def encode_documents(
        self, texts: Sequence[str], *, dimensions: int | None = None
    ) -> FloatArray:
        """Return ``[N, D]`` float32, unit norm."""
        began = perf_counter()
        rows = np.stack([self._row(text) for text in texts])[:, :dimensions]
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        self.seconds += perf_counter() - began
        return rows.astype(np.float32)

    encode_queries = encode_documents

    def _row(self, text: str) -> FloatArray:
        rng = np.random.default_rng(seed_of(text))
        center = self._centers[rng.integers(CLUSTERS)]
        return np.asarray((center + SPREAD * rng.standard_normal(WIDTH)) * self._spectrum)

    def terms_of(self, texts: Sequence[str]) -> list[SparseVector]:
        """Return the terms and weights of texts."""
        began = perf_counter()
        found = [self._terms(text) for text in texts]
        self.seconds += perf_counter() - began
        return found

    def _terms(self, text: str) -> SparseVector:
        rng = np.random.default_rng(seed_of(text))
        topic = self._topics[rng.integers(CLUSTERS)]
        short = text.startswith("q")
        common = rng.zipf(1.3, size=4 if short else TERMS) % VOCABULARY
        own = rng.choice(topic, size=4 if short else TOPIC_TERMS)
        ids = np.unique(np.concatenate([common, own]))
        weights = np.ones(len(ids)) if short else rng.uniform(1, 2, size=len(ids))
        return SparseVector(tuple(map(int, ids)), tuple(map(float, weights)))


class PreparedTerms:
    """The sparse side of prepared vectors, as a `SparseEncoder`."""

    def __init__(self, vectors: PreparedVectors) -> None:
        self.encode_documents = self.encode_queries = vectors.terms_of

    def terms(self, text: str) -> dict[int, str]:
        """Nothing is explained here."""
        del text
        return {}


def seed_of(text: str) -> int:
    """Number what a text names; any other text, as libraries try encoders with, is chunk 0."""
    number = text.removeprefix("q")
    if not number.isdecimal():
        return 0
    return int(number) + (QUERY_SEED if text.startswith("q") else 0)


def tenant_of(number: int) -> str:
    """Say whose a chunk is: each tenant has one of a hundred."""
    return f"tenant-{number % TENANTS}"


def id_of(number: int) -> str:
    """Name the point of a chunk."""
    return f"00000000-0000-0000-0000-{number:012d}"
