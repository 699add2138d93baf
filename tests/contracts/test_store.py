"""What every vector store must do: one suite over every adapter."""

import uuid
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from encoder.base import SparseVector
from indexing.errors import InvalidPointError, StoreError
from indexing.filters import Eq, Range
from indexing.stores.base import Point, ScoredPoint, VectorStore

DIMENSIONS = 8


def point_id(number: int) -> str:
    return str(uuid.UUID(int=number))


def point(number: int, **changes: object) -> Point:
    """A point whose vectors follow from its number, at unit norm."""
    parts = {
        "id": point_id(number),
        "dense": unit(*np.random.default_rng(number).standard_normal(DIMENSIONS)),
        "sparse": SparseVector((number % 5, 100 + number), (1.5, 0.5)),
        "payload": {"document_id": f"d{number}", "source": "handbook", "ordinal": number},
    }
    return Point(**(parts | changes))  # type: ignore[arg-type]


def unit(*values: float) -> npt.NDArray[np.float32]:
    vector = np.zeros(DIMENSIONS, dtype=np.float32)
    vector[: len(values)] = values
    return np.asarray(vector / np.linalg.norm(vector), dtype=np.float32)


def test_points_come_back_as_they_went_in(store: VectorStore):
    payload = {
        "document_id": "a", "source": "wiki", "access": ["user:x", "group:y"], "page": 3,
        "heading_path": ["One", "Two"], "text": "naïve 北京 \x00 \u2028", "protected": True,
        "metadata": {"due date": None, "score": 0.1, "big": 2**62, "empty": [], "n": {"a": {}}},
    }  # fmt: skip
    written = point(7, payload=payload)
    store.upsert([written])
    [[read]] = list(store.scan())
    assert read.id == written.id
    assert read.payload == payload
    assert read.sparse == written.sparse
    assert read.dense is not None
    assert written.dense is not None
    np.testing.assert_allclose(read.dense, written.dense, atol=1e-6)


def test_writing_a_point_again_replaces_it(store: VectorStore):
    store.upsert([point(1), point(2)])
    store.upsert([point(1, payload={"source": "new"})])
    assert store.count() == 2
    assert store.count(Eq("source", "new")) == 1
    assert store.count(Eq("document_id", "d1")) == 0


def test_a_payload_is_replaced_without_its_vectors_and_absent_ids_are_passed_over(
    store: VectorStore,
):
    store.upsert([point(1), point(2)])
    before = store.search_dense(unit(1), limit=2)
    store.set_payload({point_id(2): {"source": "moved"}, point_id(99): {"source": "nowhere"}})
    assert store.count() == 2
    assert [p.payload for [p] in store.scan(batch_size=1)] == [
        point(1).payload,
        {"source": "moved"},
    ]
    assert [(h.id, h.score) for h in store.search_dense(unit(1), limit=2)] == [
        (h.id, h.score) for h in before
    ]
    assert store.count(Eq("source", "moved")) == 1


def test_points_are_read_by_id_as_a_scan_reads_them(store: VectorStore):
    store.upsert([point(n) for n in range(4)])
    scanned = {p.id: p for [p] in store.scan(batch_size=1)}
    read = {p.id: p for p in store.read([point_id(2), point_id(77), point_id(0)])}
    assert read.keys() == {point_id(0), point_id(2)}
    for id_, found in read.items():
        assert found.payload == scanned[id_].payload
        assert found.sparse == scanned[id_].sparse
        assert np.array_equal(found.dense, scanned[id_].dense)
    assert store.read([]) == []


def test_deleting_removes_points_and_forgives_absent_ones(store: VectorStore):
    store.upsert([point(n) for n in range(4)])
    store.delete([point_id(1), point_id(3), point_id(77)])
    assert store.existing([point_id(n) for n in (0, 1, 2, 3, 77)]) == {point_id(0), point_id(2)}
    assert store.count() == 2
    assert point_id(1) not in {hit.id for hit in store.search_dense(unit(1), limit=10)}


def test_payloads_that_match_are_read_in_order_of_id_and_no_more_than_wanted(store: VectorStore):
    store.upsert([point(n) for n in (5, 3, 9, 4)])
    found = store.payloads(Range("ordinal", at_least=4), limit=2)
    assert list(found.items()) == [(point_id(n), point(n).payload) for n in (4, 5)]
    assert list(store.payloads(Range("ordinal", at_least=4), limit=50)) == [
        point_id(n) for n in (4, 5, 9)
    ]
    assert store.payloads(Eq("source", "absent"), limit=5) == {}
    with pytest.raises(ValueError, match="`limit` must be at least 1"):
        store.payloads(Eq("source", "handbook"), limit=0)


def test_payloads_are_read_by_id_and_only_of_points_that_match(store: VectorStore):
    points = {n: point(n) for n in range(1, 6)}
    store.upsert(list(points.values()))
    wanted = [point_id(n) for n in (4, 2, 99, 3)]

    assert store.payloads_of(wanted) == {point_id(n): points[n].payload for n in (2, 3, 4)}
    where = Range("ordinal", at_least=3)
    assert store.payloads_of(wanted, where=where) == {
        point_id(n): points[n].payload for n in (3, 4)
    }
    assert store.payloads_of([], where=where) == {}
    with pytest.raises(InvalidPointError):
        store.payloads_of(["no uuid"])


def test_a_search_brings_the_fields_of_payloads_that_were_asked_for(store: VectorStore):
    store.upsert([point(1), point(2, payload={"source": "other"})])
    words = SparseVector((1, 2), (1.0, 1.0))

    def payloads(fields: list[str] | None) -> list[dict[str, dict[str, object]]]:
        found = (
            store.search_dense(unit(1), limit=5, fields=fields),
            store.search_sparse(words, limit=5, fields=fields),
        )
        return [{hit.id: dict(hit.payload) for hit in hits} for hits in found]

    first, second = point(1).payload, {"source": "other"}
    assert payloads(None) == 2 * [{point_id(1): first, point_id(2): second}]
    assert payloads([]) == 2 * [{point_id(1): {}, point_id(2): {}}]
    some = {"source": "handbook", "document_id": "d1"}
    assert payloads(["source", "document_id"]) == 2 * [{point_id(1): some, point_id(2): second}]


def test_nothing_is_a_fine_answer(store: VectorStore):
    assert store.count() == 0
    assert store.existing([]) == set()
    assert list(store.scan()) == []
    assert store.search_dense(unit(1), limit=5) == []
    assert store.search_sparse(SparseVector((1,), (1.0,)), limit=5) == []
    store.upsert([])
    store.delete([])
    store.set_payload({})
    store.optimize()
    store.flush()
    assert store.count() == 0


def test_dense_search_ranks_by_cosine(store: VectorStore):
    points = [point(n) for n in range(200)]
    store.upsert(points)
    query = unit(3, -1, 2)
    hits = store.search_dense(query, limit=10)
    cosines = {p.id: float(np.dot(query, p.dense)) for p in points if p.dense is not None}
    assert [hit.id for hit in hits] == sorted(cosines, key=lambda i: (-cosines[i], i))[:10]
    assert [hit.score for hit in hits] == pytest.approx([cosines[hit.id] for hit in hits], abs=1e-5)
    assert hits[0].payload["source"] == "handbook"


def test_sparse_search_ranks_by_idf_weighted_dot_product(store: VectorStore):
    rare, common = SparseVector((1, 2), (1.0, 1.0)), SparseVector((2,), (1.2,))
    store.upsert([point(0, sparse=rare), *(point(n, sparse=common) for n in range(1, 9))])
    hits = store.search_sparse(SparseVector((1, 2, 3), (1.0, 1.0, 1.0)), limit=9)

    def idf(having: int) -> float:
        return float(np.log(1 + (9 - having + 0.5) / (having + 0.5)))

    assert [hit.id for hit in hits] == [point_id(n) for n in range(9)], "best first, ties by id"
    assert hits[0].score == pytest.approx(idf(1) + idf(9), rel=1e-5)
    assert hits[1].score == pytest.approx(1.2 * idf(9), rel=1e-5)


def test_a_search_without_terms_finds_nothing(store: VectorStore):
    store.upsert([point(1), point(2, sparse=SparseVector((), ()))])
    assert store.search_sparse(SparseVector((), ()), limit=5) == []
    assert len(store.search_dense(unit(1), limit=5)) == 2


def test_a_filter_holds_for_both_kinds_of_search(store: VectorStore):
    same = SparseVector((1,), (1.0,))
    store.upsert([point(n, sparse=same, payload={"ordinal": n}) for n in range(20)])
    where = Range("ordinal", at_least=5, at_most=8)
    expected = {point_id(n) for n in range(5, 9)}
    assert {hit.id for hit in store.search_dense(unit(1), limit=20, where=where)} == expected
    assert {hit.id for hit in store.search_sparse(same, limit=20, where=where)} == expected


def test_a_scan_reads_every_point_once_in_order_of_id(store: VectorStore):
    numbers = [int(n) for n in np.random.default_rng(0).permutation(150)]
    store.upsert([point(n) for n in numbers])
    pages = list(store.scan(batch_size=64))
    assert [len(page) for page in pages] == [64, 64, 22]
    assert [p.id for page in pages for p in page] == [point_id(n) for n in range(150)]


def test_a_collection_without_dense_vectors_is_searched_by_words(
    make_store: Callable[[int | None], VectorStore],
):
    store = make_store(None)
    store.upsert([point(1, dense=None), point(2, dense=None)])
    assert [hit.id for hit in store.search_sparse(SparseVector((1,), (1.0,)), limit=5)] == [
        point_id(1)
    ]
    assert [p.dense for page in store.scan() for p in page] == [None, None]
    with pytest.raises(InvalidPointError, match="no dense vectors"):
        store.search_dense(unit(1), limit=5)
    with pytest.raises(InvalidPointError, match="no dense vectors"):
        store.upsert([point(3)])


def test_a_closed_store_says_so_and_closes_twice(store: VectorStore):
    store.upsert([point(1)])
    store.close()
    store.close()
    for use in (store.count, store.flush, lambda: store.upsert([point(2)])):
        with pytest.raises(StoreError, match="closed"):
            use()


def test_two_engines_give_the_same_answers(edge_and_client: tuple[VectorStore, VectorStore]):
    rng = np.random.default_rng(0)

    def terms(count: int) -> SparseVector:
        indices = rng.choice(50, count, replace=False)
        return SparseVector(tuple(map(int, indices)), tuple(map(float, rng.uniform(1, 2, count))))

    points = [point(n, sparse=terms(6)) for n in range(300)]
    for store in edge_and_client:
        store.upsert(points)
    for n in range(20):
        where = [None, Range("ordinal", at_least=100)][n % 2]
        dense, sparse = unit(*rng.standard_normal(DIMENSIONS)), terms(4)
        assert_same_answer(
            *(store.search_dense(dense, limit=10, where=where) for store in edge_and_client)
        )
        assert_same_answer(
            *(store.search_sparse(sparse, limit=300, where=where) for store in edge_and_client)
        )


def assert_same_answer(ours: list[ScoredPoint], theirs: list[ScoredPoint]) -> None:
    """The same points with the same scores, and so in an order that these allow."""
    assert [hit.score for hit in ours] == pytest.approx([hit.score for hit in theirs], abs=1e-5)
    scores = {hit.id: hit.score for hit in theirs}
    assert {hit.id: hit.score for hit in ours} == pytest.approx(scores, abs=1e-5)
