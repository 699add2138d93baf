"""LangChain's documents to those of a source, and back unchanged."""

import json
import reprlib
import uuid
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal, NoReturn

from langchain_core.documents import Document

from argot.document_access import EVERYBODY
from connectors.document import Document as SourceDocument
from connectors.document import JsonValue
from indexing.stores.base import Payload
from indexing.stores.validation import MAX_PAYLOAD_DEPTH, json_bytes
from retriever.results import Hit

Access = Sequence[str] | Literal["everybody"]
"""Who may see documents: names such as ``user:x`` and ``group:y``, or everybody."""

METADATA_DEPTH = 2
"""Of a document's metadata, in what is stored of its chunk."""


def source_documents(
    documents: Sequence[Document],
    *,
    ids: Sequence[str | None] | None = None,
    access: Access | None = None,
) -> list[SourceDocument]:
    """Make documents of a source.

    Args:
        documents: With or without ids.
        ids: One for each, which win over the documents' own; None: they have their own. A document
            with neither gets a new one.
        access: Who may see them; None, or everybody: they have no access list.

    Returns:
        As many, in the same order.

    Raises:
        TypeError: `ids` or `access` is no list of texts.
        ValueError: too few or too many ids, an empty name in `access`, or metadata that would not
            come back as it is.
    """
    chosen = [None] * len(documents) if ids is None else check_ids(ids, missing=True)
    if len(chosen) != len(documents):
        raise ValueError(
            f"`ids` must be {len(documents)}, one for each document; got {len(chosen)}"
        )
    names = access_list(access)
    made = [
        id_ or document.id or str(uuid.uuid4())
        for document, id_ in zip(documents, chosen, strict=True)
    ]
    check_ids(made)
    return [
        SourceDocument(
            id=id_, text=document.page_content, metadata=_checked(document, id_), access=names
        )
        for document, id_ in zip(documents, made, strict=True)
    ]


def check_ids(ids: object, *, missing: bool = False) -> Sequence[Any]:
    """Refuse what is no list of ids; a lone text would be read letter by letter.

    Args:
        ids: As a caller gave them.
        missing: Some may be None.

    Raises:
        TypeError: it is no list or tuple, or holds what is no text.
        ValueError: one can't be stored.
    """
    if not isinstance(ids, Sequence) or isinstance(ids, str | bytes | bytearray):
        hint = f"\nhint: one id is given as [{ids!r}]" if isinstance(ids, str) else ""
        raise TypeError(f"`ids` must be a list of strings; got {ids!r}{hint}")
    for id_ in ids:
        if id_ is None and missing:
            continue
        if not isinstance(id_, str):
            raise TypeError(f"an id must be a string; got {id_!r}")
        _check_text("an id", id_)
    return ids


def access_list(access: object) -> tuple[str, ...] | None:
    """Read who may see documents; None: they have no access list.

    Raises:
        TypeError: it is neither a list nor ``everybody``.
        ValueError: a name of it is empty or no text.
    """
    if access is None or (isinstance(access, str) and access == EVERYBODY):
        return None
    if not isinstance(access, list | tuple | set | frozenset):
        raise TypeError(
            '`access` must be a list of names such as "group:board", or "everybody"; '
            f"got {access!r}"
        )
    for name in access:
        if not isinstance(name, str) or not name:
            raise ValueError(f"`access` must hold non-empty strings; got {name!r}")
        if name == EVERYBODY:
            raise ValueError(
                f"`access` must be a list of names, or {EVERYBODY!r} and no list; got {access!r}"
            )
        _check_text("a name in `access`", name)
    # a set has no order, and another order would be another list
    return tuple(sorted(access) if isinstance(access, set | frozenset) else access)


def texts_with_metadata(
    texts: Iterable[str], metadatas: Iterable[dict[str, object]] | None
) -> Iterator[Document]:
    """Pair texts with their metadata.

    Raises:
        TypeError: `texts` is one text, which would be read letter by letter.
        ValueError: there are more of the one than of the other.
    """
    if isinstance(texts, str):
        raise TypeError(f"`texts` must be several; got {texts!r}\nhint: one text is [text]")
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


def _check_text(what: str, given: str) -> None:
    try:
        given.encode()
    except UnicodeEncodeError as exc:
        raise ValueError(f"{what} must be valid text; got {given!r}") from exc


def _checked(document: Document, id_: str) -> dict[str, JsonValue]:
    _check_text("a document's text", document.page_content)
    metadata = document.metadata
    for name in metadata:
        if not isinstance(name, str):
            _refuse_metadata(name, "a name", id_)
    return {
        _plain(name, "a name", id_): _plain(value, repr(name), id_)
        for name, value in metadata.items()
    }


def _plain(value: Any, named: str, id_: str) -> Any:  # noqa: ANN401 - any JSON value
    """Give a value of a document's metadata, or one's name, as JSON would."""
    try:
        read = json.loads(json.dumps(value, allow_nan=False, ensure_ascii=False).encode())
        json_bytes(read, where=named, depth=METADATA_DEPTH)
        is_same = bool(read == value)
    except (TypeError, ValueError, RecursionError):
        is_same = False
    return read if is_same else _refuse_metadata(value, named, id_)


def _refuse_metadata(value: object, named: str, id_: str) -> NoReturn:
    raise ValueError(
        "metadata must be plain JSON values: valid texts, finite numbers, whole ones of 64 bits, "
        f"true, false, None, lists, and mappings from texts, at most {MAX_PAYLOAD_DEPTH} deep; "
        f"of document {id_!r}, {named} is {reprlib.repr(value)}\n"
        "hint: write it as text, a date by value.isoformat(); nothing of this call was stored"
    )
