"""A Qdrant server or cluster, through its client. Import this late: it takes seconds."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Self

import numpy as np
from qdrant_client import QdrantClient, models

from encoder.base import FloatArray, SparseVector
from indexing.errors import InvalidPointError, NoIndexError, StoreError
from indexing.filters import Condition
from indexing.stores.base import CollectionSpec, Payload, Point, ScoredPoint
from indexing.stores.server_forms import (
    DENSE,
    SPARSE,
    check_kind,
    dense_config,
    read_point,
    server_errors,
    server_filter,
    server_point,
    server_sparse,
)
from indexing.stores.validation import (
    check_dense,
    check_ids,
    check_limit,
    check_payloads,
    check_points,
    check_sparse,
)

BATCH_SIZE = 128
"""Points per request: bodies of a few MB, as Qdrant advises."""

REQUEST_TIMEOUT_SECONDS = 60
OPTIMIZE_TIMEOUT_SECONDS = 3600


def connect(url: str, *, api_key: str | None = None) -> QdrantClient:
    """Return a client with a time limit that suits writing; the caller closes it."""
    return QdrantClient(url=url, api_key=api_key, timeout=REQUEST_TIMEOUT_SECONDS)


class ServerStore:
    """A ``VectorStore`` in a collection of a server; the client stays the caller's to close."""

    def __init__(self, client: QdrantClient, *, collection: str, spec: CollectionSpec) -> None:
        self._client = client
        self._collection = collection
        self._spec = spec
        self._closed = False

    @classmethod
    def create(cls, client: QdrantClient, *, collection: str, spec: CollectionSpec) -> Self:
        """Make an empty collection; StoreError if there is one of this name."""
        with server_errors("create", collection):
            if client.collection_exists(collection):
                raise StoreError(f"a new collection needs an unused name; {collection!r} exists")
            client.create_collection(
                collection,
                vectors_config=dense_config(spec),
                sparse_vectors_config={
                    SPARSE: models.SparseVectorParams(modifier=models.Modifier.IDF)
                },
            )
            for field in spec.keyword_fields:
                client.create_payload_index(
                    collection, field, models.PayloadSchemaType.KEYWORD, wait=True
                )
            for field in spec.boolean_fields:
                client.create_payload_index(
                    collection, field, models.PayloadSchemaType.BOOL, wait=True
                )
        return cls(client, collection=collection, spec=spec)

    @classmethod
    def open(cls, client: QdrantClient, *, collection: str, spec: CollectionSpec) -> Self:
        """Open a collection: NoIndexError if there is none, StoreError if it is of another kind."""
        with server_errors("open", collection):
            if not client.collection_exists(collection):
                raise NoIndexError(f"there must be a collection {collection!r}; found none")
            params = client.get_collection(collection).config.params
            check_kind(params, collection=collection, spec=spec)
        return cls(client, collection=collection, spec=spec)

    @property
    def spec(self) -> CollectionSpec:
        """What the collection holds."""
        return self._spec

    def upsert(self, points: Sequence[Point]) -> None:
        """Write points, replacing those with the same id; returns when the server has them."""
        check_points(points, dimensions=self._spec.dimensions)
        for start in range(0, len(points), BATCH_SIZE):
            batch = [server_point(point) for point in points[start : start + BATCH_SIZE]]
            with self._calling("write points"):
                self._client.upsert(self._collection, batch, wait=True)

    def set_payload(self, payloads: Mapping[str, Payload]) -> None:
        """Replace whole payloads by point id, vectors untouched; absent ids are passed over."""
        check_payloads(payloads)
        known = sorted(self.existing(list(payloads)))
        for start in range(0, len(known), BATCH_SIZE):
            batch = [
                models.OverwritePayloadOperation(
                    overwrite_payload=models.SetPayload(
                        payload=dict(payloads[point_id]), points=[point_id]
                    )
                )
                for point_id in known[start : start + BATCH_SIZE]
            ]
            with self._calling("write payloads"):
                self._client.batch_update_points(self._collection, batch, wait=True)

    def delete(self, ids: Sequence[str]) -> None:
        """Remove points; an id that is not there is no error."""
        check_ids(ids)
        if not ids:
            return
        with self._calling("delete points"):
            selector = models.PointIdsList(points=list(ids))
            self._client.delete(self._collection, selector, wait=True)

    def existing(self, ids: Sequence[str]) -> set[str]:
        """Return those of ``ids`` that are there."""
        check_ids(ids)
        with self._calling("read points"):
            records = self._client.retrieve(
                self._collection, list(ids), with_payload=False, with_vectors=False
            )
        return {str(record.id) for record in records}

    def search_dense(
        self, vector: FloatArray, *, limit: int, where: Condition | None = None
    ) -> list[ScoredPoint]:
        """Find the nearest points by cosine, best first, ties by id."""
        if self._spec.dimensions is None:
            raise InvalidPointError("the collection has no dense vectors to search")
        check_dense(vector, dimensions=self._spec.dimensions)
        values = np.asarray(vector, dtype=np.float32).tolist()
        return self._search(values, DENSE, limit=limit, where=where)

    def search_sparse(
        self, vector: SparseVector, *, limit: int, where: Condition | None = None
    ) -> list[ScoredPoint]:
        """Find the points with the highest IDF-weighted dot product, best first, ties by id."""
        check_sparse(vector)
        return self._search(server_sparse(vector), SPARSE, limit=limit, where=where)

    def count(self, where: Condition | None = None) -> int:
        """Count the points, exactly."""
        count_filter = server_filter(where)
        with self._calling("count"):
            counted = self._client.count(self._collection, count_filter=count_filter, exact=True)
        return counted.count

    def scan(self, *, batch_size: int = 256) -> Iterator[list[Point]]:
        """Read every point, vectors included (dense ones at unit norm), in order of id."""
        check_limit(batch_size)
        offset: Any = None
        while True:
            with self._calling("scan"):
                records, offset = self._client.scroll(
                    self._collection,
                    limit=batch_size,
                    offset=offset,
                    with_payload=True,
                    with_vectors=True,
                )
            if records:
                yield [read_point(record) for record in records]
            if offset is None:
                return

    def flush(self) -> None:
        """Do nothing more: a write returns when the server has it in its log."""
        self._check_open("flush")

    def optimize(self) -> None:
        """Wait until the server, which optimizes by itself, has done so; StoreError if it fails."""
        deadline = time.monotonic() + OPTIMIZE_TIMEOUT_SECONDS
        while True:
            with self._calling("optimize"):
                status = self._client.get_collection(self._collection).status
            if status == models.CollectionStatus.GREEN:
                return
            if status == models.CollectionStatus.RED or time.monotonic() > deadline:
                raise StoreError(
                    f"collection {self._collection!r} must become green; it is {status.value}\n"
                    "hint: the server's log says why"
                )
            time.sleep(1)

    def close(self) -> None:
        """Stop using the collection."""
        self._closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _search(
        self,
        query: list[float] | models.SparseVector,
        using: str,
        *,
        limit: int,
        where: Condition | None,
    ) -> list[ScoredPoint]:
        check_limit(limit)
        query_filter = server_filter(where)
        with self._calling("search"):
            found = self._client.query_points(
                self._collection,
                query=query,
                using=using,
                limit=limit,
                query_filter=query_filter,
                with_payload=True,
            ).points
        hits = [ScoredPoint(str(hit.id), hit.score, hit.payload or {}) for hit in found]
        return sorted(hits, key=lambda hit: (-hit.score, hit.id))

    def _check_open(self, action: str) -> None:
        if self._closed:
            raise StoreError(f"cannot {action} in collection {self._collection!r}: it is closed")

    @contextmanager
    def _calling(self, action: str) -> Iterator[None]:
        self._check_open(action)
        with server_errors(action, self._collection):
            yield
