"""All rows of one index version: copied under another name, read out, written back."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Table, delete, insert, literal, select
from sqlalchemy.engine import Engine

from indexing.catalog.tables import chunks, cursors, documents, loose_points
from indexing.errors import CatalogError

TABLES: dict[str, Table] = {
    table.name: table for table in (documents, chunks, loose_points, cursors)
}
"""Each before those that refer to it. Leases end by themselves, and history stays where it is."""

ROWS_PER_INSERT = 500

Row = tuple[str, Mapping[str, Any]]
"""A table's name, and values by column, without the version's name; plain JSON."""


class VersionRows:
    """What a catalog knows of one index version."""

    def __init__(self, engine: Engine, *, version: str) -> None:
        self._engine = engine
        self._version = version

    def copy_from(self, other: str) -> None:
        """Know of this version what is known of another, and nothing else."""
        with self._engine.begin() as connection:
            self._clear(connection)
            for table in TABLES.values():
                names = _columns(table)
                rows = select(literal(self._version), *(table.c[name] for name in names))
                source = rows.where(table.c.version == other)
                connection.execute(insert(table).from_select(["version", *names], source))

    def read(self) -> Iterator[Row]:
        """Read every row, streamed; those of a table follow each other."""
        with self._engine.connect() as connection:
            for name, table in TABLES.items():
                query = select(table).where(table.c.version == self._version)
                ordered = query.order_by(*table.primary_key.columns)
                rows = connection.execution_options(yield_per=ROWS_PER_INSERT).execute(ordered)
                for row in rows.mappings():
                    yield name, {column: row[column] for column in _columns(table)}

    def write(self, rows: Iterable[Row]) -> None:
        """Know of this version what rows say, and nothing else; all of it or nothing.

        Args:
            rows: As `read` gave them.

        Raises:
            CatalogError: a row is of another version of Argot.
        """
        with self._engine.begin() as connection:
            self._clear(connection)
            waiting = iter(rows)
            while part := list(islice(waiting, ROWS_PER_INSERT)):
                for name, values in _by_table(part):
                    full = [{"version": self._version, **row} for row in values]
                    connection.execute(insert(TABLES[name]), full)

    def _clear(self, connection: Connection) -> None:
        for table in reversed(TABLES.values()):
            connection.execute(delete(table).where(table.c.version == self._version))


def _by_table(rows: list[Row]) -> Iterator[tuple[str, list[Mapping[str, Any]]]]:
    """Group rows that follow each other and are of one table, checking them."""
    group: list[Mapping[str, Any]] = []
    current = ""
    for name, row in rows:
        if name not in TABLES or set(row) != set(_columns(TABLES[name])):
            raise CatalogError(
                f"rows must be of this version of Argot; got one of {name!r} with {sorted(row)}\n"
                "hint: use the version of Argot that wrote them"
            )
        if group and name != current:
            yield current, group
            group = []
        current = name
        group.append(row)
    if group:
        yield current, group


def _columns(table: Table) -> list[str]:
    return [column.name for column in table.columns if column.name != "version"]
