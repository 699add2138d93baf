"""Two index versions in one catalog: what one holds that the other lacks or holds otherwise."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    Engine,
    Insert,
    Select,
    Update,
    and_,
    delete,
    func,
    insert,
    literal,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.sql.base import ReadOnlyColumnCollection
from sqlalchemy.sql.elements import ColumnElement

from indexing.catalog.tables import chunks, cursors, documents

Key = tuple[str, str]
"""Source and document id."""

Columns = ReadOnlyColumnCollection[str, Any]

KEYS_PER_PAGE = 500

_HASHES = ("content_hash", "metadata_hash", "access_hash", "protected")
"""A document is the same in both versions where these are. Its chunks need not be: versions may
cut differently, and each may cover the same text in its own way."""

_MARKS = ("revision", "failure", "failed_revision", "attempts")
"""What is noted about a document beside what is indexed of it."""


@dataclass(frozen=True, slots=True)
class Pending:
    """What is to be done to bring one version in step with another."""

    documents: int
    """To be written."""

    chunks: int
    """Of those documents."""

    gone: int
    """Documents to be removed."""

    @property
    def nothing(self) -> bool:
        """Whether the versions hold the same documents."""
        return not (self.documents or self.gone)


class VersionComparison:
    """Compares what two versions hold; every method is one short transaction.

    Args:
        engine: The catalog's.
        source: Name of the version that is right.
        target: Name of the version that is brought in step.
    """

    def __init__(self, engine: Engine, *, source: str, target: str) -> None:
        self._engine = engine
        self._source = source
        self._target = target
        self._right = documents.alias("right_documents")
        self._other = documents.alias("other_documents")

    def pending(self) -> Pending:
        """Count what is to be done."""
        differing = self._differing().subquery()
        of_chunks = (
            select(func.count())
            .select_from(chunks)
            .join(
                differing,
                and_(
                    chunks.c.version == self._source,
                    chunks.c.source == differing.c.source,
                    chunks.c.document_id == differing.c.document_id,
                ),
            )
        )
        with self._engine.connect() as connection:
            counts = [
                connection.execute(query).scalar_one()
                for query in (
                    select(func.count()).select_from(differing),
                    of_chunks,
                    select(func.count()).select_from(self._gone().subquery()),
                )
            ]
        return Pending(*counts)

    def differing(self) -> Iterator[Key]:
        """Name the documents that the target lacks or has otherwise, by source and id."""
        row = self._right.c
        query = self._differing().order_by(row.source, row.document_id).limit(KEYS_PER_PAGE)
        last: Key | None = None
        while True:
            page = query
            if last is not None:
                page = query.where(tuple_(row.source, row.document_id) > tuple_(*last))
            # No transaction stays open while the caller encodes: others write meanwhile.
            with self._engine.connect() as connection:
                keys = [(found[0], found[1]) for found in connection.execute(page)]
            yield from keys
            if len(keys) < KEYS_PER_PAGE:
                return
            last = keys[-1]

    def gone(self) -> dict[str, list[str]]:
        """Name the documents that only the target has, by source."""
        found: dict[str, list[str]] = {}
        with self._engine.connect() as connection:
            for source, document_id in connection.execute(self._gone()):
                found.setdefault(source, []).append(document_id)
        return found

    def copy_standing(self) -> None:
        """Give the target the revisions, failures and cursors, all at one moment.

        Call it when the documents are in step: a cursor says what need not be listed again.
        """
        target = documents.c
        with self._engine.begin() as connection:
            connection.execute(self._copy_marks())
            unknown = ~self._right_row(target).exists()
            connection.execute(
                delete(documents).where(
                    target.version == self._target, target.content_hash.is_(None), unknown
                )
            )
            connection.execute(self._copy_failed())
            connection.execute(delete(cursors).where(cursors.c.version == self._target))
            left = select(literal(self._target), cursors.c.source, cursors.c.cursor)
            left = left.where(cursors.c.version == self._source)
            connection.execute(insert(cursors).from_select(["version", "source", "cursor"], left))

    def _copy_marks(self) -> Update:
        """Copy what is noted about documents that are the same in both."""
        target, right = documents.c, self._right.c
        same = self._right_row(target).where(*_equal(target, right, _HASHES))
        changed = or_(*(right[name].is_distinct_from(target[name]) for name in _MARKS))
        return (
            update(documents)
            .where(target.version == self._target, same.where(changed).exists())
            .values({name: _scalar(same, right[name]) for name in _MARKS})
        )

    def _copy_failed(self) -> Insert:
        """Copy the rows of documents of which nothing is indexed and the target knows nothing."""
        right, names = self._right.c, [column.name for column in documents.c]
        values = [literal(self._target) if n == "version" else right[n] for n in names]
        failed = select(*values).where(
            right.version == self._source,
            right.content_hash.is_(None),
            ~self._other_row(right).exists(),
        )
        return insert(documents).from_select(names, failed)

    def _differing(self) -> Select[Any]:
        right = self._right.c
        same = self._other_row(right).where(*_equal(self._other.c, right, _HASHES))
        return select(right.source, right.document_id).where(
            right.version == self._source, right.content_hash.is_not(None), ~same.exists()
        )

    def _gone(self) -> Select[Any]:
        other = self._other.c
        indexed = self._right_row(other).where(self._right.c.content_hash.is_not(None))
        return select(other.source, other.document_id).where(
            other.version == self._target, other.content_hash.is_not(None), ~indexed.exists()
        )

    def _right_row(self, row: Columns) -> Select[Any]:
        """The row of the same document in the version that is right."""
        right = self._right.c
        return select(right.version).where(
            right.version == self._source, *_equal(right, row, ("source", "document_id"))
        )

    def _other_row(self, row: Columns) -> Select[Any]:
        """The row of the same document in the target."""
        other = self._other.c
        return select(other.version).where(
            other.version == self._target, *_equal(other, row, ("source", "document_id"))
        )


def _equal(one: Columns, two: Columns, names: Sequence[str]) -> list[ColumnElement[bool]]:
    return [one[name].is_not_distinct_from(two[name]) for name in names]


def _scalar(row: Select[Any], column: ColumnElement[Any]) -> ColumnElement[Any]:
    return row.with_only_columns(column).scalar_subquery()
