"""Open the catalog's database: made where there is none, brought up to date where it is older."""

import logging
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, create_engine, event, insert, inspect, select, text
from sqlalchemy.engine import Engine, ExceptionContext
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, NoSuchModuleError

from indexing.catalog.tables import SCHEMA_VERSION, metadata, schema
from indexing.errors import CatalogConflictError, CatalogError

BUSY_TIMEOUT_MS = 30_000

MIGRATIONS = Path(__file__).with_name("migrations")

_POSTGRESQL_LOCK = 0x6172676F74  # "argot"

logger = logging.getLogger(__name__)


def open_engine(url: str) -> Engine:
    """Open a catalog's database.

    One of an older schema is migrated, all at once or not at all; of one in a SQLite file a copy is
    kept beside it.

    Args:
        url: A database URL.

    Raises:
        CatalogError: It can't be opened, or a newer version of Argot wrote it.
    """
    engine = _engine(url)
    # Without its options: among them there may be a password too.
    shown_url = engine.url.set(query={}).render_as_string(hide_password=True)
    try:
        _make_folder(engine)
        with engine.connect() as connection:
            found = _schema_version(connection)
        if found != SCHEMA_VERSION:
            found = _bring_up_to_date(engine)
    except (DBAPIError, OSError, sqlite3.Error) as error:
        engine.dispose()
        cause = error.orig if isinstance(error, DBAPIError) else error
        raise CatalogError(f"the catalog {shown_url} can't be opened: {cause}") from error
    if found != SCHEMA_VERSION:
        engine.dispose()
        raise CatalogError(
            f"the catalog {shown_url} must have schema version {SCHEMA_VERSION}; got {found}\n"
            "hint: use the version of Argot that wrote it, or move the catalog away and ingest "
            "again into a new index"
        )
    event.listen(engine, "handle_error", _raise_ours)
    return engine


def _schema_version(connection: Connection) -> int | None:
    """Read the schema's version; 0: there are no tables."""
    if not inspect(connection).has_table(schema.name):
        return 0
    return connection.execute(select(schema.c.version)).scalar()


def _bring_up_to_date(engine: Engine) -> int | None:
    """Make the tables, or migrate those of an older version; return the version there is then."""
    with engine.begin() as connection:
        _lock(connection)
        found = _schema_version(connection)  # another process may have been faster
        if found == 0:
            metadata.create_all(connection)
            connection.execute(insert(schema).values(version=SCHEMA_VERSION))
        elif found is not None and found < SCHEMA_VERSION:
            copy = _back_up(connection, found)
            _migrate(connection, found)
            logger.warning(
                "the catalog was migrated from schema version %d to %d%s",
                found,
                SCHEMA_VERSION,
                f"; {copy} is the old one" if copy else "",
            )
        return _schema_version(connection)


def _migrate(connection: Connection, found: int) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    # A catalog that was made at its version, and never migrated, has no mark of alembic's.
    command.stamp(config, f"{found:04d}")
    command.upgrade(config, "head")


def _lock(connection: Connection) -> None:
    """Let one process at a time change the schema."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    elif connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _POSTGRESQL_LOCK})


def _back_up(connection: Connection, found: int) -> Path | None:
    """Copy a database that is a SQLite file; nobody else can write it meanwhile."""
    database = connection.engine.url.database
    if connection.dialect.name != "sqlite" or database in (None, "", ":memory:"):
        return None
    copy = Path(f"{database}.schema-{found}")
    # Through a connection of its own: SQLite does not copy from one that is about to write.
    with (
        closing(sqlite3.connect(str(database))) as source,
        closing(sqlite3.connect(copy)) as target,
    ):
        source.backup(target)
    return copy


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
        conflict = isinstance(context.sqlalchemy_exception, IntegrityError)
        raise (CatalogConflictError if conflict else CatalogError)(
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
