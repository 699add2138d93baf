"""The catalog's records of one source in one index version; every method is one transaction."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Engine, Table, bindparam, delete, func, insert, select, update
from sqlalchemy.sql.elements import ColumnElement

from indexing.catalog.loose import IDS_PER_STATEMENT, LoosePoints, slices
from indexing.catalog.rows import document_row
from indexing.catalog.tables import CHUNK_FIELDS, chunks, cursors, documents
from indexing.identity import Recipe, text_hash
from indexing.plan import KnownDocument
from indexing.records import FailedDocument, IndexedDocument

# Made once: it is asked for every document, and takes longer to make than to execute.
_FIND = select(*(documents.c[name] for name in KnownDocument.__dataclass_fields__)).where(
    *(documents.c[name] == bindparam(name) for name in ("version", "source", "document_id"))
)

_NO_FAILURE = {"failure": None, "failed_revision": None, "attempts": 0}


def utc_now() -> str:
    """Return the time as ISO 8601 with seconds, in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


class SourceRecords:
    """What an index version holds of one source.

    At every moment each point of the store either belongs to a chunk here or is *loose*: announced
    and not yet committed, or replaced and not yet deleted. Whoever starts to write deletes the
    loose ones first, so a process that was killed leaves nothing behind.

    Args:
        engine: The catalog's.
        version: Name of the index version.
        source: Its name; empty for the loose points of all sources.
        fence: Called at the beginning of each transaction that writes; raises where this process
            may not write any more.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        version: str,
        source: str,
        fence: Callable[[Connection], None] | None = None,
    ) -> None:
        self._engine = engine
        self._version = version
        self._source = source
        self._fence = fence
        self._loose = LoosePoints(version=version, source=source)

    def find(self, document_id: str) -> KnownDocument | None:
        """Return what is known of a document."""
        with self._engine.connect() as connection:
            key = {**self._key, "document_id": document_id}
            found = connection.execute(_FIND, key).mappings().first()
        return KnownDocument(**found) if found else None

    def known_documents(self) -> Iterator[tuple[str, bool]]:
        """Name every known document, by id, and tell whether anything of it is indexed.

        Those already named may be removed meanwhile.
        """
        row = documents.c
        query = select(row.document_id, row.content_hash.is_not(None)).where(*self._of(documents))
        query = query.order_by(row.document_id).limit(IDS_PER_STATEMENT)
        page: Sequence[Any] = ()
        while True:
            rest = query.where(row.document_id > page[-1][0]) if page else query
            # No transaction stays open meanwhile.
            with self._engine.connect() as connection:
                page = connection.execute(rest).all()
            yield from ((found[0], bool(found[1])) for found in page)
            if len(page) < IDS_PER_STATEMENT:
                return

    def count_indexed(self) -> int:
        """Count the documents of which something is indexed."""
        query = select(func.count(documents.c.content_hash)).where(*self._of(documents))
        with self._engine.connect() as connection:
            return int(connection.execute(query).scalar_one())

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

    def point_ids(self, document_ids: Sequence[str], *, encoder: str | None = None) -> set[str]:
        """Return the points of the chunks of documents.

        Args:
            document_ids: Those that are not known have none.
            encoder: Only of documents that were encoded by this one; None: by any.
        """
        with self._engine.connect() as connection:
            return {point for _, point in self._points(connection, document_ids, encoder=encoder)}

    def points_by_text(self, text_hashes: Sequence[str], *, encoder: str) -> dict[str, str]:
        """Find for each text a point of the version, of any source, that holds its vectors."""
        query = select(chunks.c.text_hash, func.min(chunks.c.point_id)).join(documents)
        query = query.where(
            chunks.c.version == self._version,
            func.coalesce(documents.c.encoder_hash, encoder) == encoder,
        )
        found: dict[str, str] = {}
        with self._engine.connect() as connection:
            for part in slices(text_hashes):
                rows = connection.execute(
                    query.where(chunks.c.text_hash.in_(part)).group_by(chunks.c.text_hash)
                )
                found.update((row[0], row[1]) for row in rows)
        return found

    def cursor(self) -> str | None:
        """Return where the source was left."""
        with self._engine.connect() as connection:
            return connection.execute(select(cursors.c.cursor).where(*self._of(cursors))).scalar()

    def announce(self, point_ids: Sequence[str], *, rewritten: Sequence[str] = ()) -> None:
        """Note what is about to be written, so that a killed run leaves nothing unnoticed.

        Args:
            point_ids: New points; they belong to no chunk yet.
            rewritten: Documents of which stored payloads are about to be replaced. Until they are
                committed, what is stored of their metadata is uncertain.
        """
        with self._writing() as connection:
            self._loose.add(connection, point_ids)
            self._doubt(connection, rewritten)

    def leave_loose(self, indexed: Sequence[IndexedDocument]) -> None:
        """Leave what was written and can't be committed to whoever syncs the source next.

        New points are loose. Points that the successor committed meanwhile may have got an older
        payload over theirs, so what is stored of these documents is uncertain.
        """
        with self._engine.begin() as connection:
            self._loose.add(connection, [p for document in indexed for p in document.point_ids])
            self._doubt(connection, [document.document.id for document in indexed])

    def commit(
        self,
        *,
        indexed: Sequence[IndexedDocument] = (),
        unchanged: Iterable[tuple[str, str | None]] = (),
        failed: Iterable[FailedDocument] = (),
        cursor: str | None = None,
        recipe: Recipe | None = None,
    ) -> None:
        """Record what was done; the points of replaced chunks become loose.

        Args:
            indexed: Documents whose points are all in the store.
            unchanged: Documents found as they were, with the revision they now have.
            failed: Documents that were set aside.
            cursor: Where the source was when all of these were delivered; None: as before.
            recipe: What the points of ``indexed`` were made with; None: what the version says.
        """
        with self._writing() as connection:
            old = [point for _, point in self._points(connection, [d.document.id for d in indexed])]
            for document in indexed:
                self._replace(connection, document, recipe)
            new = [point for document in indexed for point in document.point_ids]
            self._loose.drop(connection, new)
            kept = set(new)
            self._loose.add(connection, [point for point in old if point not in kept])
            for document_id, revision in unchanged:
                self._put(connection, document_id, {"revision": revision, **_NO_FAILURE})
            for failure in failed:
                self._set_aside(connection, failure)
            if cursor is not None:
                connection.execute(delete(cursors).where(*self._of(cursors)))
                connection.execute(insert(cursors).values(**self._key, cursor=cursor))

    def remove(self, document_ids: Sequence[str]) -> None:
        """Forget documents; their points become loose."""
        with self._writing() as connection:
            self._loose.add(connection, [p for _, p in self._points(connection, document_ids)])
            for ids in slices(document_ids):
                connection.execute(
                    delete(documents).where(*self._of(documents), documents.c.document_id.in_(ids))
                )

    def loose_points(self) -> list[str]:
        """Return the points that are to be deleted from the store."""
        with self._engine.connect() as connection:
            return self._loose.find(connection)

    @contextmanager
    def sweeping(self) -> Iterator[list[str]]:
        """Give the loose points, to be deleted from the store within; then they are forgotten.

        The delete is a part of the transaction that checks the lease: until it ends, no other
        worker can take the source over, write one of these points anew and lose it to the delete.
        """
        with self._writing() as connection:
            loose = self._loose.find(connection)
            yield loose
            if loose:
                self._forget(connection, loose)

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with self._engine.begin() as connection:
            if self._fence:
                self._fence(connection)
            yield connection

    def _forget(self, connection: Connection, loose: Sequence[str]) -> None:
        self._loose.drop(connection, loose)

    def _doubt(self, connection: Connection, document_ids: Sequence[str]) -> None:
        """Have the metadata of documents written again, whatever it is."""
        for ids in slices(document_ids):
            connection.execute(
                update(documents)
                .where(*self._of(documents), documents.c.document_id.in_(ids))
                .values(metadata_hash=None)
            )

    @property
    def _key(self) -> dict[str, str]:
        return {"version": self._version, "source": self._source}

    def _of(self, table: Table) -> list[ColumnElement[bool]]:
        return [table.c.version == self._version, table.c.source == self._source]

    def _points(
        self, connection: Connection, document_ids: Sequence[str], *, encoder: str | None = None
    ) -> Iterator[tuple[str, str]]:
        query = select(chunks.c.document_id, chunks.c.point_id).where(*self._of(chunks))
        if encoder is not None:
            query = query.join(documents).where(
                func.coalesce(documents.c.encoder_hash, encoder) == encoder
            )
        for ids in slices(document_ids):
            rows = connection.execute(query.where(chunks.c.document_id.in_(ids)))
            yield from ((row[0], row[1]) for row in rows)

    def _replace(
        self, connection: Connection, indexed: IndexedDocument, recipe: Recipe | None
    ) -> None:
        key = {**self._key, "document_id": indexed.document.id}
        connection.execute(delete(documents).filter_by(**key))
        connection.execute(
            insert(documents).values(
                **key, **_NO_FAILURE, **document_row(indexed, recipe), updated=utc_now()
            )
        )
        rows = [
            {
                **key,
                **{name: getattr(chunk, name) for name in CHUNK_FIELDS},
                "point_id": point,
                "text_hash": text_hash(chunk.encoded_text),
            }
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
