"""The catalog: what every index version holds, what failed, and where each source was left.

SQLite in the project by default, any other database by URL. A query never opens it.
"""

from collections.abc import Iterator, Mapping
from typing import Self

from sqlalchemy import delete, func, insert, select, union, update
from sqlalchemy.engine import RowMapping

from indexing.catalog.compare import VersionComparison
from indexing.catalog.leases import LEASE_SECONDS, Lease, Leases
from indexing.catalog.opening import open_engine
from indexing.catalog.points import CatalogPoints
from indexing.catalog.rows import chunk_of, document_of
from indexing.catalog.source import SourceRecords, utc_now
from indexing.catalog.tables import (
    CHUNK_FIELDS,
    chunks,
    cursors,
    documents,
    loose_points,
    runs,
)
from indexing.catalog.transfer import VersionRows
from indexing.chunks.chunking import Chunk
from indexing.records import FailedDocument, IndexedDocument, Run, SourceSummary

_LIVE = "live"
"""Status of what is no sync: from then on a version answered."""


class Catalog:
    """An open catalog, made where there is none. Close it, or use it in a ``with``.

    Args:
        url: A database URL, such as ``sqlite:///.argot/catalog.sqlite``.

    Raises:
        CatalogError: It can't be opened, or another version of Argot wrote it.
    """

    def __init__(self, url: str) -> None:
        self._engine = open_engine(url)

    def close(self) -> None:
        """Let the database go; closing twice is fine."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def source(self, name: str, *, version: str, lease: Lease | None = None) -> SourceRecords:
        """Return the records of one source in one index version.

        Args:
            name: Of the source; empty for the loose points of all sources.
            version: Name of the index version.
            lease: Must be held whenever something is written; None: nobody else may write.
        """
        fence = lease.renew_in if lease else None
        return SourceRecords(self._engine, version=version, source=name, fence=fence)

    def leases(self, *, ttl_seconds: float = LEASE_SECONDS) -> Leases:
        """Return what says which worker syncs which source; a new owner."""
        return Leases(self._engine, ttl_seconds=ttl_seconds)

    def begin_run(self, source: str, *, version: str) -> int:
        """Note that a sync has begun; return the run's number."""
        row = {"version": version, "source": source, "started": utc_now()}
        with self._engine.begin() as connection:
            values = insert(runs).values(**row, status="running", counts={})
            return int(connection.execute(values.returning(runs.c.id)).scalar_one())

    def finish_run(self, run: int, *, status: str, counts: Mapping[str, int | float]) -> None:
        """Note how a sync ended; see ``Run.status``."""
        values = {"finished": utc_now(), "status": status, "counts": dict(counts)}
        with self._engine.begin() as connection:
            connection.execute(update(runs).where(runs.c.id == run).values(**values))

    def newest_run(self) -> int:
        """Return the number of the sync that began last; 0: there was none."""
        with self._engine.connect() as connection:
            return connection.execute(select(func.max(runs.c.id))).scalar() or 0

    def synced_since(self, run: int, source: str, *, version: str) -> bool:
        """Tell whether a sync of a source that began after another one has been completed."""
        query = select(runs.c.id).filter_by(source=source, version=version, status="done")
        with self._engine.connect() as connection:
            found = connection.execute(query.where(runs.c.id > run).limit(1))
            return found.first() is not None

    def note_live(self, version: str) -> None:
        """Note which version answers, for the day its folder is lost; see `last_live`."""
        if self.last_live() == version:
            return
        now = utc_now()
        row = {"version": version, "source": "", "started": now, "finished": now}
        with self._engine.begin() as connection:
            connection.execute(insert(runs).values(**row, status=_LIVE, counts={}))

    def last_live(self) -> str | None:
        """Return the version that was last noted to answer; None: none was."""
        query = select(runs.c.version).where(runs.c.status == _LIVE)
        with self._engine.connect() as connection:
            return connection.execute(query.order_by(runs.c.id.desc()).limit(1)).scalar()

    def last_runs(self, *, version: str, limit: int = 1) -> list[Run]:
        """Return the latest syncs into a version, the latest first."""
        columns = (runs.c[name] for name in Run.__dataclass_fields__)
        query = select(*columns).where(runs.c.version == version, runs.c.status != _LIVE)
        with self._engine.connect() as connection:
            rows = connection.execute(query.order_by(runs.c.id.desc()).limit(limit))
            return [Run(**row) for row in rows.mappings()]

    def summary(self, *, version: str) -> list[SourceSummary]:
        """Count what a version holds of each source, by name."""
        failed = func.count(documents.c.failure)
        of_documents = (
            select(documents.c.source, func.count(documents.c.content_hash), failed)
            .where(documents.c.version == version)
            .group_by(documents.c.source)
            .order_by(documents.c.source)
        )
        of_chunks = (
            select(chunks.c.source, func.count())
            .where(chunks.c.version == version)
            .group_by(chunks.c.source)
        )
        with self._engine.connect() as connection:
            number = {row[0]: row[1] for row in connection.execute(of_chunks)}
            return [
                SourceSummary(source, indexed, failed, number.get(source, 0))
                for source, indexed, failed in connection.execute(of_documents)
            ]

    def failures(self, *, version: str) -> list[FailedDocument]:
        """List the documents that are set aside, by source and id."""
        row = documents.c
        query = (
            select(row.source, row.document_id, row.failure, row.failed_revision, row.attempts)
            .where(row.version == version, row.failure.is_not(None))
            .order_by(row.source, row.document_id)
        )
        with self._engine.connect() as connection:
            return [FailedDocument(*found) for found in connection.execute(query)]

    def indexed_documents(self, *, version: str) -> Iterator[IndexedDocument]:
        """Read back what a version holds, by source and id: enough to build another version."""
        row = documents.c
        of_version = (row.version == version, row.content_hash.is_not(None))
        query = select(documents).where(*of_version).order_by(row.source, row.document_id)
        with self._engine.connect() as connection:
            # Streamed, so that a large index is never in memory.
            rows = connection.execution_options(yield_per=200).execute(query)
            for found in rows.mappings():
                yield document_of({**found}, self._chunks(found))

    def indexed_document(
        self, document_id: str, *, source: str, version: str
    ) -> IndexedDocument | None:
        """Read back one document of a version; None where nothing of it is indexed."""
        row = documents.c
        query = select(documents).where(
            row.version == version,
            row.source == source,
            row.document_id == document_id,
            row.content_hash.is_not(None),
        )
        with self._engine.connect() as connection:
            found = connection.execute(query).mappings().first()
        return None if found is None else document_of({**found}, self._chunks(found))

    def compare(self, source: str, target: str) -> VersionComparison:
        """Compare what version ``target`` holds with ``source``, the one that is right."""
        return VersionComparison(self._engine, source=source, target=target)

    def points(self, *, version: str) -> CatalogPoints:
        """Return what is known of the points of a version."""
        return CatalogPoints(self._engine, version=version)

    def rows(self, *, version: str) -> VersionRows:
        """Return all rows of a version, to be copied or carried elsewhere."""
        return VersionRows(self._engine, version=version)

    def versions(self) -> set[str]:
        """Name the versions of which anything is known."""
        known = [select(table.c.version) for table in (documents, loose_points, cursors)]
        with self._engine.connect() as connection:
            return set(connection.execute(union(*known)).scalars())

    def forget_version(self, version: str) -> None:
        """Remove all that is known of a version; the history of runs stays."""
        with self._engine.begin() as connection:
            for table in (documents, loose_points, cursors):
                connection.execute(delete(table).where(table.c.version == version))

    def _chunks(self, document: RowMapping) -> tuple[Chunk, ...]:
        columns = [chunks.c[name] for name in CHUNK_FIELDS]
        key = {name: document[name] for name in ("version", "source", "document_id")}
        query = select(*columns).filter_by(**key).order_by(chunks.c.ordinal)
        with self._engine.connect() as connection:
            rows = connection.execute(query).mappings().all()
        return tuple(chunk_of({**row}) for row in rows)
