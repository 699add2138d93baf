"""A collection of a Qdrant server or cluster. Import this late: the client takes seconds."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Self, TypeVar

from qdrant_client import models

from encoder.base import FloatArray, SparseVector
from indexing.errors import InvalidPointError, StoreError
from indexing.filters import Condition
from indexing.stores.base import CollectionSpec, Payload, Point, ScoredPoint
from indexing.stores.request_sizes import MAX_POINTS, in_requests
from indexing.stores.retries import UnfinishedWriteError
from indexing.stores.server_collections import build_graph, check_collection, create_collection
from indexing.stores.server_connection import Connection
from indexing.stores.server_forms import (
    dense_plan,
    read_point,
    server_filter,
    server_ids_filter,
    server_point,
    sparse_plan,
)
from indexing.stores.validation import (
    check_dense,
    check_ids,
    check_limit,
    check_payloads,
    check_points,
    check_sparse,
)

Result = TypeVar("Result")

ID_BATCH = 4096
"""Ids of one request: they take 40 bytes each."""


class ServerStore:
    """A ``VectorStore`` in a collection of a server; closing it closes its connection."""

    def __init__(self, connection: Connection, *, collection: str, spec: CollectionSpec) -> None:
        self._connection = connection
        self._client = connection.client
        self._collection = collection
        self._spec = spec
        self._closed = False

    @classmethod
    def create(
        cls,
        connection: Connection,
        *,
        collection: str,
        spec: CollectionSpec,
        description: Mapping[str, Any] | None = None,
    ) -> Self:
        """Make an empty collection; StoreError if there is one of this name.

        ``description``, plain JSON, stays with it: `server_collections.read_description`.
        """
        create_collection(connection, collection, spec=spec, description=description)
        return cls(connection, collection=collection, spec=spec)

    @classmethod
    def open(cls, connection: Connection, *, collection: str, spec: CollectionSpec) -> Self:
        """Open a collection: NoIndexError if there is none, StoreError if it is of another kind."""
        check_collection(connection, collection, spec=spec)
        return cls(connection, collection=collection, spec=spec)

    @property
    def spec(self) -> CollectionSpec:
        """What the collection holds."""
        return self._spec

    def upsert(self, points: Sequence[Point]) -> None:
        """Write points, replacing those with the same id; returns when the server has them."""
        check_points(points, dimensions=self._spec.dimensions)
        for part in in_requests(points, binary=self._connection.settings.prefer_grpc):
            batch = [server_point(point, self._spec) for point in part]
            self._write("write points", partial(self._client.upsert, points=batch))

    def set_payload(self, payloads: Mapping[str, Payload]) -> None:
        """Replace whole payloads by point id, vectors untouched; absent ids are passed over."""
        check_payloads(payloads)
        known = sorted(self.existing(list(payloads)))
        for start in range(0, len(known), MAX_POINTS):
            batch = [
                models.OverwritePayloadOperation(
                    overwrite_payload=models.SetPayload(
                        payload=dict(payloads[point_id]), points=[point_id]
                    )
                )
                for point_id in known[start : start + MAX_POINTS]
            ]
            write = partial(self._client.batch_update_points, update_operations=batch)
            self._write("write payloads", write)

    def delete(self, ids: Sequence[str]) -> None:
        """Remove points; an id that is not there is no error."""
        check_ids(ids)
        for start in range(0, len(ids), ID_BATCH):
            selector = models.PointIdsList(points=list(ids[start : start + ID_BATCH]))
            self._write("delete points", partial(self._client.delete, points_selector=selector))

    def existing(self, ids: Sequence[str]) -> set[str]:
        """Return those of ``ids`` that are there."""
        return {str(record.id) for record in self._retrieve(ids, whole=False)}

    def read(self, ids: Sequence[str]) -> list[Point]:
        """Read points as ``scan`` does, in any order; absent ids are passed over."""
        return [read_point(record) for record in self._retrieve(ids, whole=True)]

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
        if self._spec.dimensions is None:
            raise InvalidPointError("the collection has no dense vectors to search")
        check_dense(vector, dimensions=self._spec.dimensions)
        check_limit(limit)
        plan = dense_plan(vector, self._spec, limit=limit, where=where, rescore=rescore)
        return self._search(plan, fields=fields)

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
        return self._search(sparse_plan(vector, limit=limit, where=where), fields=fields)

    def payloads(self, where: Condition, *, limit: int) -> dict[str, Payload]:
        """Read the payloads of at most `limit` points that match, by point id, in order of id."""
        check_limit(limit)
        return self._payloads(server_filter(where), limit=limit)

    def payloads_of(
        self, ids: Sequence[str], *, where: Condition | None = None
    ) -> dict[str, Payload]:
        """Read the payloads of those of `ids` that are there and match, by point id."""
        check_ids(ids)
        found: dict[str, Payload] = {}
        for start in range(0, len(ids), ID_BATCH):
            batch = ids[start : start + ID_BATCH]
            only = server_ids_filter(batch, where=where)
            found |= self._payloads(only, limit=len(batch), soon=True)
        return found

    def count(self, where: Condition | None = None) -> int:
        """Count the points, exactly."""
        count = partial(
            self._client.count, self._collection, count_filter=server_filter(where), exact=True
        )
        return self._call("count", count).count

    def scan(self, *, batch_size: int = 256) -> Iterator[list[Point]]:
        """Read every point, vectors included (dense ones at unit norm), in order of id."""
        check_limit(batch_size)
        offset: Any = None
        while True:
            scroll = partial(
                self._client.scroll,
                self._collection,
                limit=batch_size,
                offset=offset,
                with_payload=True,
                with_vectors=True,
            )
            records, offset = self._call("scan", scroll)
            if records:
                yield [read_point(record) for record in records]
            if offset is None:
                return

    def flush(self) -> None:
        """Do nothing more: a write returns when the server has applied it."""
        self._check_open("flush")

    def optimize(self) -> None:
        """Let the server build the search graph, and wait until it has; StoreError if it fails."""
        self._check_open("optimize")
        build_graph(self._connection, self._collection, spec=self._spec)

    def close(self) -> None:
        """Stop using the collection, and let the connection go."""
        if not self._closed:
            self._closed = True
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _payloads(
        self, only: models.Filter | None, *, limit: int, soon: bool = False
    ) -> dict[str, Payload]:
        scroll = partial(
            self._client.scroll,
            self._collection,
            scroll_filter=only,
            limit=limit,
            with_payload=True,
        )
        self._check_open("read payloads")
        call = self._connection.call_soon if soon else self._connection.call
        records, _ = call(scroll, what="read payloads", collection=self._collection)
        return {str(record.id): record.payload or {} for record in records}

    def _search(
        self, plan: Mapping[str, Any], *, fields: Sequence[str] | None
    ) -> list[ScoredPoint]:
        self._check_open("search")
        asked = True if fields is None else list(fields) or False
        search = partial(self._client.query_points, self._collection, with_payload=asked, **plan)
        found = self._connection.call_soon(search, what="search", collection=self._collection)
        hits = [ScoredPoint(str(hit.id), hit.score, hit.payload or {}) for hit in found.points]
        return sorted(hits, key=lambda hit: (-hit.score, hit.id))

    def _retrieve(self, ids: Sequence[str], *, whole: bool) -> Iterator[models.Record]:
        check_ids(ids)
        for start in range(0, len(ids), ID_BATCH):
            read = partial(
                self._client.retrieve,
                self._collection,
                list(ids[start : start + ID_BATCH]),
                with_payload=whole,
                with_vectors=whole,
            )
            yield from self._call("read points", read)

    def _write(
        self,
        what: str,
        write: Callable[..., models.UpdateResult | list[models.UpdateResult]],
    ) -> None:
        self._call(what, lambda: _finished(write(self._collection, wait=True)))

    def _call(self, what: str, action: Callable[[], Result]) -> Result:
        self._check_open(what)
        return self._connection.call(action, what=what, collection=self._collection)

    def _check_open(self, action: str) -> None:
        if self._closed:
            raise StoreError(f"cannot {action} in collection {self._collection!r}: it is closed")


def _finished(result: models.UpdateResult | list[models.UpdateResult]) -> None:
    """Refuse an answer that came before the write was applied: it is then written again."""
    for part in result if isinstance(result, list) else [result]:
        if part.status != models.UpdateStatus.COMPLETED:
            raise UnfinishedWriteError(f"the write must be completed; it is {part.status.value}")
