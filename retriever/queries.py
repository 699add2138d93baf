"""Queries as the store takes them: widened, and encoded together."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from encoder.base import DenseEncoder, FloatArray, SparseEncoder, SparseVector
from retriever.stages import Expansion, QueryExpander

NOT_WIDENED = Expansion()


@dataclass(frozen=True, slots=True)
class Wording:
    """One wording of a query, encoded; None for a side that is not asked."""

    text: str
    dense: FloatArray | None
    """``[D]``."""

    sparse: SparseVector | None


@dataclass(frozen=True, slots=True)
class EncodedQuery:
    """A query with all its wordings."""

    wordings: tuple[Wording, ...]
    """The user's own first."""

    passages: tuple[str, ...] = ()
    """What joined the vector of the user's own."""

    @property
    def text(self) -> str:
        """In the user's words."""
        return self.wordings[0].text


@dataclass(frozen=True, slots=True)
class QueryEncoders:
    """What the sides of a search read queries with; None for a side that is not asked."""

    dense: DenseEncoder | None
    sparse: SparseEncoder | None
    width: int | None
    """Of the stored vectors."""

    def encode(
        self, queries: Sequence[str], *, expansions: Sequence[Expansion]
    ) -> list[EncodedQuery]:
        """Encode queries and their other wordings, all together.

        Args:
            queries: N, in the users' words.
            expansions: N; what each is widened by.

        Returns:
            N queries. Passages change the vector of the user's own wording, to the direction of it
            plus their mean; the words that are searched stay the user's.
        """
        texts = [_wordings(*pair) for pair in zip(queries, expansions, strict=True)]
        encoded = self._wordings([text for own in texts for text in own])
        grouped = [tuple(next(encoded) for _ in own) for own in texts]
        return [
            EncodedQuery((self._joined(own[0], wide.passages), *own[1:]), wide.passages)
            for own, wide in zip(grouped, expansions, strict=True)
        ]

    def _wordings(self, texts: Sequence[str]) -> Iterator[Wording]:
        dense: Sequence[FloatArray | None] = [None] * len(texts)
        sparse: Sequence[SparseVector | None] = [None] * len(texts)
        if texts and self.dense is not None:
            dense = list(self.dense.encode_queries(texts, dimensions=self.width))  # [N, D]
        if texts and self.sparse is not None:
            sparse = self.sparse.encode_queries(texts)
        return (Wording(*parts) for parts in zip(texts, dense, sparse, strict=True))

    def _joined(self, own: Wording, passages: Sequence[str]) -> Wording:
        if self.dense is None or own.dense is None or not passages:
            return own
        vectors = self.dense.encode_documents(passages, dimensions=self.width)  # [P, D]
        joined = own.dense + vectors.mean(axis=0)
        length = float(np.linalg.norm(joined))
        return Wording(own.text, joined / length if length else own.dense, own.sparse)


def widened(queries: Sequence[str], expander: QueryExpander | None) -> list[Expansion]:
    """Widen each query that has text; without an expander, none."""
    return [
        expander.expand(query) if expander is not None and query.strip() else NOT_WIDENED
        for query in queries
    ]


def given_vector(vector: FloatArray) -> EncodedQuery:
    """Make a query of a vector ``[D]`` that is scaled to unit norm; it has no words.

    Raises:
        ValueError: it is no vector of finite numbers, or zero.
    """
    length = float(np.linalg.norm(vector)) if vector.ndim == 1 else 0.0
    if not (np.isfinite(length) and length > 0):
        raise ValueError(f"a query's vector must be finite and not zero; got {vector!r}")
    return EncodedQuery(
        (Wording("(a vector)", np.asarray(vector / length, dtype=np.float32), None),)
    )


def check_queries(queries: object) -> None:
    """Refuse what is no list of texts; a lone string would be read letter by letter."""
    if isinstance(queries, str) or not isinstance(queries, Sequence):
        raise TypeError(f"`queries` must be a list of strings; got {queries!r}")
    for query in queries:
        if not isinstance(query, str):
            raise TypeError(f"a query must be a string; got {query!r}")


def _wordings(query: str, expansion: Expansion) -> list[str]:
    others = (text for text in expansion.queries if text.strip())
    return list(dict.fromkeys((query, *others)))
