"""LangChain's documents to those of a source, and back unchanged."""

import json
import uuid
from collections.abc import Iterable, Iterator, Sequence

from langchain_core.documents import Document

from connectors.document import Document as SourceDocument
from connectors.document import JsonValue
from indexing.stores.base import Payload
from retriever.results import Hit


def source_documents(
    documents: Sequence[Document],
    *,
    ids: Sequence[str | None] | None = None,
    access: Sequence[str] | None = None,
) -> list[SourceDocument]:
    """Make documents of a source.

    Args:
        documents: With or without ids.
        ids: One for each, which win over the documents' own; None: they have their own. A document
            with neither gets a new one.
        access: Who may see them; None: everybody.

    Returns:
        As many, in the same order.

    Raises:
        TypeError: `access` is no list of names.
        ValueError: too few or too many ids, or metadata that would not come back as it is.
    """
    if ids is not None and len(ids) != len(documents):
        raise ValueError(f"`ids` must be {len(documents)}, one for each document; got {len(ids)}")
    if isinstance(access, str):
        raise TypeError(f"`access` must be a list of names; got {access!r}")
    return [
        SourceDocument(
            id=id_ or document.id or str(uuid.uuid4()),
            text=document.page_content,
            metadata=_checked(document),
            access=None if access is None else tuple(access),
        )
        for document, id_ in zip(documents, ids or [None] * len(documents), strict=True)
    ]


def texts_with_metadata(
    texts: Iterable[str], metadatas: Iterable[dict[str, object]] | None
) -> Iterator[Document]:
    """Pair texts with their metadata.

    Raises:
        ValueError: there are more of the one than of the other.
    """
    given = list(texts)
    described = [{} for _ in given] if metadatas is None else list(metadatas)
    if len(described) != len(given):
        raise ValueError(
            f"`metadatas` must be {len(given)}, one for each text; got {len(described)}"
        )
    return (Document(page_content=t, metadata=m) for t, m in zip(given, described, strict=True))


def document_of(hit: Hit) -> Document:
    """Give a document that was found as it was put in."""
    return Document(id=hit.document_id, page_content=hit.text, metadata=dict(hit.metadata))


def stored_document(payload: Payload) -> Document:
    """Give a document as it was put in, from what is stored beside its vectors."""
    return Document(
        id=payload["document_id"], page_content=payload["text"], metadata=payload["metadata"]
    )


def _checked(document: Document) -> dict[str, JsonValue]:
    metadata: dict[str, JsonValue] = document.metadata
    try:
        unchanged = json.loads(json.dumps(metadata, allow_nan=False)) == metadata
    except (TypeError, ValueError):
        unchanged = False
    if not unchanged:
        raise ValueError(
            "metadata must be plain JSON values: texts, finite numbers, true, false, None, lists, "
            f"and mappings from texts; got {metadata!r}\n"
            "hint: write a date as text, such as value.isoformat()"
        )
    return metadata
