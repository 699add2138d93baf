"""Qdrant Edge: the engine inside this process, no server.

One directory is one collection: ``directory/shard`` belongs to the engine, and ``directory.lock``
beside it is our lock, taken before anything is opened. What the engine does not do itself is done
here: it accepts bad points, fills the disk until it dies, and hangs in a forked child.
"""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import qdrant_edge as engine

from encoder.base import FloatArray, SparseVector
from indexing.errors import InvalidPointError, NoIndexError, StoreError
from indexing.files.disk import DiskGuard, allocated_bytes
from indexing.files.lock import HeldLock, hold_lock
from indexing.filters import Condition
from indexing.stores.base import CollectionSpec, Payload, Point, ScoredPoint
from indexing.stores.edge_forms import (
    edge_config,
    edge_dense_query,
    edge_filter,
    edge_ids_filter,
    edge_point,
    edge_sparse_query,
    engine_errors,
    index_payload,
    read_point,
)
from indexing.stores.edge_shard import OpenShard
from indexing.stores.validation import (
    check_dense,
    check_ids,
    check_limit,
    check_payloads,
    check_points,
    check_sparse,
)

BATCH_SIZE = 512


class EdgeStore:
    """A ``VectorStore`` in a directory; open to one process, and in it to one object, at a time."""

    def __init__(
        self,
        shard: engine.EdgeShard,
        *,
        directory: Path,
        spec: CollectionSpec,
        lock: HeldLock,
        disk: DiskGuard,
    ) -> None:
        self._open = OpenShard(shard, directory=directory, lock=lock)
        self._directory = directory
        self._spec = spec
        self._disk = disk

    @classmethod
    def create(
        cls, directory: Path, *, spec: CollectionSpec, disk: DiskGuard | None = None
    ) -> Self:
        """Make an empty collection in a directory that holds none.

        ``disk`` guards the disk: by default that of ``directory``, with the usual reserve. After an
        error, `IndexLockedError` and `DiskFullError` too, nothing is left open.

        Raises:
            StoreError: the directory is in use, or the engine failed.
        """
        with ExitStack() as undo:
            directory, lock = _take(directory, undo)
            shard_folder = directory / "shard"
            if shard_folder.exists():
                raise StoreError(f"a new collection needs an unused folder; got {shard_folder}")
            shard_folder.mkdir(parents=True)
            disk = disk or DiskGuard(directory)
            disk.require(0, purpose="create a collection")
            with engine_errors("create the collection", directory):
                shard = engine.EdgeShard.create(str(shard_folder), edge_config(spec))
                index_payload(shard, spec)
                shard.flush()
            undo.pop_all()
        return cls(shard, directory=directory, spec=spec, lock=lock, disk=disk)

    @classmethod
    def open(cls, directory: Path, *, spec: CollectionSpec, disk: DiskGuard | None = None) -> Self:
        """Open the collection of a directory, or nothing; what was not flushed is replayed.

        Raises:
            NoIndexError: the directory holds no collection.
        """
        shard_folder = directory / "shard"
        # The engine makes an empty collection of any folder it is told to load.
        if not (shard_folder / "edge_config.json").is_file():
            raise NoIndexError(f"there must be a collection in {shard_folder}; found none")
        with ExitStack() as undo:
            directory, lock = _take(directory, undo)
            disk = disk or DiskGuard(directory)
            disk.require_margin(purpose="open the collection")
            # What an optimize() that was killed left behind; the engine itself never removes it.
            shutil.rmtree(shard_folder / "temp_segments", ignore_errors=True)
            with engine_errors("open the collection", directory):
                shard = engine.EdgeShard.load(str(directory / "shard"), edge_config(spec))
            undo.pop_all()
        return cls(shard, directory=directory, spec=spec, lock=lock, disk=disk)

    @property
    def spec(self) -> CollectionSpec:
        """What the collection holds."""
        return self._spec

    def upsert(self, points: Sequence[Point]) -> None:
        """Write points, replacing those with the same id; all are validated before any is written.

        An error of the engine while writing ends the writing: open the collection again.
        """
        size = check_points(points, dimensions=self._spec.dimensions)
        for start in range(0, len(points), BATCH_SIZE):
            batch = points[start : start + BATCH_SIZE]
            share = size * len(batch) // len(points)
            # Once into the log and once into the segment, with the slack of both.
            self._disk.require(4 * share, purpose=f"write {len(batch)} points")
            translated = [edge_point(point, self._spec) for point in batch]
            with self._open.writing("write points") as shard:
                shard.update(engine.UpdateOperation.upsert_points(translated))

    def set_payload(self, payloads: Mapping[str, Payload]) -> None:
        """Replace whole payloads by point id, vectors untouched; absent ids are passed over."""
        size = check_payloads(payloads)
        self._disk.require(4 * size, purpose=f"write {len(payloads)} payloads")
        # The engine takes an absent id for an error, and keeps the failed update in its log.
        for point_id in sorted(self.existing(list(payloads))):
            payload = dict(payloads[point_id])
            with self._open.writing("write payloads") as shard:
                shard.update(engine.UpdateOperation.overwrite_payload([point_id], payload))

    def delete(self, ids: Sequence[str]) -> None:
        """Remove points; an id that is not there is no error."""
        check_ids(ids)
        if not ids:
            return
        self._disk.require_margin(purpose=f"delete {len(ids)} points")
        with self._open.writing("delete points") as shard:
            shard.update(engine.UpdateOperation.delete_points(list(ids)))

    def existing(self, ids: Sequence[str]) -> set[str]:
        """Return those of ``ids`` that are there."""
        check_ids(ids)
        with self._open.calling("read points") as shard:
            # All three arguments: without the last two the engine fetches payloads.
            return {str(record.id) for record in shard.retrieve(list(ids), False, False)}

    def read(self, ids: Sequence[str]) -> list[Point]:
        """Read points as ``scan`` does, in any order; absent ids are passed over."""
        check_ids(ids)
        with self._open.calling("read points") as shard:
            return [read_point(record) for record in shard.retrieve(list(ids), True, True)]

    def search_dense(
        self,
        vector: FloatArray,
        *,
        limit: int,
        where: Condition | None = None,
        rescore: bool = True,
        fields: Sequence[str] | None = None,
    ) -> list[ScoredPoint]:
        """Find the nearest points by cosine, best first, ties by id.

        Exact among few or newly written points, else through the graph or among candidates; with
        `rescore` off, by the codes or small vectors alone.

        Raises:
            InvalidPointError: the collection has no dense vectors, or of another width.
        """
        if self._spec.dimensions is None:
            raise InvalidPointError("the collection has no dense vectors to search")
        check_dense(vector, dimensions=self._spec.dimensions)
        check_limit(limit)
        request = edge_dense_query(
            vector, self._spec, limit=limit, where=where, rescore=rescore, fields=fields
        )
        return self._search(request)

    def search_sparse(
        self,
        vector: SparseVector,
        *,
        limit: int,
        where: Condition | None = None,
        fields: Sequence[str] | None = None,
    ) -> list[ScoredPoint]:
        """Find the points with the highest IDF-weighted dot product, best first, ties by id."""
        check_sparse(vector)
        check_limit(limit)
        return self._search(edge_sparse_query(vector, limit=limit, where=where, fields=fields))

    def payloads(self, where: Condition, *, limit: int) -> dict[str, Payload]:
        """Read the payloads of at most `limit` points that match, by point id, in order of id."""
        check_limit(limit)
        return self._payloads(edge_filter(where), limit=limit)

    def payloads_of(
        self, ids: Sequence[str], *, where: Condition | None = None
    ) -> dict[str, Payload]:
        """Read the payloads of those of `ids` that are there and match, by point id."""
        check_ids(ids)
        return self._payloads(edge_ids_filter(ids, where=where), limit=len(ids)) if ids else {}

    def count(self, where: Condition | None = None) -> int:
        """Count the points, exactly."""
        request = engine.CountRequest(exact=True, filter=edge_filter(where))
        with self._open.calling("count") as shard:
            return shard.count(request)

    def scan(self, *, batch_size: int = 256) -> Iterator[list[Point]]:
        """Read every point, vectors included (dense ones at unit norm), in order of id."""
        check_limit(batch_size)
        offset: Any = None
        while True:
            request = engine.ScrollRequest(
                offset=offset, limit=batch_size, with_payload=True, with_vector=True
            )
            with self._open.calling("scan") as shard:
                records, offset = shard.scroll(request)
            if records:
                yield [read_point(record) for record in records]
            if offset is None:
                return

    def flush(self) -> None:
        """Make everything written so far durable, against a loss of power too."""
        self._disk.require_margin(purpose="flush")
        self._open.flush()

    def optimize(self) -> None:
        """Merge segments and build the graph; call after a bulk load. Blocks every thread."""
        # New segments are written in full before the old ones go.
        size = allocated_bytes(self._directory / "shard")
        self._disk.require(2 * size, purpose="optimize the collection")
        with self._open.writing("optimize") as shard:
            shard.optimize()
        self.flush()

    def close(self) -> None:
        """Flush and let the engine and the lock go."""
        if not self._open.is_usable:
            return
        try:
            if self._open.needs_flush:
                self.flush()
        finally:
            self._open.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _payloads(self, only: engine.Filter | None, *, limit: int) -> dict[str, Payload]:
        request = engine.ScrollRequest(limit=limit, filter=only, with_payload=True)
        with self._open.calling("read payloads") as shard:
            return {str(found.id): found.payload or {} for found in shard.scroll(request)[0]}

    def _search(self, request: engine.QueryRequest) -> list[ScoredPoint]:
        with self._open.calling("search") as shard:
            found = shard.query(request)
        hits = [ScoredPoint(str(hit.id), hit.score, hit.payload or {}) for hit in found]
        return sorted(hits, key=lambda hit: (-hit.score, hit.id))


def _take(directory: Path, undo: ExitStack) -> tuple[Path, HeldLock]:
    """Lock a directory, by its real path, so that a link to it is no second way in."""
    directory = directory.resolve()
    lock = hold_lock(directory.with_name(f"{directory.name}.lock"), what=f"index {directory.name}")
    return directory, undo.enter_context(lock)
