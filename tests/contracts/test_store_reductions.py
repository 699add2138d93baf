"""What every vector store must do whatever it makes of the vectors: storage, codes, two stages."""

import uuid
import warnings
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from encoder.base import FloatArray, SparseVector
from indexing.filters import Range
from indexing.reduction.settings import QUANTIZATIONS, STORAGES
from indexing.stores.base import Point, VectorStore

WIDTH = 32
COUNT = 400
REDUCTIONS = [
    *({"storage": storage} for storage in STORAGES[1:]),
    # Sign bits of so few dimensions tell little.
    *({"quantization": codes, "oversampling": 40.0} for codes in QUANTIZATIONS[1:]),
    {"small_dimensions": 12, "oversampling": 8.0, "storage": "turbo8"},
    {"quantization": "tq4", "storage": "f16"},
]


def spread(count: int, *, seed: int) -> FloatArray:
    """Unit vectors whose first dimensions tell most, as a Matryoshka encoder's do: ``[N, D]``."""
    spectrum = np.arange(1, WIDTH + 1) ** -0.8
    rows = np.random.default_rng(seed).standard_normal((count, WIDTH)) * spectrum
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


VECTORS, QUERIES = spread(COUNT, seed=0), spread(10, seed=1)
POINTS = [
    Point(
        id=str(uuid.UUID(int=row)),
        dense=vector,
        sparse=SparseVector((row % 5,), (1.0,)),
        payload={"ordinal": row},
    )
    for row, vector in enumerate(VECTORS)
]


def label(options: dict[str, object]) -> str:
    return "-".join(map(str, options.values()))


@pytest.fixture(scope="module", params=REDUCTIONS, ids=label)
def reduced(
    request: pytest.FixtureRequest, make_stores_once: Callable[..., VectorStore]
) -> Iterator[VectorStore]:
    """A store for all tests: what they write changes nothing."""
    store = make_stores_once(WIDTH, **request.param)
    store.upsert(POINTS)
    store.optimize()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*local mode")
        yield store


def test_the_nearest_are_found_and_scored_by_the_stored_vectors(reduced: VectorStore):
    found = [reduced.search_dense(query, limit=10) for query in QUERIES]
    cosines = QUERIES @ VECTORS.T
    best = [{POINTS[row].id for row in order[:10]} for order in np.argsort(-cosines, axis=1)]
    shares = [
        len(ids & {hit.id for hit in hits}) / 10 for ids, hits in zip(best, found, strict=True)
    ]
    assert np.mean(shares) >= 0.9
    for row, hits in enumerate(found):
        exact = [cosines[row, uuid.UUID(hit.id).int] for hit in hits]
        assert [hit.score for hit in hits] == pytest.approx(exact, abs=0.01)
        assert hits == sorted(hits, key=lambda hit: (-hit.score, hit.id))


def test_a_filter_holds_in_every_stage(reduced: VectorStore):
    where = Range("ordinal", at_least=COUNT - 7)
    found = reduced.search_dense(QUERIES[0], limit=20, where=where)
    assert {hit.payload["ordinal"] for hit in found} == set(range(COUNT - 7, COUNT))


def test_what_is_scanned_can_be_written_back(reduced: VectorStore):
    [page] = reduced.scan(batch_size=COUNT)
    for point in page[:20]:
        assert point.dense is not None
        assert point.dense.shape == (WIDTH,)
        assert np.linalg.norm(point.dense) == pytest.approx(1, abs=0.02)
        assert point.dense @ VECTORS[point.payload["ordinal"]] >= 0.999
    before = reduced.search_dense(QUERIES[1], limit=5)
    reduced.upsert(page)
    after = reduced.search_dense(QUERIES[1], limit=5)
    assert reduced.count() == COUNT
    assert after[0].id == before[0].id
    assert [hit.score for hit in after] == pytest.approx([h.score for h in before], abs=0.005)
