"""The catalog's records of one source in one index version; every method is one transaction."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Engine, Table, delete, exists, insert, select, update
from sqlalchemy.sql.elements import ColumnElement

from indexing.catalog_tables import CHUNK_FIELDS, chunks, cursors, documents, loose_points
from indexing.plan import KnownDocument
from indexing.records import FailedDocument, IndexedDocument

IDS_PER_STATEMENT = 500

_NO_FAILURE = {"failure": None, "failed_revision": None, "attempts": 0}


def utc_now() -> str:
    """Return the time as ISO 8601 with seconds, in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


class SourceRecords:
    """What an index version holds of one source.

    At every moment each point of the store either belongs to a chunk here or is *loose*: announced
    and not yet committed, or replaced and not yet deleted. Whoever starts to write deletes the
    loose ones first, so a process that was killed leaves nothing behind.
    """

    def __init__(self, engine: Engine, *, version: str, source: str) -> None:
        self._engine = engine
        self._version = version
        self._source = source

    def find(self, document_id: str) -> KnownDocument | None:
        """Return what is known of a document."""
        columns = [documents.c[name] for name in KnownDocument.__dataclass_fields__]
        query = select(*columns).where(*self._of(documents), documents.c.document_id == document_id)
        with self._engine.connect() as connection:
            row = connection.execute(query).mappings().first()
        return KnownDocument(**row) if row else None

    def document_ids(self) -> dict[str, bool]:
        """Return every known document, and whether anything of it is indexed."""
        indexed = documents.c.content_hash.is_not(None)
        with self._engine.connect() as connection:
            rows = connection.execute(
                select(documents.c.document_id, indexed).where(*self._of(documents))
            )
            return {row[0]: bool(row[1]) for row in rows}

    def public_documents(self) -> list[str]:
        """Return the indexed documents that everybody may see."""
        query = select(documents.c.document_id).where(
            *self._of(documents),
            documents.c.content_hash.is_not(None),
            documents.c.protected.is_(False),
            documents.c.access.is_(None),
        )
        with self._engine.connect() as connection:
            return list(connection.execute(query).scalars())

    def point_ids(self, document_ids: Sequence[str]) -> dict[str, set[str]]:
        """Return the points of the chunks of each document that has any."""
        found: dict[str, set[str]] = {}
        with self._engine.connect() as connection:
            for document_id, point_id in self._points(connection, document_ids):
                found.setdefault(document_id, set()).add(point_id)
        return found

    def cursor(self) -> str | None:
        """Return where the source was left."""
        with self._engine.connect() as connection:
            return connection.execute(select(cursors.c.cursor).where(*self._of(cursors))).scalar()

    def announce(self, point_ids: Sequence[str]) -> None:
        """Note points that are about to be written and belong to no chunk yet."""
        with self._engine.begin() as connection:
            self._add_loose(connection, point_ids)

    def commit(
        self,
        *,
        indexed: Sequence[IndexedDocument] = (),
        unchanged: Iterable[tuple[str, str | None]] = (),
        failed: Iterable[FailedDocument] = (),
        cursor: str | None = None,
    ) -> None:
        """Record what was done; the points of replaced chunks become loose.

        Args:
            indexed: Documents whose points are all in the store.
            unchanged: Documents found as they were, with the revision they now have.
            failed: Documents that were set aside.
            cursor: Where the source was when all of these were delivered; None: as before.
        """
        with self._engine.begin() as connection:
            old = [point for _, point in self._points(connection, [d.document.id for d in indexed])]
            for document in indexed:
                self._replace(connection, document)
            new = [point for document in indexed for point in document.point_ids]
            self._drop_loose(connection, new)
            kept = set(new)
            self._add_loose(connection, [point for point in old if point not in kept])
            for document_id, revision in unchanged:
                self._put(connection, document_id, {"revision": revision, **_NO_FAILURE})
            for failure in failed:
                self._set_aside(connection, failure)
            if cursor is not None:
                connection.execute(delete(cursors).where(*self._of(cursors)))
                connection.execute(insert(cursors).values(**self._key, cursor=cursor))

    def remove(self, document_ids: Sequence[str]) -> None:
        """Forget documents; their points become loose."""
        with self._engine.begin() as connection:
            self._add_loose(connection, [p for _, p in self._points(connection, document_ids)])
            for ids in _slices(document_ids):
                connection.execute(
                    delete(documents).where(*self._of(documents), documents.c.document_id.in_(ids))
                )

    def loose_points(self) -> list[str]:
        """Return points of the version, of any source, that are to be deleted from the store."""
        owned = exists().where(
            chunks.c.version == loose_points.c.version,
            chunks.c.point_id == loose_points.c.point_id,
        )
        with self._engine.connect() as connection:
            return list(
                connection.execute(
                    select(loose_points.c.point_id).where(
                        loose_points.c.version == self._version, ~owned
                    )
                ).scalars()
            )

    def forget_loose_points(self) -> None:
        """Note that the loose points of the version are gone from the store."""
        with self._engine.begin() as connection:
            connection.execute(delete(loose_points).where(loose_points.c.version == self._version))

    @property
    def _key(self) -> dict[str, str]:
        return {"version": self._version, "source": self._source}

    def _of(self, table: Table) -> list[ColumnElement[bool]]:
        return [table.c.version == self._version, table.c.source == self._source]

    def _points(
        self, connection: Connection, document_ids: Sequence[str]
    ) -> Iterator[tuple[str, str]]:
        for ids in _slices(document_ids):
            rows = connection.execute(
                select(chunks.c.document_id, chunks.c.point_id).where(
                    *self._of(chunks), chunks.c.document_id.in_(ids)
                )
            )
            yield from ((row[0], row[1]) for row in rows)

    def _replace(self, connection: Connection, indexed: IndexedDocument) -> None:
        document = indexed.document
        key = {**self._key, "document_id": document.id}
        connection.execute(delete(documents).filter_by(**key))
        connection.execute(
            insert(documents).values(
                **key,
                **_NO_FAILURE,
                content_hash=indexed.content_hash,
                metadata_hash=indexed.metadata_hash,
                revision=indexed.revision,
                protected=indexed.protected,
                title=document.title,
                uri=document.uri,
                access=None if document.access is None else list(document.access),
                metadata=dict(document.metadata),
                updated=utc_now(),
            )
        )
        rows = [
            {**key, "point_id": point, **{name: getattr(chunk, name) for name in CHUNK_FIELDS}}
            for chunk, point in zip(indexed.chunks, indexed.point_ids, strict=True)
        ]
        if rows:
            connection.execute(insert(chunks), rows)

    def _set_aside(self, connection: Connection, failed: FailedDocument) -> None:
        row = connection.execute(
            select(documents.c.attempts).where(
                *self._of(documents),
                documents.c.document_id == failed.document_id,
                documents.c.failure.is_not(None),
                documents.c.failed_revision.is_not_distinct_from(failed.revision),
            )
        ).first()
        values = {
            "failure": failed.reason,
            "failed_revision": failed.revision,
            "attempts": (row[0] if row else 0) + 1,
        }
        self._put(connection, failed.document_id, values)

    def _put(self, connection: Connection, document_id: str, values: dict[str, Any]) -> None:
        """Change columns of a document's row, or begin a row of a document that is not indexed."""
        values = {**values, "updated": utc_now()}
        key = {**self._key, "document_id": document_id}
        done = connection.execute(update(documents).filter_by(**key).values(**values))
        if done.rowcount == 0:
            connection.execute(insert(documents).values(**key, protected=False, **values))

    def _add_loose(self, connection: Connection, point_ids: Sequence[str]) -> None:
        self._drop_loose(connection, point_ids)
        if point_ids:
            rows = [{"version": self._version, "point_id": point} for point in point_ids]
            connection.execute(insert(loose_points), rows)

    def _drop_loose(self, connection: Connection, point_ids: Sequence[str]) -> None:
        for ids in _slices(point_ids):
            connection.execute(
                delete(loose_points).where(
                    loose_points.c.version == self._version, loose_points.c.point_id.in_(ids)
                )
            )


def _slices(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    """SQLite takes a limited number of values in one statement."""
    for start in range(0, len(ids), IDS_PER_STATEMENT):
        yield ids[start : start + IDS_PER_STATEMENT]
