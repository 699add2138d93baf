"""What every vector store must do whatever it makes of the vectors: storage, codes, two stages."""

import uuid
import warnings
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from encoder.base import FloatArray, SparseVector
from indexing.filters import Range
from indexing.published.writer import PublishingStore
from indexing.reduction.settings import QUANTIZATIONS, STORAGES
from indexing.stores.base import CollectionSpec, Point, VectorStore
from indexing.stores.edge import EdgeStore
from indexing.stores.server_forms import dense_plan

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


def test_without_rescoring_the_first_stage_scores_and_orders_alone(reduced: VectorStore):
    small, codes = reduced.spec.small_dimensions, reduced.spec.quantization
    in_process = isinstance(reduced, EdgeStore | PublishingStore)
    for query in QUERIES:
        on = reduced.search_dense(query, limit=10, rescore=True)
        off = reduced.search_dense(query, limit=10, rescore=False)
        assert on == reduced.search_dense(query, limit=10)
        assert off == sorted(off, key=lambda hit: (-hit.score, hit.id))
        if small is not None:
            found = np.array([VECTORS[uuid.UUID(hit.id).int, :small] for hit in off])
            cosines = found @ query[:small] / np.linalg.norm(found, axis=1)
            exact = cosines / np.linalg.norm(query[:small])
            assert [hit.score for hit in off] == pytest.approx(exact, abs=0.02)
        elif not reduced.spec.begins_small:
            assert off == on
        # the client in memory makes no codes, the engine int8 and product ones of long segments
        elif in_process and codes not in ("int8", "product"):
            assert [hit.score for hit in off] != [hit.score for hit in on]


@pytest.mark.parametrize("rescore", [True, False])
def test_a_filter_holds_in_every_stage(reduced: VectorStore, *, rescore: bool):
    where = Range("ordinal", at_least=COUNT - 7)
    found = reduced.search_dense(QUERIES[0], limit=20, where=where, rescore=rescore)
    assert {hit.payload["ordinal"] for hit in found} == set(range(COUNT - 7, COUNT))


@pytest.mark.parametrize("rescore", [True, False])
def test_a_server_is_asked_to_rescore_or_not_to(*, rescore: bool):
    coded = CollectionSpec(dimensions=WIDTH, quantization="tq4", oversampling=5.0)
    plan = dense_plan(QUERIES[0], coded, limit=3, where=None, rescore=rescore)
    asked = plan["search_params"].quantization
    assert (asked.rescore, asked.oversampling) == (rescore, 5.0 if rescore else None)
    small = CollectionSpec(dimensions=WIDTH, small_dimensions=4, oversampling=5.0)
    plan = dense_plan(QUERIES[0], small, limit=3, where=None, rescore=rescore)
    assert (len(plan["query"]), "prefetch" in plan) == ((WIDTH, True) if rescore else (4, False))


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
