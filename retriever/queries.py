"""Queries as the store takes them: widened, and encoded together."""

import reprlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from encoder.base import DenseEncoder, FloatArray, SparseEncoder, SparseVector
from retriever.errors import PlanError
from retriever.plan import PlanOptions
from retriever.settings import OFF
from retriever.stages import Expansion, QueryExpander

NOT_WIDENED = Expansion()

_WITHOUT_TEXT: PlanOptions = {"mode": "dense", "rerank": OFF, "expand": OFF}


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
    """Make a query of a vector ``[D]`` of unit norm, as the index stores them; it has no words."""
    return EncodedQuery((Wording("(a vector)", vector, None),))


def unit_vector(given: object) -> FloatArray:
    """Read a vector ``[D]`` and scale it to unit norm.

    Raises:
        ValueError: it is no list or array of finite numbers, or zero.
    """
    try:
        vector = np.asarray(given)
    except ValueError:  # rows of several lengths
        vector = np.empty(())
    numbers = vector.ndim == 1 and vector.dtype.kind in "fiu"
    wide = vector.astype(np.float64) if numbers else np.zeros(1)
    length = float(np.linalg.norm(wide))
    if not (np.isfinite(length) and length > 0):
        raise ValueError(
            "a query's vector must be a list of numbers, finite and not all zero; "
            f"got {reprlib.repr(given)}"
        )
    return np.asarray(wide / length, dtype=np.float32)


def without_text(options: PlanOptions) -> PlanOptions:
    """Choose what a search for a vector does.

    Raises:
        PlanError: an option needs the text of the query.
    """
    for name, least in _WITHOUT_TEXT.items():
        if options.get(name) not in (None, least):
            raise PlanError(
                f"a search for a vector has no text, so `{name}` can only be {least!r}; "
                f"got {options.get(name)!r}\nhint: search for the query itself"
            )
    return {**options, **_WITHOUT_TEXT}


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
