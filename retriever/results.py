"""What a search returns."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class DenseMatch:
    """How the dense side ranked a chunk."""

    rank: int
    """From 1."""

    score: float
    """Cosine."""


@dataclass(frozen=True, slots=True)
class SparseMatch:
    """How the sparse side ranked a chunk."""

    rank: int
    """From 1."""

    score: float
    """BM25."""

    terms: tuple[str, ...] = ()
    """Words of the query that the chunk contains, as the query spells them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """One chunk that was found, and why."""

    id: str
    """The point's id."""

    source: str
    document_id: str
    text: str
    score: float
    """Fused score in hybrid mode, the side's own score otherwise; higher is better."""

    dense: DenseMatch | None
    sparse: SparseMatch | None
    title: str = ""
    uri: str = ""
    page: int | None = None
    """From 1; None for formats without pages."""

    span: tuple[int, int] = (0, 0)
    """Half-open range of code points in the parsed document."""

    heading_path: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    explanation: Mapping[str, Any] = field(default_factory=dict)
    """``dense``, ``sparse``, ``fusion``, ``rerank`` and ``filter`` in plain JSON values."""
