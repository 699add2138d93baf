"""Which documents a source named and which it called gone, however many there are.

The ids are kept in a temporary database on disk, of which a few MiB are in memory.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import Self

from connectors.base import Change, Checkpoint, Complete, Delete, Failed, Upsert
from indexing.identity import printable

IDS_PER_STATEMENT = 500

_TABLE = "CREATE TABLE named (id TEXT PRIMARY KEY, gone INTEGER, fresh INTEGER) WITHOUT ROWID"
_NOTE = "INSERT INTO named VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET gone = excluded.gone"


@dataclass(frozen=True, slots=True)
class Deletion:
    """A document that is to be deleted."""

    document_id: str

    indexed: bool
    """Something of it is indexed."""

    lost: bool
    """It was indexed before the run, so that the guard counts it."""


class Presence:
    """Collects what a source says is there and what it says is gone; close it, or use a ``with``.

    It may be handed from one thread to another.
    """

    def __init__(self) -> None:
        # An empty name is a database of its own, in a file that goes with the connection.
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._database.execute("PRAGMA journal_mode = OFF")
        self._database.execute(_TABLE)
        self._complete = False

    def close(self) -> None:
        """Forget everything."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def was_named(self, document_id: str) -> bool:
        """Tell whether a document was named, as there or as gone."""
        query = "SELECT 1 FROM named WHERE id = ?"
        return self._database.execute(query, (printable(document_id),)).fetchone() is not None

    def note(self, change: Change, *, indexed: bool = True) -> None:
        """Take what a change says about which documents there are.

        Args:
            change: Of the source.
            indexed: Something of its document was indexed before the run.
        """
        match change:
            case Upsert(document_id) | Failed(document_id):
                self._note(document_id, gone=False, fresh=not indexed)
            case Delete(document_id):
                self._note(document_id, gone=True, fresh=False)
            case Complete():
                self._complete = True
            case Checkpoint():
                pass

    def deletes(self, known: Iterable[tuple[str, bool]]) -> Iterator[Deletion]:
        """Name what is to be deleted: what is gone, and after a complete listing what is missing.

        Args:
            known: Documents of the source in the catalog, each once, and whether anything of them
                is indexed.
        """
        rest = iter(known)
        while page := list(islice(rest, IDS_PER_STATEMENT)):
            named = self._named([document_id for document_id, _ in page])
            for document_id, indexed in page:
                gone, fresh = named.get(document_id, (self._complete, False))
                if gone and not fresh:
                    yield Deletion(document_id, indexed, lost=indexed)
        query = "SELECT id FROM named WHERE gone AND fresh ORDER BY id"
        with closing(self._database.execute(query)) as fresh_and_gone:
            for (document_id,) in fresh_and_gone:
                yield Deletion(document_id, indexed=True, lost=False)

    def _note(self, document_id: str, *, gone: bool, fresh: bool) -> None:
        self._database.execute(_NOTE, (printable(document_id), gone, fresh))

    def _named(self, document_ids: list[str]) -> dict[str, tuple[bool, bool]]:
        marks = ", ".join("?" * len(document_ids))
        query = f"SELECT id, gone, fresh FROM named WHERE id IN ({marks})"  # noqa: S608 - marks
        rows = self._database.execute(query, document_ids)
        return {found: (bool(gone), bool(fresh)) for found, gone, fresh in rows}
