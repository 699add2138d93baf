"""What rescoring adds to a search that begins with codes.

The engine rescores inside its call, so the call is timed with and without. Without it the answer
is worse, and the product never asks so.
"""

from pathlib import Path
from time import perf_counter

import qdrant_edge as engine

from encoder.base import FloatArray
from indexing.errors import NoIndexError
from indexing.published.copies import PublishedCopies
from indexing.stores.base import CollectionSpec
from indexing.stores.edge_copies import open_copy
from indexing.stores.edge_forms import DENSE, edge_dense_query

RUNS = 3


def rescoring_seconds(
    directory: Path, *, spec: CollectionSpec, vectors: FloatArray, limit: int
) -> list[float]:
    """Return for each query how much longer the search with rescoring takes, at least 0.

    Args:
        directory: The index version's.
        spec: What its collection holds; with codes.
        vectors: Of the queries, ``[Q, D]``.
        limit: Candidates that each search returns.

    Raises:
        NoIndexError: nothing of it is published.
    """
    copies = PublishedCopies(directory)
    newest = copies.newest()
    if newest is None:
        raise NoIndexError(f"there must be a published copy in {directory}; found none")
    shard = open_copy(copies.folder_of(newest) / "shard", spec=spec)
    try:
        extra = []
        for vector in vectors:
            rescored = edge_dense_query(vector, spec, limit=limit, where=None)
            codes = _codes_alone(vector, oversampling=spec.oversampling, limit=limit)
            shard.query(codes)  # reads from disk what both need
            extra.append(max(0.0, _shortest(shard, rescored) - _shortest(shard, codes)))
        return extra
    finally:
        shard.close()


def _codes_alone(vector: FloatArray, *, oversampling: float, limit: int) -> engine.QueryRequest:
    codes = engine.QuantizationSearchParams(rescore=False, oversampling=oversampling)
    return engine.QueryRequest(
        limit=limit,
        query=engine.Query.Nearest(vector.tolist(), DENSE),
        params=engine.SearchParams(quantization=codes),
        with_payload=True,
    )


def _shortest(shard: engine.EdgeShard, request: engine.QueryRequest) -> float:
    times = []
    for _ in range(RUNS):
        began = perf_counter()
        shard.query(request)
        times.append(perf_counter() - began)
    return min(times)
