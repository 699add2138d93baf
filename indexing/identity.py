"""Names and digests that stay the same from run to run.

Every field is written with its length before it, so that no two lists of fields give one digest.
"""

import hashlib
import json
from collections.abc import Iterable
from uuid import UUID, uuid5

from connectors.document import Document

# Changing it renames every point of every index.
NAMESPACE = UUID("6d0f6a3e-8f0b-5c7a-9b1d-2f4c1e7a5d90")


def point_id(source: str, document_id: str, *, ordinal: int, encoded_text: str) -> str:
    """Name the point of a chunk.

    The same in every index version. A chunk whose encoded text or place changes gets another name,
    so its new vectors never overwrite the old ones before they are complete.
    """
    digest = hashlib.sha256(encoded_text.encode()).hexdigest()
    return str(uuid5(NAMESPACE, _joined([source, document_id, str(ordinal), digest])))


def content_hash(document: Document) -> str:
    """Digest what is cut and encoded: text, title and headings."""
    headings = (
        field
        for heading in document.headings
        for field in (str(heading.level), heading.title, str(heading.start))
    )
    return _digest([document.text, document.title, *headings])


def metadata_hash(document: Document, *, protected: bool) -> str:
    """Digest what is stored beside the text: place, pages, access list, metadata."""
    access = ["none"] if document.access is None else ["list", *document.access]
    pages = [str(start) for start in document.page_starts]
    metadata = json.dumps(dict(document.metadata), sort_keys=True, ensure_ascii=False)
    fields = [document.uri, str(protected), metadata, str(len(access)), *access, *pages]
    return _digest(fields)


def printable(text: str) -> str:
    r"""Write what is no valid text, such as half a surrogate pair in a file name, as ``\udcff``."""
    return text.encode("utf-8", "backslashreplace").decode()


def _joined(fields: Iterable[str]) -> str:
    return "".join(f"{len(field)}:{field}" for field in fields)


def _digest(fields: Iterable[str]) -> str:
    return hashlib.sha256(_joined(fields).encode()).hexdigest()
