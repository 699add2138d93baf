"""Names and digests that stay the same from run to run.

Every field is written with its length before it, so that no two lists of fields give one digest.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID, uuid5

from connectors.document import Document

# Changing it renames every point of every index.
NAMESPACE = UUID("6d0f6a3e-8f0b-5c7a-9b1d-2f4c1e7a5d90")


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentHashes:
    """Digests of the parts of a document that are stored in different ways."""

    content: str
    """Of what is cut and encoded: text, title and headings."""

    metadata: str
    """Of what is stored beside the text: place, pages, metadata."""

    access: str
    """Of who may see it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Digests of what turns a document into points."""

    chunker: str
    encoder: str
    """Of the dense and the sparse encoder: what decides a vector."""


def point_id(source: str, document_id: str, *, ordinal: int, encoded_text: str) -> str:
    """Name the point of a chunk.

    The same in every index version. A chunk whose encoded text or place changes gets another name,
    so its new vectors never overwrite the old ones before they are complete.
    """
    digest = text_hash(encoded_text)
    return str(uuid5(NAMESPACE, _joined([source, document_id, str(ordinal), digest])))


def text_hash(encoded_text: str) -> str:
    """Digest what decides the vectors of a chunk."""
    return hashlib.sha256(encoded_text.encode()).hexdigest()


def document_hashes(document: Document, *, protected: bool) -> DocumentHashes:
    """Digest a document; ``protected``: its source is configured as such."""
    headings = (
        field
        for heading in document.headings
        for field in (str(heading.level), heading.title, str(heading.start))
    )
    metadata = json.dumps(dict(document.metadata), sort_keys=True, ensure_ascii=False)
    pages = (str(start) for start in document.page_starts)
    access = ["none"] if document.access is None else ["list", *document.access]
    return DocumentHashes(
        content=digest([document.text, document.title, *headings]),
        metadata=digest([document.uri, metadata, *pages]),
        access=digest([str(protected), *access]),
    )


def printable(text: str) -> str:
    r"""Write what is no valid text, such as half a surrogate pair in a file name, as ``\udcff``."""
    return text.encode("utf-8", "backslashreplace").decode()


def _joined(fields: Iterable[str]) -> str:
    return "".join(f"{len(field)}:{field}" for field in fields)


def digest(fields: Iterable[str]) -> str:
    """Digest a list of fields."""
    return hashlib.sha256(_joined(fields).encode()).hexdigest()
