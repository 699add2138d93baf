"""The reader's side of published copies: an index that answers whatever a writer does."""

import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Self

from encoder.base import FloatArray, SparseVector
from indexing.errors import DiskFullError, IndexingError, NoIndexError, StoreError
from indexing.files.disk import DiskGuard
from indexing.filters import Condition
from indexing.published.copies import PublishedCopies
from indexing.published.writer import catch_up
from indexing.stores.base import CollectionSpec, Payload, Point, ScoredPoint
from indexing.stores.edge import EdgeStore
from indexing.stores.edge_copies import open_copy
from indexing.stores.server_settings import ServerSettings
from indexing.versions.collection import OpenIndex, open_index, projection_of, spec_of
from indexing.versions.copy_failures import CopyFailures
from indexing.versions.description import live_version, read_version
from indexing.versions.placement import EMBEDDED

logger = logging.getLogger(__name__)


class PublishedStore:
    """A `VectorStore` that reads the newest published copy, and writes nothing.

    It stays with its copy until `follow`. A forked child opens a copy of its own.

    Args:
        copies: Of the index version.
        spec: What its collection holds.
        clock: Seconds that never go back.
    """

    def __init__(
        self,
        copies: PublishedCopies,
        *,
        spec: CollectionSpec,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._copies = copies
        self._spec = spec
        self._closed = False
        self._failures = CopyFailures(clock)
        self._number, self._store = self._open_newest()
        self._pid = os.getpid()

    @classmethod
    def open(
        cls, directory: Path, *, spec: CollectionSpec, clock: Callable[[], float] = monotonic
    ) -> Self:
        """Open the newest copy, made now if a writer was killed before it made one.

        Args:
            directory: The index version's.
            spec: What its collection holds.
            clock: Seconds that never go back.

        Returns:
            The store.

        Raises:
            NoIndexError: There is no copy, and a writer is at work that will make one.
            DiskFullError: There is no copy, and no room for one.
            StoreError: The engine failed.
        """
        if not (directory / "shard" / "edge_config.json").is_file():
            raise NoIndexError(f"there must be a collection in {directory / 'shard'}; found none")
        copies = PublishedCopies(directory)
        if copies.newest() is None:
            catch_up(directory, spec=spec)
        elif copies.is_behind():
            with _going_on(directory.name):
                catch_up(directory, spec=spec)
        try:
            return cls(copies, spec=spec, clock=clock)
        except StoreError as error:
            logger.warning("a published copy is made again: %s", error)
        copies.mark_behind()
        catch_up(directory, spec=spec)
        return cls(copies, spec=spec, clock=clock)

    @property
    def spec(self) -> CollectionSpec:
        """What the collection holds."""
        return self._spec

    @property
    def copy_number(self) -> int:
        """Which copy is read; higher ones are newer."""
        return self._number

    def is_behind(self) -> bool:
        """Tell whether there is a newer copy. Looking takes some 20 microseconds."""
        return self._copies.newest() not in (None, self._number)

    def follow(self) -> bool:
        """Move to the newest copy.

        Opening a large copy takes most of a second. While one can't be opened the present one goes
        on, but not for long: what it shows may have been taken from who asks. It is tried again.

        Returns:
            Whether it moved.

        Raises:
            StoreError: the newest copy could not be opened for a minute.
        """
        newest = self._copies.newest()
        if newest is None or newest == self._number or self._closed:
            return False
        if self._failures.is_due(newest):
            try:
                self._replace()
            except (IndexingError, OSError) as error:
                self._failures.note(newest, error)
                logger.warning(
                    "copy %s can't be opened, so %d goes on: %s", newest, self._number, error
                )
            else:
                self._failures.forget()
                return True
        self._failures.check_recent(self._copies.directory.name)
        return False

    def read(self, ids: Sequence[str]) -> list[Point]:
        """Read points as ``scan`` does, in any order; absent ids are passed over."""
        return self._reading().read(ids)

    def existing(self, ids: Sequence[str]) -> set[str]:
        """Return those of ``ids`` that are there."""
        return self._reading().existing(ids)

    def search_dense(
        self,
        vector: FloatArray,
        *,
        limit: int,
        where: Condition | None = None,
        rescore: bool = True,
        fields: Sequence[str] | None = None,
    ) -> list[ScoredPoint]:
        """Find the nearest points by cosine, best first, ties by id."""
        return self._reading().search_dense(
            vector, limit=limit, where=where, rescore=rescore, fields=fields
        )

    def search_sparse(
        self,
        vector: SparseVector,
        *,
        limit: int,
        where: Condition | None = None,
        fields: Sequence[str] | None = None,
    ) -> list[ScoredPoint]:
        """Find the points with the highest IDF-weighted dot product, best first, ties by id."""
        return self._reading().search_sparse(vector, limit=limit, where=where, fields=fields)

    def payloads(self, where: Condition, *, limit: int) -> dict[str, Payload]:
        """Read the payloads of at most `limit` points that match, by point id."""
        return self._reading().payloads(where, limit=limit)

    def payloads_of(
        self, ids: Sequence[str], *, where: Condition | None = None
    ) -> dict[str, Payload]:
        """Read the payloads of those of `ids` that are there and match, by point id."""
        return self._reading().payloads_of(ids, where=where)

    def count(self, where: Condition | None = None) -> int:
        """Count the points, exactly; once for each copy, which never changes."""
        store = self._reading()
        if where not in self._counts:
            self._counts[where] = store.count(where)
        return self._counts[where]

    def scan(self, *, batch_size: int = 256) -> Iterator[list[Point]]:
        """Read every point, vectors included, in order of id."""
        return self._reading().scan(batch_size=batch_size)

    def upsert(self, points: Sequence[Point]) -> None:
        """Refuse: a copy is only read."""
        raise self._read_only(f"write {len(points)} points")

    def set_payload(self, payloads: Mapping[str, Payload]) -> None:
        """Refuse: a copy is only read."""
        raise self._read_only(f"write {len(payloads)} payloads")

    def delete(self, ids: Sequence[str]) -> None:
        """Refuse: a copy is only read."""
        raise self._read_only(f"delete {len(ids)} points")

    def flush(self) -> None:
        """Do nothing: nothing is written."""

    def optimize(self) -> None:
        """Refuse: a copy is only read."""
        raise self._read_only("optimize")

    def close(self) -> None:
        """Let the copy go; it is removed if it is old and nobody else reads it."""
        if self._closed:
            return
        self._closed = True
        self._store.close()
        self._copies.remove_unread()

    def _reading(self) -> EdgeStore:
        if self._pid != os.getpid() and not self._closed:
            # The parent's shard has no threads here, and its lease is the parent's.
            self._number, self._store = self._open_newest()
            self._pid = os.getpid()
        return self._store

    def _replace(self) -> None:
        old = self._store
        self._number, self._store = self._open_newest()
        self._pid = os.getpid()
        old.close()
        self._copies.remove_unread()

    def _open_newest(self) -> tuple[int, EdgeStore]:
        taken = self._copies.take_newest()
        name = self._copies.directory.name
        if taken is None:
            raise NoIndexError(
                f"nothing of index {name} is published yet\n"
                "hint: a writer is at it; try again in a minute"
            )
        number, lease = taken
        self._counts: dict[Condition | None, int] = {}
        folder = self._copies.folder_of(number)
        try:
            shard = open_copy(folder / "shard", spec=self._spec)
            disk = DiskGuard(folder)
            return number, EdgeStore(
                shard, directory=folder, spec=self._spec, lock=lease, disk=disk
            )
        except BaseException:
            lease.release()
            raise

    def _read_only(self, action: str) -> StoreError:
        return StoreError(
            f"cannot {action}: index {self._copies.directory.name} is open for reading\n"
            "hint: open it with `open_index` to write"
        )


@contextmanager
def _going_on(name: str) -> Iterator[None]:
    """Keep reading the copy at hand where a newer one can't be had."""
    try:
        yield
    except (IndexingError, OSError) as error:
        logger.warning("index %s is searched as it was: %s", name, error)


def open_published(
    indexes: Path, *, version: str | None = None, server: ServerSettings = EMBEDDED
) -> OpenIndex:
    """Open a version for reading, beside other readers and a writer.

    Args:
        indexes: The folder of all versions.
        version: Its name; None: the live one.
        server: Where versions are that are not embedded.

    Returns:
        The version: of an embedded one its newest copy. Where there is none and the disk is too
        full to make one, the index itself, for this process alone.

    Raises:
        NoIndexError: No version is live, or none has this name.
        IndexingError: Its description or its projection is damaged. Also what opening the store
            raises: IndexLockedError, DiskFullError, StoreError.
    """
    while True:
        name = version or live_version(indexes)
        described = None if name is None else read_version(indexes, name)
        if described is None or described.collection:
            return open_index(indexes, version=version, server=server)
        projection = projection_of(indexes, described)
        try:
            store = PublishedStore.open(indexes / described.name, spec=spec_of(described))
        except DiskFullError as error:
            logger.warning("%s", error)
            return open_index(indexes, version=described.name)
        # One that is live after the lease was taken is not removed while it is read.
        if version is not None or live_version(indexes) == described.name:
            return OpenIndex(described, store, projection)
        store.close()
