"""A collection that `langchain-qdrant` filled, into a project."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from argot.document_access import Unsaid
from argot.document_writing import DocumentWriter
from argot.errors import SettingsError
from argot.migrated_points import Collection, PointReader
from argot.project import Project
from connectors.document import Document
from indexing.errors import StoreError

if TYPE_CHECKING:
    from qdrant_client import QdrantClient

PAGE = 256
"""Points read at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationReport:
    """What became of the points of a collection."""

    written: int
    """New, or changed since an earlier run."""

    kept: int
    """In the project already, as they are."""

    failed: Mapping[str, str]
    """Reason by point id."""

    hidden: Mapping[str, int]
    """Documents that nobody may see, by what is wrong with their access list."""

    carried: Mapping[str, int]
    """Payload fields beside text and metadata that became metadata, with how many points had them.
    """

    left_out: Mapping[str, int]
    """Such fields that did not: the metadata have another value of the same name."""


def migrate(
    project: Project, collection: Collection, *, tell: Callable[[int], None] = lambda _: None
) -> MigrationReport:
    """Read a collection's texts and metadata into a project; its vectors are left behind.

    Each point becomes a document of `ArgotVectorStore` under the same id, encoded by the project's
    encoder, or found by its words where there is none. Running it again completes a run that was
    interrupted: what is there already is not encoded again. The collection is only read.

    Where `collection` does not say who may see its documents, those that are there keep their
    access lists. New ones are for everybody, and fail where others have lists.

    Args:
        project: The project; it may hold other documents.
        collection: What to read, and who may see it.
        tell: Told now and then how many points have been read.

    Returns:
        What was done.

    Raises:
        SettingsError: qdrant-client is not installed, there is no such collection, or a source of
            the project is protected and nothing is said of who may see the collection.
        StoreError: the collection can't be read; what was written before stays.
        IndexLockedError: another process writes to the project.
    """
    _check_said(project, collection)
    unreadable: dict[str, str] = {}
    reader = PointReader(collection)
    unsaid = Unsaid.OPEN if collection.says_who else Unsaid.KEEP_OR_REFUSE
    with _opened(collection) as client:
        points = _points(client, collection, tell)
        documents = _documents(points, reader, unreadable)
        report = DocumentWriter(project).write(documents, unsaid=unsaid)
    return MigrationReport(
        written=report.written,
        kept=report.kept,
        failed={**unreadable, **report.failed},
        hidden=reader.hidden,
        carried=reader.carried,
        left_out=reader.left_out,
    )


def _check_said(project: Project, collection: Collection) -> None:
    protected = [source.name for source in project.settings.sources if source.protected]
    if protected and not collection.says_who:
        raise SettingsError(
            f"source {protected[0]!r} of this project is protected, so it must be said who may see "
            "what is migrated\n"
            "hint: `--access group:NAME` for all of it, `--access-key metadata.NAME` for each "
            "document's own list, or `--access everybody`; in Python fields of `Collection`"
        )


@contextmanager
def _opened(collection: Collection) -> Iterator["QdrantClient"]:
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
    except Exception as exc:
        raise StoreError(f"collection {collection.name!r} can't be opened: {exc}") from exc
    with closing(client):
        _check_there(client, collection.name)
        yield client


def _check_there(client: "QdrantClient", name: str) -> None:
    try:
        there = [found.name for found in client.get_collections().collections]
    except Exception as exc:
        raise StoreError(f"collection {name!r} can't be opened: {exc}") from exc
    if name not in there:
        known = ", ".join(sorted(there)) or "none"
        raise SettingsError(f"there is no collection {name!r}; there are: {known}")


def _points(
    client: "QdrantClient", collection: Collection, tell: Callable[[int], None]
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield id and payload of each point."""
    offset: Any = None
    count = 0
    while True:
        try:
            records, offset = client.scroll(
                collection.name, limit=PAGE, offset=offset, with_payload=True, with_vectors=False
            )
        except Exception as exc:
            raise StoreError(f"collection {collection.name!r} broke off: {exc}") from exc
        yield from ((str(record.id), record.payload or {}) for record in records)
        count += len(records)
        tell(count)
        if offset is None:
            return


def _documents(
    points: Iterable[tuple[str, Mapping[str, Any]]],
    reader: PointReader,
    unreadable: dict[str, str],
) -> Iterator[Document]:
    for id_, payload in points:
        try:
            yield reader.read(id_, payload)
        except ValueError as exc:
            unreadable[id_] = str(exc)
