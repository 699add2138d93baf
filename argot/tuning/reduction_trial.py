"""What each way of making vectors smaller costs and saves: built, measured and removed again.

Shapes: N chunks, Q queries, D dimensions of the encoder.
"""

import logging
import tempfile
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np

from argot.tuning.reduction_options import Tried, name_of
from argot.version_choice import CHUNKS_PER_DIMENSION, SAMPLE_CHUNKS
from encoder.base import FloatArray, SparseVector
from encoder.truncation import truncate
from indexing.reduction.projection import Projection, fit_projection
from indexing.reduction.settings import ReductionSettings
from indexing.stores.base import CollectionSpec, Point
from indexing.stores.edge import EdgeStore
from indexing.stores.edge_size import dense_bytes
from retriever.evaluation.evaluation import evaluate
from retriever.evaluation.judgements import Judgements

logger = logging.getLogger(__name__)

METRIC = "ndcg@10"
TIMED_QUERIES = 200
WARM_UP_QUERIES = 10
SEED = 0

_NO_TERMS = SparseVector((), ())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TuningData:
    """What every option is tried on."""

    vectors: FloatArray
    """The encoder's own, unit norm, ``[N, D]``."""

    document_ids: Sequence[str]
    """Whose chunk each vector is."""

    queries: Mapping[str, FloatArray]
    """The encoder's vector, ``[D]``, by text of a judged query."""

    judgements: Judgements
    depth: int = 100
    """Chunks a search fetches, as serving does."""


def try_options(
    data: TuningData,
    reductions: Sequence[ReductionSettings],
    *,
    progress: Callable[[str], None] = logger.info,
) -> list[Tried]:
    """Build each option in a folder of its own, measure it, and remove it again.

    A projection that the chunks are too few for is passed over.
    """
    count, full = data.vectors.shape
    tried: list[Tried] = []
    for number, reduction in enumerate(reductions, start=1):
        width = reduction.width(full)
        name = name_of(reduction, full)
        if reduction.projection != "none" and count <= width:
            logger.warning("%s is not tried: %d chunks are too few to fit it", name, count)
            continue
        progress(f"{number} of {len(reductions)}: {name}")
        with tempfile.TemporaryDirectory(prefix="argot-tune-") as folder:
            tried.append(_try(data, reduction, name=name, directory=Path(folder) / "collection"))
    return tried


def _try(data: TuningData, reduction: ReductionSettings, *, name: str, directory: Path) -> Tried:
    width = reduction.width(data.vectors.shape[1])
    began = perf_counter()
    projection = _fit(data.vectors, reduction)
    spec = CollectionSpec(
        dimensions=width,
        storage=reduction.storage,
        quantization=reduction.quantization,
        oversampling=reduction.oversampling,
        small_dimensions=reduction.two_stage,
        keyword_fields=(),
        boolean_fields=(),
    )
    with EdgeStore.create(directory, spec=spec) as store:
        _fill(store, _reduced(data.vectors, projection, width), data.document_ids)
        seconds = perf_counter() - began
        asked = {
            text: _reduced(vector[None, :], projection, width)[0]
            for text, vector in data.queries.items()
        }
        quality = evaluate(
            lambda texts: [_documents(store, asked[text], depth=data.depth) for text in texts],
            data.judgements,
            rng=np.random.default_rng(SEED),
            metrics=[METRIC],
        ).metrics[METRIC]
        times = _milliseconds(store, list(asked.values()), depth=data.depth)
    return Tried(
        reduction=reduction,
        name=name,
        quality=quality,
        chunk_bytes=dense_bytes(directory) / len(data.vectors),
        p50_ms=float(np.percentile(times, 50)),
        p95_ms=float(np.percentile(times, 95)),
        build_seconds=seconds,
    )


def _fit(vectors: FloatArray, reduction: ReductionSettings) -> Projection | None:
    if reduction.projection == "none":
        return None
    # As many as an ingestion takes.
    count = max(SAMPLE_CHUNKS, CHUNKS_PER_DIMENSION * reduction.width(vectors.shape[1]))
    rows = np.linspace(0, len(vectors) - 1, min(count, len(vectors))).astype(np.int64)
    sample = vectors[rows]
    return fit_projection(sample, kind=reduction.projection, dimensions=reduction.dimensions)


def _reduced(vectors: FloatArray, projection: Projection | None, width: int) -> FloatArray:
    return truncate(vectors, width) if projection is None else projection.apply(vectors)


def _fill(store: EdgeStore, vectors: FloatArray, document_ids: Sequence[str]) -> None:
    for start in range(0, len(vectors), 1000):
        store.upsert(
            [
                Point(
                    id=str(uuid.UUID(int=row)),
                    dense=vectors[row],
                    sparse=_NO_TERMS,
                    payload={"document_id": document_ids[row]},
                )
                for row in range(start, min(start + 1000, len(vectors)))
            ]
        )
    store.optimize()


def _documents(store: EdgeStore, query: FloatArray, *, depth: int) -> list[tuple[str, float]]:
    best: dict[str, float] = {}
    for hit in store.search_dense(query, limit=depth):
        best.setdefault(hit.payload["document_id"], hit.score)
    return list(best.items())


def _milliseconds(store: EdgeStore, queries: Sequence[FloatArray], *, depth: int) -> list[float]:
    for query in queries[:WARM_UP_QUERIES]:
        store.search_dense(query, limit=depth)
    times = []
    for query in queries[:TIMED_QUERIES]:
        began = perf_counter()
        store.search_dense(query, limit=depth)
        times.append(1000 * (perf_counter() - began))
    return times
