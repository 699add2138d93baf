"""What a search returns."""

from collections.abc import Mapping, Sequence
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
class Passage:
    """Text of a document around a hit."""

    text: str
    span: tuple[int, int]
    """Half-open range of code points in the parsed document."""

    page: int | None
    """That it begins on, from 1; None for formats without pages."""

    heading_path: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """One chunk that was found, and why."""

    id: str
    """The point's id."""

    source: str
    document_id: str
    text: str
    score: float
    """Of the last step that scored it: that of the side in mode dense or sparse, fused in mode
    hybrid, with a reranker its own and that before, weighed and added; higher is better."""

    dense: DenseMatch | None
    sparse: SparseMatch | None
    title: str = ""
    uri: str = ""
    page: int | None = None
    """From 1; None for formats without pages."""

    span: tuple[int, int] = (0, 0)
    """Half-open range of code points in the parsed document."""

    heading_path: tuple[str, ...] = ()
    before: tuple[Passage, ...] = ()
    """Chunks before it in its document, if neighbours were asked for; in reading order."""

    after: tuple[Passage, ...] = ()
    """Chunks after it, in reading order."""

    section: Passage | None = None
    """The section it stands in, if sections were asked for and the document has any."""

    index: str = ""
    """Which of several indexes it was found in; empty where one was searched."""

    metadata: Mapping[str, Any] = field(default_factory=dict)
    explanation: Mapping[str, Any] = field(default_factory=dict)
    """``dense``, ``sparse``, ``fusion``, ``rerank`` and ``filter`` in plain JSON values; where the
    search had such steps, ``expansion``, ``mmr`` and ``federation`` too."""

    @property
    def context(self) -> str:
        """What to read for the hit: its section, if there is one, else it and its neighbours."""
        if self.section is not None:
            return self.section.text
        itself = Passage(
            text=self.text, span=self.span, page=self.page, heading_path=self.heading_path
        )
        return joined_text((*self.before, itself, *self.after))


def joined_text(passages: Sequence[Passage]) -> str:
    """Put passages of one document, in reading order, together; what overlaps is there once."""
    parts: list[str] = []
    reached = 0
    for passage in passages:
        start, end = passage.span
        is_exact = len(passage.text) == end - start
        if parts and is_exact and start < reached:
            parts.append(passage.text[reached - start :])
        else:
            parts.append(passage.text if not parts or start == reached else f"\n{passage.text}")
        reached = max(reached, end)
    return "".join(parts)
