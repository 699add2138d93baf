"""The writer's side of published copies: a store that leaves a copy of what it wrote."""

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from time import monotonic
from typing import Self

from encoder.base import FloatArray, SparseVector
from indexing.errors import (
    DiskFullError,
    IndexingError,
    IndexLockedError,
    InvalidPointError,
)
from indexing.files.disk import DiskGuard
from indexing.filters import Condition
from indexing.published.copies import PublishedCopies
from indexing.stores.base import CollectionSpec, Payload, Point, ScoredPoint
from indexing.stores.edge import EdgeStore

logger = logging.getLogger(__name__)

PUBLISH_EVERY_SECONDS = 60.0
"""While it is written to; but what publishing takes is at most a twentieth of the time."""


class PublishingStore:
    """A `VectorStore` for the one writer of a version, that publishes what it wrote.

    When it is closed, and now and then before, readers get a copy. A copy that can't be made, for
    want of disk space, is a warning: they keep the one they have until the next writer is done.
    """

    def __init__(self, store: EdgeStore, *, directory: Path, disk: DiskGuard | None) -> None:
        self._store = store
        self._copies = PublishedCopies(directory)
        self._disk = disk or DiskGuard(directory)
        self._pid = os.getpid()
        self._closed = False
        self._flushed = True
        self._failed = False
        self._changed = self._copies.is_behind()
        self._tried = monotonic()
        self._cost_seconds = 0.0

    @classmethod
    def create(
        cls, directory: Path, *, spec: CollectionSpec, disk: DiskGuard | None = None
    ) -> Self:
        """Make an empty collection as `EdgeStore.create` does; readers find it at once."""
        with ExitStack() as undo:
            made = undo.enter_context(EdgeStore.create(directory, spec=spec, disk=disk))
            store = cls(made, directory=directory, disk=disk)
            store._publish()
            undo.pop_all()
        return store

    @classmethod
    def open(cls, directory: Path, *, spec: CollectionSpec, disk: DiskGuard | None = None) -> Self:
        """Open a collection as `EdgeStore.open` does, after a reader that is making up a copy."""
        turn = PublishedCopies(directory).turn(wait=True) if directory.is_dir() else nullcontext()
        with turn:
            store = EdgeStore.open(directory, spec=spec, disk=disk)
        return cls(store, directory=directory, disk=disk)

    @property
    def spec(self) -> CollectionSpec:
        """What the collection holds."""
        return self._store.spec

    def upsert(self, points: Sequence[Point]) -> None:
        """Write points, replacing those with the same id; all are validated before any is."""
        with self._writing(may_publish=True) as store:
            store.upsert(points)

    def set_payload(self, payloads: Mapping[str, Payload]) -> None:
        """Replace whole payloads by point id, vectors untouched; absent ids are passed over."""
        with self._writing(may_publish=True) as store:
            store.set_payload(payloads)

    def delete(self, ids: Sequence[str]) -> None:
        """Remove points; an id that is not there is no error."""
        # Not before these are gone: they were replaced, and readers would find both states.
        with self._writing(may_publish=False) as store:
            store.delete(ids)

    def read(self, ids: Sequence[str]) -> list[Point]:
        """Read points as ``scan`` does, in any order; absent ids are passed over."""
        return self._store.read(ids)

    def existing(self, ids: Sequence[str]) -> set[str]:
        """Return those of ``ids`` that are there."""
        return self._store.existing(ids)

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
        return self._store.search_dense(
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
        return self._store.search_sparse(vector, limit=limit, where=where, fields=fields)

    def payloads(self, where: Condition, *, limit: int) -> dict[str, Payload]:
        """Read the payloads of at most `limit` points that match, by point id."""
        return self._store.payloads(where, limit=limit)

    def payloads_of(
        self, ids: Sequence[str], *, where: Condition | None = None
    ) -> dict[str, Payload]:
        """Read the payloads of those of `ids` that are there and match, by point id."""
        return self._store.payloads_of(ids, where=where)

    def count(self, where: Condition | None = None) -> int:
        """Count the points, exactly."""
        return self._store.count(where)

    def scan(self, *, batch_size: int = 256) -> Iterator[list[Point]]:
        """Read every point, vectors included, in order of id."""
        return self._store.scan(batch_size=batch_size)

    def flush(self) -> None:
        """Make everything written so far durable."""
        self._store.flush()
        self._flushed = True

    def optimize(self) -> None:
        """Build what makes searching fast; call after a bulk load."""
        with self._writing(may_publish=False) as store:
            store.optimize()
        self._flushed = True

    def close(self) -> None:
        """Flush, publish what has changed, and let the engine and the lock go."""
        if self._closed or self._pid != os.getpid():
            return
        self._closed = True
        try:
            if self._changed and not self._failed:
                self._publish()
        finally:
            self._store.close()

    @contextmanager
    def _writing(self, *, may_publish: bool) -> Iterator[EdgeStore]:
        """What is there before a write may be due for readers, and what it makes will be."""
        if may_publish and self._is_due():
            began = monotonic()
            with suppress(DiskFullError):  # there will be no room for a copy either
                self._store.optimize()
            self._publish(began=began)
        if not self._changed:
            self._copies.mark_behind()
            self._changed = True
        self._flushed = False
        try:
            yield self._store
        except InvalidPointError:
            raise  # before anything was written
        except IndexingError:
            self._failed = True
            raise

    def _is_due(self) -> bool:
        wait = max(PUBLISH_EVERY_SECONDS, 20 * self._cost_seconds)
        return self._changed and self._flushed and monotonic() - self._tried > wait

    def _publish(self, *, began: float | None = None) -> None:
        began = monotonic() if began is None else began
        try:
            self._copies.publish(self._store, disk=self._disk)
            self._changed = False
        except (IndexingError, OSError) as error:
            logger.warning("readers keep the state they have: %s", error)
        self._tried = monotonic()
        self._cost_seconds = self._tried - began


def catch_up(directory: Path, *, spec: CollectionSpec) -> None:
    """Publish what a writer that was killed left unpublished, unless another one is at work.

    Args:
        directory: The index version's.
        spec: What its collection holds.

    Raises:
        DiskFullError: There is no room for a copy.
        StoreError: The engine failed.
    """
    copies = PublishedCopies(directory)
    # With a copy at hand nobody waits for a better one.
    with copies.turn(wait=copies.newest() is None) as mine:
        if not mine or not copies.is_behind():
            return
        try:
            store = EdgeStore.open(directory, spec=spec)
        except IndexLockedError:
            return
        with store:
            copies.publish(store, disk=DiskGuard(directory))
