"""Rows of the catalog as documents and chunks."""

from collections.abc import Mapping
from typing import Any

from connectors.document import Document
from indexing.catalog.tables import CHUNK_FIELDS
from indexing.chunks.chunking import Chunk
from indexing.identity import Recipe
from indexing.records import IndexedDocument


def chunk_of(row: Mapping[str, Any]) -> Chunk:
    """Read a chunk from its row, by name of column."""
    fields = {name: row[name] for name in CHUNK_FIELDS}
    return Chunk(**{**fields, "heading_path": tuple(row["heading_path"])})


def document_of(row: Mapping[str, Any], chunks: tuple[Chunk, ...]) -> IndexedDocument:
    """Read an indexed document from its row and its chunks; its text is not kept."""
    return IndexedDocument(
        source=row["source"],
        document=Document(
            id=row["document_id"],
            text="",
            title=row["title"],
            uri=row["uri"],
            metadata=row["metadata"],
            access=None if row["access"] is None else tuple(row["access"]),
        ),
        revision=row["revision"],
        protected=row["protected"],
        content_hash=row["content_hash"],
        metadata_hash=row["metadata_hash"],
        access_hash=row["access_hash"],
        chunks=chunks,
    )


def document_row(indexed: IndexedDocument, recipe: Recipe | None) -> dict[str, Any]:
    """Write an indexed document as the columns that say what it is and how it was made."""
    document = indexed.document
    return {
        "content_hash": indexed.content_hash,
        "metadata_hash": indexed.metadata_hash,
        "access_hash": indexed.access_hash,
        "chunker_hash": recipe and recipe.chunker,
        "encoder_hash": recipe and recipe.encoder,
        "revision": indexed.revision,
        "protected": indexed.protected,
        "title": document.title,
        "uri": document.uri,
        "access": None if document.access is None else list(document.access),
        "metadata": dict(document.metadata),
    }
