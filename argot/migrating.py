"""A collection that `langchain-qdrant` filled, into a project."""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from argot.document_writing import DocumentWriter
from argot.errors import SettingsError
from argot.project import Project
from connectors.document import Document
from indexing.errors import StoreError

if TYPE_CHECKING:
    from qdrant_client import QdrantClient

PAGE = 256
"""Points read at once."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """A collection as `QdrantVectorStore` lays it out."""

    name: str
    path: Path | None = None
    """Folder of a local client; None: it is on a server."""

    url: str = ""
    """Of the server."""

    api_key: str = field(default="", repr=False)
    content_key: str = "page_content"
    """Its ``content_payload_key``."""

    metadata_key: str = "metadata"
    """Its ``metadata_payload_key``."""

    def __post_init__(self) -> None:
        if (self.path is None) == (not self.url):
            raise ValueError("a collection must have a `path` or a `url`, one of them")


@dataclass(frozen=True, slots=True)
class MigrationReport:
    """What became of the points of a collection."""

    written: int
    """New, or changed since an earlier run."""

    kept: int
    """In the project already, as they are."""

    failed: Mapping[str, str]
    """Reason by point id."""


def migrate(
    project: Project, collection: Collection, *, tell: Callable[[int], None] = lambda _: None
) -> MigrationReport:
    """Read a collection's texts and metadata into a project; its vectors are left behind.

    Each point becomes a document of `ArgotVectorStore` under the same id, encoded by the project's
    encoder, or found by its words where there is none. Running it again completes a run that was
    interrupted: what is there already is not encoded again. The collection is only read.

    Args:
        project: The project; it may hold other documents.
        collection: What to read.
        tell: Told now and then how many points have been read.

    Returns:
        What was done.

    Raises:
        SettingsError: qdrant-client is not installed, or there is no such collection.
        StoreError: the collection can't be read; what was written before stays.
        IndexLockedError: another process writes to the project.
    """
    unreadable: dict[str, str] = {}
    with closing(_connect(collection)) as client:
        documents = _documents(client, collection, unreadable, tell)
        report = DocumentWriter(project).write(documents)
    return MigrationReport(report.written, report.kept, {**unreadable, **report.failed})


def _connect(collection: Collection) -> "QdrantClient":
    try:
        from qdrant_client import QdrantClient
    except ImportError as exc:
        raise SettingsError(
            "reading a Qdrant collection needs qdrant-client\n"
            'hint: pip install "argot-search[server]"'
        ) from exc
    if collection.path is not None and not (collection.path / "meta.json").is_file():
        raise SettingsError(
            f"{collection.path} must be the folder of a local Qdrant client; it has no meta.json"
        )
    try:
        if collection.path is None:
            key = collection.api_key or None
            client = QdrantClient(url=collection.url, api_key=key, check_compatibility=False)
        else:
            client = QdrantClient(path=str(collection.path))
        there = [found.name for found in client.get_collections().collections]
    except Exception as exc:
        raise StoreError(f"collection {collection.name!r} can't be opened: {exc}") from exc
    if collection.name not in there:
        client.close()
        known = ", ".join(sorted(there)) or "none"
        raise SettingsError(f"there is no collection {collection.name!r}; there are: {known}")
    return client


def _documents(
    client: "QdrantClient",
    collection: Collection,
    unreadable: dict[str, str],
    tell: Callable[[int], None],
) -> Iterator[Document]:
    offset: Any = None
    count = 0
    while True:
        try:
            records, offset = client.scroll(
                collection.name, limit=PAGE, offset=offset, with_payload=True, with_vectors=False
            )
        except Exception as exc:
            raise StoreError(f"collection {collection.name!r} broke off: {exc}") from exc
        for record in records:
            try:
                yield _document(str(record.id), record.payload or {}, collection)
            except ValueError as exc:
                unreadable[str(record.id)] = str(exc)
        count += len(records)
        tell(count)
        if offset is None:
            return


def _document(id_: str, payload: Mapping[str, Any], collection: Collection) -> Document:
    text = payload.get(collection.content_key)
    metadata = payload.get(collection.metadata_key)
    if not isinstance(text, str):
        raise ValueError(  # noqa: TRY004 - one point's misfortune
            f"`{collection.content_key}` must be its text; got {type(text).__name__}; "
            f"it has {', '.join(payload) or 'nothing'}"
        )
    if not isinstance(metadata, dict | None):
        raise ValueError(  # noqa: TRY004
            f"`{collection.metadata_key}` must be a mapping; got {type(metadata).__name__}"
        )
    return Document(id=id_, text=text, metadata=metadata or {})
