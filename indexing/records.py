"""What is written down about documents: plain values between the pipeline and the catalog."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from connectors.document import Document
from indexing.chunks.chunking import Chunk
from indexing.identity import point_id


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexedDocument:
    """A document as an index version holds it."""

    source: str
    document: Document
    """Read back from a catalog it has no text, pages or headings: its chunks have."""

    revision: str | None
    protected: bool
    """Its source is configured as protected: without an access list of its own, nobody sees it."""

    content_hash: str
    metadata_hash: str | None
    """None, read back from a catalog: a run died while it rewrote metadata; read it again."""

    access_hash: str | None = None
    chunks: tuple[Chunk, ...] = ()

    @property
    def point_ids(self) -> list[str]:
        """The id of each chunk's point."""
        return [
            point_id(
                self.source,
                self.document.id,
                ordinal=chunk.ordinal,
                encoded_text=chunk.encoded_text,
            )
            for chunk in self.chunks
        ]

    def payload(self, chunk: Chunk) -> dict[str, Any]:
        """Build what is stored beside a chunk's vectors; what a document lacks is left out."""
        payload: dict[str, Any] = {
            "source": self.source,
            "document_id": self.document.id,
            "ordinal": chunk.ordinal,
            "text": chunk.text,
            "title": self.document.title,
            "uri": self.document.uri,
            "start": chunk.start,
            "end": chunk.end,
            "heading_path": list(chunk.heading_path),
            "metadata": dict(self.document.metadata),
            "protected": self.protected or self.document.access is not None,
        }
        if chunk.page is not None:
            payload["page"] = chunk.page
        if self.document.access is not None:
            payload["access"] = list(self.document.access)
        return payload


@dataclass(frozen=True, slots=True)
class FailedDocument:
    """A document that was set aside; what was indexed of it before stays."""

    source: str
    document_id: str
    reason: str
    revision: str | None = None
    attempts: int = 1
    """Attempts in a row that failed on this revision."""


@dataclass(frozen=True, slots=True)
class SourceSummary:
    """How much of a source an index version holds."""

    source: str
    documents: int
    """Those that can be found; a failed one may be among them, in its old state."""

    failed: int
    chunks: int


@dataclass(frozen=True, slots=True)
class Run:
    """One sync of one source."""

    source: str
    status: str
    """``running`` (or killed), ``done``, ``interrupted``, ``refused`` or ``failed``."""

    started: str
    """ISO 8601, UTC."""

    finished: str | None
    counts: Mapping[str, int | float]
