"""Our forms in the client's types, and back: configuration, points, filters, errors."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import numpy as np
from qdrant_client import models

from encoder.base import SparseVector
from indexing.errors import NoIndexError, StoreError
from indexing.filters import And, AnyOf, Condition, Eq, Not, Or, Range
from indexing.stores.base import CollectionSpec, Point
from indexing.stores.validation import check_condition

DENSE = "dense"
SPARSE = "bm25"


def dense_config(spec: CollectionSpec) -> dict[str, models.VectorParams]:
    """Configure the dense vectors."""
    if spec.dimensions is None:
        return {}
    return {DENSE: models.VectorParams(size=spec.dimensions, distance=models.Distance.COSINE)}


def check_kind(params: models.CollectionParams, *, collection: str, spec: CollectionSpec) -> None:
    """Refuse a collection that would answer, but wrongly."""
    vectors = params.vectors or {}
    dense = {"": vectors} if isinstance(vectors, models.VectorParams) else vectors
    got = {name: (vector.size, vector.distance) for name, vector in dense.items()}
    wanted = {name: (vector.size, vector.distance) for name, vector in dense_config(spec).items()}
    sparse = (params.sparse_vectors or {}).get(SPARSE)
    if got != wanted or sparse is None:
        raise StoreError(
            f"collection {collection!r} must hold the vectors {wanted} and sparse {SPARSE!r}; "
            f"got {params.vectors} and {params.sparse_vectors}"
        )
    if sparse.modifier != models.Modifier.IDF:
        raise StoreError(
            f"sparse vector {SPARSE!r} of collection {collection!r} must have the IDF modifier; "
            f"got {sparse.modifier}: every word would weigh the same"
        )


def server_point(point: Point) -> models.PointStruct:
    """Translate a checked point."""
    vectors: dict[str, Any] = {SPARSE: server_sparse(point.sparse)}
    if point.dense is not None:
        vectors[DENSE] = np.asarray(point.dense, dtype=np.float32).tolist()
    return models.PointStruct(id=point.id, vector=vectors, payload=dict(point.payload))


def server_sparse(vector: SparseVector) -> models.SparseVector:
    """Translate checked term weights."""
    return models.SparseVector(indices=list(vector.indices), values=list(vector.values))


def read_point(record: models.Record) -> Point:
    """Translate a point that was read with its vectors and payload."""
    vectors = cast("dict[str, Any]", record.vector or {})
    sparse = vectors.get(SPARSE) or models.SparseVector(indices=[], values=[])
    return Point(
        id=str(record.id),
        dense=np.asarray(vectors[DENSE], dtype=np.float32) if DENSE in vectors else None,
        sparse=SparseVector(tuple(sparse.indices), tuple(sparse.values)),
        payload=record.payload or {},
    )


def server_filter(where: Condition | None) -> models.Filter | None:
    """Check and translate a filter; None matches everything."""
    if where is None:
        return None
    check_condition(where)
    return models.Filter(must=[_condition(where)])


def _condition(where: Condition) -> models.Condition:
    match where:
        case And(conditions):
            return models.Filter(must=[_condition(part) for part in conditions])
        case Or(conditions) if conditions:
            return models.Filter(should=[_condition(part) for part in conditions])
        case Not(part):
            return models.Filter(must_not=[_condition(part)])
        case Eq() | Range() | AnyOf(_, (_, *_)):
            return _field_condition(where)
        case _:
            # No alternatives: nothing matches, where an empty `should` would match everything.
            return models.HasIdCondition(has_id=[])


def _field_condition(where: Eq | AnyOf | Range) -> models.FieldCondition:
    match where:
        case Eq(field, value):
            return models.FieldCondition(key=field, match=models.MatchValue(value=value))
        case AnyOf(field, values):
            either = cast("list[str] | list[int]", list(values))
            return models.FieldCondition(key=field, match=models.MatchAny(any=either))
        case Range(field, at_least, at_most):
            bounds = models.Range(gte=at_least, lte=at_most)
            return models.FieldCondition(key=field, range=bounds)


@contextmanager
def server_errors(action: str, collection: str) -> Iterator[None]:
    """Turn whatever the client raises (transport, status codes, time limits) into StoreError."""
    try:
        yield
    except (StoreError, NoIndexError):
        raise
    except Exception as exc:
        raise StoreError(
            f"the server could not {action} in collection {collection!r}: "
            f"{type(exc).__name__}: {exc}\nhint: is it running, and are its URL and key right?"
        ) from exc
