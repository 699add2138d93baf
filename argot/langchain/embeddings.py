"""LangChain embeddings as an encoder of ours."""

from collections.abc import Sequence

import numpy as np
from langchain_core.embeddings import Embeddings

from encoder.base import DenseEncoder, FloatArray
from encoder.truncation import truncate
from indexing.identity import digest
from retriever.langchain.retriever import ArgotEmbeddings

MODEL_NAMES = ("model", "model_name", "model_id", "deployment", "revision")
"""Attributes in which embeddings say what they are."""


class EmbeddingsEncoder:
    """Encodes with any LangChain embeddings.

    Its fingerprint knows the class, the width and the name of the model. Other weights behind the
    same names are noticed by the vectors of test texts, whenever an index is opened.

    Args:
        embeddings: Asked for one vector at once, to know the width.
    """

    def __init__(self, embeddings: Embeddings) -> None:
        self._embeddings = embeddings
        self._dimensions = len(embeddings.embed_query("width"))

    @property
    def fingerprint(self) -> str:
        """Hex digest of the class, the width and the model's name."""
        kind = type(self._embeddings)
        names = [f"{name}={getattr(self._embeddings, name, None)}" for name in MODEL_NAMES]
        return digest([kind.__module__, kind.__qualname__, str(self._dimensions), *names])

    @property
    def dimensions(self) -> int:
        """Full width of a vector."""
        return self._dimensions

    def encode_documents(
        self, texts: Sequence[str], *, dimensions: int | None = None
    ) -> FloatArray:
        """Encode texts to be searched: ``[N, D]`` float32, unit norm, in the given order."""
        return self._unit(
            self._embeddings.embed_documents(list(texts)) if texts else [], dimensions
        )

    def encode_queries(self, texts: Sequence[str], *, dimensions: int | None = None) -> FloatArray:
        """Encode what is searched for: ``[N, D]`` float32, unit norm, in the given order."""
        return self._unit([self._embeddings.embed_query(text) for text in texts], dimensions)

    def _unit(self, rows: list[list[float]], dimensions: int | None) -> FloatArray:
        vectors = np.asarray(rows, dtype=np.float32).reshape(len(rows), self._dimensions)
        return truncate(vectors, dimensions)


def encoder_of(given: Embeddings | DenseEncoder) -> DenseEncoder:
    """Make an encoder of embeddings; of ours, the one within.

    Raises:
        ValueError: they are ours, and truncated.
    """
    if not isinstance(given, Embeddings):
        return given
    if not isinstance(given, ArgotEmbeddings):
        return EmbeddingsEncoder(given)
    if given.dimensions != given.encoder.dimensions:
        raise ValueError(
            f"embeddings of an index must have their full width, {given.encoder.dimensions}; "
            f"got {given.dimensions}\nhint: set `dimensions` in [index] instead"
        )
    return given.encoder
