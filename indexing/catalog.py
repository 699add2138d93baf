"""The catalog: what every index version holds, what failed, and where each source was left.

SQLite in the project by default, any other database by URL. A query never opens it.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from sqlalchemy import (
    Connection,
    create_engine,
    delete,
    event,
    func,
    insert,
    inspect,
    select,
    update,
)
from sqlalchemy.engine import Engine, ExceptionContext, RowMapping
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from connectors.document import Document
from indexing.catalog_source import SourceRecords, utc_now
from indexing.catalog_tables import (
    CHUNK_FIELDS,
    SCHEMA_VERSION,
    chunks,
    cursors,
    documents,
    loose_points,
    metadata,
    runs,
    schema,
)
from indexing.chunking import Chunk
from indexing.errors import CatalogError
from indexing.records import FailedDocument, IndexedDocument, Run, SourceSummary

BUSY_TIMEOUT_MS = 30_000


class Catalog:
    """An open catalog, made where there is none. Close it, or use it in a ``with``.

    Args:
        url: A database URL, such as ``sqlite:///.argot/catalog.sqlite``.

    Raises:
        CatalogError: It can't be opened, or another version of Argot wrote it.
    """

    def __init__(self, url: str) -> None:
        self._engine = _engine(url)
        # Without its options: among them there may be a password too.
        shown_url = self._engine.url.set(query={}).render_as_string(hide_password=True)
        try:
            _make_folder(self._engine)
            with self._engine.begin() as connection:
                found = _schema_version(connection)
        except (DBAPIError, OSError) as error:
            self.close()
            cause = error.orig if isinstance(error, DBAPIError) else error
            raise CatalogError(f"the catalog {shown_url} can't be opened: {cause}") from error
        if found != SCHEMA_VERSION:
            self.close()
            raise CatalogError(
                f"the catalog {shown_url} must have schema version {SCHEMA_VERSION}; got {found}\n"
                "hint: use the version of Argot that wrote it, or move the catalog away and ingest "
                "again into a new index"
            )
        event.listen(self._engine, "handle_error", _raise_ours)

    def close(self) -> None:
        """Let the database go; closing twice is fine."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def source(self, name: str, *, version: str) -> SourceRecords:
        """Return the records of one source in one index version."""
        return SourceRecords(self._engine, version=version, source=name)

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

    def last_runs(self, *, version: str, limit: int = 1) -> list[Run]:
        """Return the latest syncs into a version, the latest first."""
        columns = (runs.c[name] for name in Run.__dataclass_fields__)
        query = select(*columns).where(runs.c.version == version)
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
                yield _indexed_document(found, self._chunks(found))

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
        return tuple(Chunk(**{**row, "heading_path": tuple(row["heading_path"])}) for row in rows)


def _schema_version(connection: Connection) -> int | None:
    """Read the schema's version, making the tables where there are none."""
    if not inspect(connection).has_table(schema.name):
        metadata.create_all(connection)
        connection.execute(insert(schema).values(version=SCHEMA_VERSION))
    return connection.execute(select(schema.c.version)).scalar()


def _engine(url: str) -> Engine:
    try:
        engine = create_engine(url)
    except (ArgumentError, NoSuchModuleError, ImportError, ValueError) as error:
        # The rest may hold a password; so may the message about a port that is no number.
        scheme = url.partition("://")[0] if "://" in url else "no scheme"
        cause = type(error).__name__ if isinstance(error, ValueError) else error
        raise CatalogError(
            "the catalog's URL must be one that SQLAlchemy knows, its driver installed, such as "
            f"sqlite:////var/lib/argot/catalog.sqlite; got one with {scheme!r:.40}: {cause}"
        ) from (None if isinstance(error, ValueError) else error)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
    return engine


def _raise_ours(context: ExceptionContext) -> None:
    """Turn an error of the database into ours, which repeats no parameters: they hold texts."""
    if context.sqlalchemy_exception is not None:
        raise CatalogError(
            f"the catalog can't be read or written: {context.original_exception}\n"
            "hint: what is committed stays; run again when the database has room and answers"
        ) from context.original_exception


def _make_folder(engine: Engine) -> None:
    database = engine.url.database
    if engine.dialect.name == "sqlite" and database not in (None, "", ":memory:"):
        Path(str(database)).parent.mkdir(parents=True, exist_ok=True)


def _prepare_sqlite(connection: Any, _: object) -> None:  # noqa: ANN401
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _indexed_document(row: RowMapping, found: tuple[Chunk, ...]) -> IndexedDocument:
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
        chunks=found,
    )
