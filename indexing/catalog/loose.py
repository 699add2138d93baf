"""Points that may be in the store without a chunk: about to be written, or about to be deleted."""

from collections.abc import Iterator, Sequence

from sqlalchemy import Connection, and_, delete, exists, insert, select
from sqlalchemy.sql.elements import ColumnElement

from indexing.catalog.tables import chunks, loose_points

IDS_PER_STATEMENT = 500


class LoosePoints:
    """The loose points of one source in one index version, within the caller's transactions.

    Args:
        version: Name of the index version.
        source: Its name; empty for those of all sources.
    """

    def __init__(self, *, version: str, source: str) -> None:
        self._version = version
        self._source = source

    def add(self, connection: Connection, point_ids: Sequence[str]) -> None:
        """Note points; one that is noted already is fine."""
        self.drop(connection, point_ids)
        if point_ids:
            key = {"version": self._version, "source": self._source}
            rows = [{**key, "point_id": point} for point in point_ids]
            connection.execute(insert(loose_points), rows)

    def drop(self, connection: Connection, point_ids: Sequence[str]) -> None:
        """Forget points: they belong to a chunk now."""
        for ids in slices(point_ids):
            mine = (self._own(), loose_points.c.point_id.in_(ids))
            connection.execute(delete(loose_points).where(*mine))

    def find(self, connection: Connection) -> list[str]:
        """Return the points that are to be deleted from the store."""
        owned = exists().where(
            chunks.c.version == loose_points.c.version,
            chunks.c.point_id == loose_points.c.point_id,
        )
        query = select(loose_points.c.point_id).where(self._own(), ~owned)
        return list(connection.execute(query).scalars())

    def forget(self, connection: Connection) -> None:
        """Forget all."""
        connection.execute(delete(loose_points).where(self._own()))

    def _own(self) -> ColumnElement[bool]:
        of_version = loose_points.c.version == self._version
        # Without a source: left by a version of Argot that did not note it.
        sources = ("", self._source)
        return and_(of_version, loose_points.c.source.in_(sources)) if self._source else of_version


def slices(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    """SQLite takes a limited number of values in one statement."""
    for start in range(0, len(ids), IDS_PER_STATEMENT):
        yield ids[start : start + IDS_PER_STATEMENT]
