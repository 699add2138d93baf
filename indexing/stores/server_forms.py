"""Our forms in the client's types, and back: configuration, points, filters."""

import math
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from qdrant_client import models

from encoder.base import FloatArray, SparseVector
from indexing.errors import StoreError
from indexing.filters import And, AnyOf, Condition, Eq, HasWords, Not, Or, Range
from indexing.stores.base import CollectionSpec, Point
from indexing.stores.spellings import Part, Spelling, spellings
from indexing.stores.validation import check_condition

DENSE = "dense"
SMALL = "dense_small"
SPARSE = "bm25"

_STORAGE = {
    "f32": None,  # what a server takes unless it is told otherwise, and reports as none
    "f16": models.Datatype.FLOAT16,
    "turbo16": models.Datatype.TURBO16,
    "turbo8": models.Datatype.TURBO8,
}
_TURBO_BITS = {
    "tq4": models.TurboQuantBitSize.BITS4,
    "tq2": models.TurboQuantBitSize.BITS2,
    "tq1": models.TurboQuantBitSize.BITS1,
}


def dense_config(spec: CollectionSpec) -> dict[str, models.VectorParams]:
    """Configure the dense vectors."""
    if spec.dimensions is None:
        return {}
    cosine, datatype = models.Distance.COSINE, _STORAGE[spec.storage]
    if spec.small_dimensions is None:
        return {
            DENSE: models.VectorParams(
                size=spec.dimensions,
                distance=cosine,
                datatype=datatype,
                quantization_config=_quantization(spec),
            )
        }
    return {
        # Only ever read by id, to compare candidates: no graph.
        DENSE: models.VectorParams(
            size=spec.dimensions,
            distance=cosine,
            datatype=datatype,
            hnsw_config=models.HnswConfigDiff(m=0),
        ),
        SMALL: models.VectorParams(size=spec.small_dimensions, distance=cosine, datatype=datatype),
    }


def _quantization(spec: CollectionSpec) -> models.QuantizationConfig | None:
    match spec.quantization:
        case "none":
            return None
        case "int8":
            int8 = models.ScalarQuantizationConfig(type=models.ScalarType.INT8)
            return models.ScalarQuantization(scalar=int8)
        case "binary":
            return models.BinaryQuantization(binary=models.BinaryQuantizationConfig())
        case "product":
            x16 = models.ProductQuantizationConfig(compression=models.CompressionRatio.X16)
            return models.ProductQuantization(product=x16)
        case bits:
            turbo = models.TurboQuantQuantizationConfig(bits=_TURBO_BITS[bits])
            return models.TurboQuantization(turbo=turbo)


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


def server_point(point: Point, spec: CollectionSpec) -> models.PointStruct:
    """Translate a checked point."""
    vectors: dict[str, Any] = {SPARSE: server_sparse(point.sparse)}
    if point.dense is not None:
        vectors[DENSE] = np.asarray(point.dense, dtype=np.float32).tolist()
        if spec.small_dimensions is not None:
            vectors[SMALL] = vectors[DENSE][: spec.small_dimensions]
    return models.PointStruct(id=point.id, vector=vectors, payload=dict(point.payload))


def server_sparse(vector: SparseVector) -> models.SparseVector:
    """Translate checked term weights."""
    return models.SparseVector(indices=list(vector.indices), values=list(vector.values))


def dense_plan(
    vector: FloatArray,
    spec: CollectionSpec,
    *,
    limit: int,
    where: Condition | None,
    rescore: bool = True,
) -> dict[str, Any]:
    """Plan the search for a checked vector, as arguments of ``query_points``."""
    values = np.asarray(vector, dtype=np.float32).tolist()
    only = server_filter(where)
    plan = {"query": values, "using": DENSE, "limit": limit, "query_filter": only}
    if spec.quantization != "none":
        # Without oversampling, rescoring would only sort what the codes found.
        more = spec.oversampling if rescore else None
        codes = models.QuantizationSearchParams(rescore=rescore, oversampling=more)
        plan["search_params"] = models.SearchParams(quantization=codes)
    if spec.small_dimensions is None:
        return plan
    small = values[: spec.small_dimensions]
    if not rescore:
        return {**plan, "query": small, "using": SMALL}
    candidates = math.ceil(limit * spec.oversampling)
    first = models.Prefetch(query=small, using=SMALL, limit=candidates, filter=only)
    return {**plan, "prefetch": first}


def sparse_plan(vector: SparseVector, *, limit: int, where: Condition | None) -> dict[str, Any]:
    """Plan the search for checked term weights, as arguments of ``query_points``."""
    only = server_filter(where)
    return {"query": server_sparse(vector), "using": SPARSE, "limit": limit, "query_filter": only}


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


def server_ids_filter(ids: Sequence[str], *, where: Condition | None) -> models.Filter:
    """Match those of checked ids that a filter matches too."""
    only = server_filter(where)
    has_id = models.HasIdCondition(has_id=list(ids))
    return models.Filter(must=[has_id, *([] if only is None else [only])])


def _condition(where: Condition) -> models.Condition:
    match where:
        case And(conditions):
            return models.Filter(must=[_condition(part) for part in conditions])
        case Or(conditions) if conditions:
            return models.Filter(should=[_condition(part) for part in conditions])
        case Not(part):
            return models.Filter(must_not=[_condition(part)])
        case Eq() | Range() | HasWords() | AnyOf(_, (_, *_)):
            return _field_condition(where)
        case _:
            # No alternatives: nothing matches, where an empty `should` would match everything.
            return models.HasIdCondition(has_id=[])


def _field_condition(where: Eq | AnyOf | Range | HasWords) -> models.Condition:
    match where:
        case Eq(field, value):
            return models.FieldCondition(key=field, match=models.MatchValue(value=value))
        case AnyOf(field, values):
            either = cast("list[str] | list[int]", list(values))
            return models.FieldCondition(key=field, match=models.MatchAny(any=either))
        case HasWords(field, words):
            return models.Filter(should=[_spelled(field, parts) for parts in spellings(words)])
        case Range(field) if where.is_of_dates:
            between = models.DatetimeRange.model_validate(where.moments())
            return models.FieldCondition(key=field, range=between)
        case Range(field):
            return models.FieldCondition(key=field, range=models.Range(**where.numbers()))


def _spelled(field: str, spelling: Spelling) -> models.Filter:
    return models.Filter(must=[_part(field, part) for part in spelling])


def _part(field: str, part: Part) -> models.FieldCondition:
    if part.inside:
        return models.FieldCondition(key=field, match=models.MatchSubstring(substring=part.text))
    return models.FieldCondition(key=field, match=models.MatchText(text=part.text))
