"""Our forms in the engine's types, and back: configuration, points, filters, errors."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import numpy as np
import qdrant_edge as engine

from encoder.base import FloatArray, SparseVector
from indexing.errors import DiskFullError, IndexLockedError, StoreError
from indexing.filters import And, AnyOf, Condition, Eq, HasWords, Not, Or, Range
from indexing.stores.base import CollectionSpec, Point
from indexing.stores.spellings import Part, Spelling, spellings
from indexing.stores.validation import check_condition

DENSE = "dense"
SMALL = "dense_small"
SPARSE = "bm25"

_STORAGE = {
    "f32": engine.VectorStorageDatatype.Float32,
    "f16": engine.VectorStorageDatatype.Float16,
    "turbo16": engine.VectorStorageDatatype.Turbo16,
    "turbo8": engine.VectorStorageDatatype.Turbo8,
}
_TURBO_BITS = {
    "tq4": engine.TurboQuantBitSize.Bits4,
    "tq2": engine.TurboQuantBitSize.Bits2,
    "tq1": engine.TurboQuantBitSize.Bits1,
}

EngineQuantization = (
    engine.ScalarQuantizationConfig
    | engine.BinaryQuantizationConfig
    | engine.ProductQuantizationConfig
    | engine.TurboQuantQuantizationConfig
)
EngineCondition = engine.FieldCondition | engine.HasIdCondition | engine.Filter


def edge_config(spec: CollectionSpec, *, log: bool = True) -> engine.EdgeConfig:
    """Configure a collection; with its log on, a killed process loses nothing."""
    return engine.EdgeConfig(
        vectors=_dense_params(spec),
        sparse_vectors={SPARSE: engine.EdgeSparseVectorParams(modifier=engine.Modifier.Idf)},
        hnsw_config=_graph(16),
        wal_enabled=log,
    )


def _dense_params(spec: CollectionSpec) -> dict[str, engine.EdgeVectorParams]:
    if spec.dimensions is None:
        return {}
    cosine, datatype = engine.Distance.Cosine, _STORAGE[spec.storage]
    if spec.small_dimensions is None:
        quantization = _quantization(spec)
        return {
            DENSE: engine.EdgeVectorParams(
                spec.dimensions, cosine, datatype=datatype, quantization_config=quantization
            )
        }
    return {
        # Only ever read by id, to compare candidates: no graph.
        DENSE: engine.EdgeVectorParams(
            spec.dimensions, cosine, datatype=datatype, hnsw_config=_graph(0)
        ),
        SMALL: engine.EdgeVectorParams(spec.small_dimensions, cosine, datatype=datatype),
    }


def _graph(m: int) -> engine.HnswIndexConfig:
    return engine.HnswIndexConfig(m=m, ef_construct=100, full_scan_threshold=10_000)


def _quantization(spec: CollectionSpec) -> EngineQuantization | None:
    match spec.quantization:
        case "none":
            return None
        case "int8":
            return engine.ScalarQuantizationConfig(engine.ScalarType.Int8)
        case "binary":
            return engine.BinaryQuantizationConfig()
        case "product":
            return engine.ProductQuantizationConfig(engine.CompressionRatio.X16)
        case bits:
            return engine.TurboQuantQuantizationConfig(bits=_TURBO_BITS[bits])


def index_payload(shard: engine.EdgeShard, spec: CollectionSpec) -> None:
    """Index the payload fields that every query filters on."""
    kinds = engine.PayloadSchemaType
    for field in spec.keyword_fields:
        shard.update(engine.UpdateOperation.create_field_index(field, kinds.Keyword))
    for field in spec.boolean_fields:
        shard.update(engine.UpdateOperation.create_field_index(field, kinds.Bool))


def edge_point(point: Point, spec: CollectionSpec) -> engine.Point:
    """Translate a checked point."""
    vectors: dict[str, Any] = {SPARSE: edge_sparse(point.sparse)}
    if point.dense is not None:
        # A list is read four times as fast as an array.
        vectors[DENSE] = np.asarray(point.dense, dtype=np.float32).tolist()
        if spec.small_dimensions is not None:
            vectors[SMALL] = vectors[DENSE][: spec.small_dimensions]
    return engine.Point(point.id, vectors, dict(point.payload))


def edge_sparse(vector: SparseVector) -> engine.SparseVector:
    """Translate checked term weights."""
    return engine.SparseVector(list(vector.indices), list(vector.values))


def edge_dense_query(
    vector: FloatArray,
    spec: CollectionSpec,
    *,
    limit: int,
    where: Condition | None,
    rescore: bool = True,
    fields: Sequence[str] | None = None,
) -> engine.QueryRequest:
    """Plan the search for a checked vector: candidates first where the collection has such."""
    values = np.asarray(vector, dtype=np.float32).tolist()
    query, only = engine.Query.Nearest(values, DENSE), edge_filter(where)
    params, first = None, None
    if spec.quantization != "none":
        # Without oversampling, rescoring would only sort what the codes found.
        more = spec.oversampling if rescore else None
        codes = engine.QuantizationSearchParams(rescore=rescore, oversampling=more)
        params = engine.SearchParams(quantization=codes)
    if spec.small_dimensions is not None:
        small = engine.Query.Nearest(values[: spec.small_dimensions], SMALL)
        candidates = math.ceil(limit * spec.oversampling)
        if rescore:
            first = [engine.Prefetch(limit=candidates, query=small, filter=only)]
        else:
            query = small
    return engine.QueryRequest(
        limit=limit,
        query=query,
        prefetches=first,
        filter=only,
        params=params,
        with_payload=_payload_fields(fields),
    )


def edge_sparse_query(
    vector: SparseVector,
    *,
    limit: int,
    where: Condition | None,
    fields: Sequence[str] | None = None,
) -> engine.QueryRequest:
    """Plan the search for checked term weights."""
    query, only = engine.Query.Nearest(edge_sparse(vector), SPARSE), edge_filter(where)
    return engine.QueryRequest(
        limit=limit, query=query, filter=only, with_payload=_payload_fields(fields)
    )


def _payload_fields(fields: Sequence[str] | None) -> bool | list[str]:
    return True if fields is None else list(fields) or False


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


def edge_ids_filter(ids: Sequence[str], *, where: Condition | None) -> engine.Filter:
    """Match those of checked ids that a filter matches too."""
    only = edge_filter(where)
    return engine.Filter(must=[engine.HasIdCondition(set(ids)), *([] if only is None else [only])])


def _condition(where: Condition) -> EngineCondition:
    match where:
        case And(conditions):
            return engine.Filter(must=[_condition(part) for part in conditions])
        case Or(conditions) if conditions:
            return engine.Filter(should=[_condition(part) for part in conditions])
        case Not(part):
            return engine.Filter(must_not=[_condition(part)])
        case Eq() | Range() | HasWords() | AnyOf(_, (_, *_)):
            return _field_condition(where)
        case _:
            # No alternatives: nothing matches, where an empty `should` would match everything.
            return engine.HasIdCondition(set())


def _field_condition(where: Eq | AnyOf | Range | HasWords) -> EngineCondition:
    match where:
        case Eq(field, value):
            # The engine reads True as the number 1; only numpy's bool is a bool to it.
            exact = cast("bool", np.bool_(value)) if isinstance(value, bool) else value
            return engine.FieldCondition(field, match=engine.MatchValue(exact))
        case AnyOf(field, values):
            either = cast("list[str] | list[int]", list(values))
            return engine.FieldCondition(field, match=engine.MatchAny(either))
        case HasWords(field, words):
            return engine.Filter(should=[_spelled(field, parts) for parts in spellings(words)])
        case Range(field) if where.is_of_dates:
            return engine.FieldCondition(field, range=engine.RangeDateTime(**where.moments()))
        case Range(field):
            return engine.FieldCondition(field, range=engine.RangeFloat(**where.numbers()))


def _spelled(field: str, spelling: Spelling) -> engine.Filter:
    return engine.Filter(must=[_part(field, part) for part in spelling])


def _part(field: str, part: Part) -> engine.FieldCondition:
    kind = engine.MatchSubstring if part.inside else engine.MatchText
    return engine.FieldCondition(field, match=kind(part.text))


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
