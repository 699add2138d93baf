"""Our forms in the engine's types, and back: configuration, points, filters, errors."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import numpy as np
import qdrant_edge as engine

from encoder.base import SparseVector
from indexing.errors import DiskFullError, IndexLockedError, StoreError
from indexing.filters import And, AnyOf, Condition, Eq, Not, Or, Range
from indexing.stores.base import CollectionSpec, Point
from indexing.stores.validation import check_condition

DENSE = "dense"
SPARSE = "bm25"

EngineCondition = engine.FieldCondition | engine.HasIdCondition | engine.Filter


def edge_config(spec: CollectionSpec) -> engine.EdgeConfig:
    """Configure a collection; the log is on, so a killed process loses nothing."""
    dense = (
        {}
        if spec.dimensions is None
        else {DENSE: engine.EdgeVectorParams(spec.dimensions, engine.Distance.Cosine)}
    )
    return engine.EdgeConfig(
        vectors=dense,
        sparse_vectors={SPARSE: engine.EdgeSparseVectorParams(modifier=engine.Modifier.Idf)},
        hnsw_config=engine.HnswIndexConfig(m=16, ef_construct=100, full_scan_threshold=10_000),
        wal_enabled=True,
    )


def edge_point(point: Point) -> engine.Point:
    """Translate a checked point."""
    vectors: dict[str, Any] = {SPARSE: edge_sparse(point.sparse)}
    if point.dense is not None:
        # A list is read four times as fast as an array.
        vectors[DENSE] = np.asarray(point.dense, dtype=np.float32).tolist()
    return engine.Point(point.id, vectors, dict(point.payload))


def edge_sparse(vector: SparseVector) -> engine.SparseVector:
    """Translate checked term weights."""
    return engine.SparseVector(list(vector.indices), list(vector.values))


def read_point(record: engine.Record) -> Point:
    """Translate a point that was read with its vectors and payload."""
    vectors = cast("dict[str, Any]", record.vector or {})
    sparse = vectors.get(SPARSE) or engine.SparseVector([], [])
    return Point(
        id=str(record.id),
        dense=np.asarray(vectors[DENSE], dtype=np.float32) if DENSE in vectors else None,
        sparse=SparseVector(tuple(sparse.indices), tuple(sparse.values)),
        payload=record.payload or {},
    )


def edge_filter(where: Condition | None) -> engine.Filter | None:
    """Check and translate a filter; None matches everything."""
    if where is None:
        return None
    check_condition(where)
    return engine.Filter(must=[_condition(where)])


def _condition(where: Condition) -> EngineCondition:
    match where:
        case And(conditions):
            return engine.Filter(must=[_condition(part) for part in conditions])
        case Or(conditions) if conditions:
            return engine.Filter(should=[_condition(part) for part in conditions])
        case Not(part):
            return engine.Filter(must_not=[_condition(part)])
        case Eq() | Range() | AnyOf(_, (_, *_)):
            return _field_condition(where)
        case _:
            # No alternatives: nothing matches, where an empty `should` would match everything.
            return engine.HasIdCondition(set())


def _field_condition(where: Eq | AnyOf | Range) -> engine.FieldCondition:
    match where:
        case Eq(field, value):
            # The engine reads True as the number 1; only numpy's bool is a bool to it.
            exact = cast("bool", np.bool_(value)) if isinstance(value, bool) else value
            return engine.FieldCondition(field, match=engine.MatchValue(exact))
        case AnyOf(field, values):
            either = cast("list[str] | list[int]", list(values))
            return engine.FieldCondition(field, match=engine.MatchAny(either))
        case Range(field, at_least, at_most):
            bounds = engine.RangeFloat(gte=at_least, lte=at_most)
            return engine.FieldCondition(field, range=bounds)


@contextmanager
def engine_errors(action: str, directory: Path) -> Iterator[None]:
    """Turn the engine's errors, which all have the type Exception, into ours."""
    try:
        yield
    except Exception as exc:
        message = f"the engine could not {action} in {directory}: {exc}"
        if "WouldBlock" in str(exc):
            raise IndexLockedError(f"{message}\nhint: another program has it open") from exc
        if "os error 28" in str(exc):
            raise DiskFullError(f"{message}\nhint: free some space and run again") from exc
        raise StoreError(
            f"{message}\nhint: open it again; if that fails too, build the index again"
        ) from exc
