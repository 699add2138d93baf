"""Which chunk each point of an index version belongs to, as the catalog has it."""

from collections.abc import Iterator, Sequence

from sqlalchemy import Engine, and_, func, select

from indexing.catalog.rows import chunk_of, document_of
from indexing.catalog.tables import chunks, documents, loose_points
from indexing.chunks.chunking import Chunk
from indexing.records import IndexedDocument

POINTS_PER_PAGE = 500


class CatalogPoints:
    """The points that an index version must have; every method reads only.

    Args:
        engine: The catalog's.
        version: The version's name.
    """

    def __init__(self, engine: Engine, *, version: str) -> None:
        self._engine = engine
        self._version = version

    def count(self) -> int:
        """Count them."""
        query = select(func.count()).select_from(chunks).where(chunks.c.version == self._version)
        with self._engine.connect() as connection:
            return int(connection.execute(query).scalar_one())

    def owners(self, point_ids: Sequence[str]) -> dict[str, tuple[IndexedDocument, Chunk]]:
        """Find the chunk of each point that has one, and its document, which has only that chunk.

        Args:
            point_ids: At most a few hundred.
        """
        same = and_(*(chunks.c[k] == documents.c[k] for k in ("version", "source", "document_id")))
        query = select(chunks, documents).join(documents, same)
        query = query.where(chunks.c.version == self._version, chunks.c.point_id.in_(point_ids))
        found: dict[str, tuple[IndexedDocument, Chunk]] = {}
        with self._engine.connect() as connection:
            for row in connection.execute(query).mappings():
                chunk = chunk_of({c.name: row[c] for c in chunks.c})
                document = document_of({c.name: row[c] for c in documents.c}, (chunk,))
                found[row[chunks.c.point_id]] = document, chunk
        return found

    def pages(self) -> Iterator[list[str]]:
        """Name every point, by id, a page at a time."""
        last = ""
        while True:
            query = select(chunks.c.point_id).where(
                chunks.c.version == self._version, chunks.c.point_id > last
            )
            with self._engine.connect() as connection:
                page = query.order_by(chunks.c.point_id).limit(POINTS_PER_PAGE)
                ids = list(connection.execute(page).scalars())
            if ids:
                yield ids
                last = ids[-1]
            if len(ids) < POINTS_PER_PAGE:
                return

    def loose(self, point_ids: Sequence[str]) -> set[str]:
        """Return those of the points that an interrupted run left to be deleted."""
        row = loose_points.c
        query = select(row.point_id).where(
            row.version == self._version, row.point_id.in_(point_ids)
        )
        with self._engine.connect() as connection:
            return set(connection.execute(query).scalars())
