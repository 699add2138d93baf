"""What a writer wrote and closed is what a reader of its published copy finds, and no more."""

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from encoder.base import SparseVector
from indexing.errors import InvalidPointError, StoreError
from indexing.filters import And, AnyOf, Condition, Eq, HasWords, Not, Range
from indexing.published.writer import PublishingStore
from indexing.stores.base import CollectionSpec, Point, VectorStore
from indexing.versions.published_reader import PublishedStore

DIMENSIONS, COUNT = 8, 60
SPEC = CollectionSpec(dimensions=DIMENSIONS)
ROWS = np.random.default_rng(0).standard_normal((COUNT, DIMENSIONS)).astype(np.float32)
VECTORS = ROWS / np.linalg.norm(ROWS, axis=1, keepdims=True)
IDS = [str(uuid.UUID(int=n)) for n in range(COUNT)]
ABSENT = str(uuid.UUID(int=999))
POINTS = [
    Point(
        id=IDS[n],
        dense=VECTORS[n],
        sparse=SparseVector((n % 5, 100 + n), (1.5, 0.5)),
        payload={"document_id": f"d{n}", "source": "ab"[n % 2], "ordinal": n, "text": f"page {n}"},
    )
    for n in range(COUNT)
]
FILTERS: list[Condition | None] = [
    None,
    Eq("source", "a"),
    AnyOf("document_id", ("d1", "d2", "nowhere")),
    Range("ordinal", at_least=10, below=30),
    HasWords("text", "7"),
    Not(Eq("source", "a")),
    And((Eq("source", "b"), Range("ordinal", above=40))),
]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a writer has written, replaced, deleted and optimized, and gone."""
    directory = tmp_path_factory.mktemp("published") / "docs-0001"
    writer = PublishingStore.create(directory, spec=SPEC)
    writer.upsert(
        [*POINTS, Point(id=ABSENT, dense=VECTORS[0], sparse=POINTS[0].sparse, payload={})]
    )
    writer.set_payload({POINTS[3].id: {**POINTS[3].payload, "source": "moved"}})
    writer.delete([ABSENT])
    writer.optimize()
    writer.close()
    return directory


@pytest.fixture(scope="module")
def reader(written: Path) -> Iterator[PublishedStore]:
    store = PublishedStore.open(written, spec=SPEC)
    yield store
    store.close()


@pytest.fixture(scope="module")
def writer(written: Path) -> Iterator[PublishingStore]:
    store = PublishingStore.open(written, spec=SPEC)
    yield store
    store.close()


def test_a_reader_scans_counts_and_reads_what_was_written(reader: PublishedStore) -> None:
    scanned = [point for page in reader.scan(batch_size=25) for point in page]
    assert [point.id for point in scanned] == IDS
    assert reader.count() == COUNT
    assert reader.count(Eq("source", "moved")) == 1
    assert reader.existing([*IDS, ABSENT]) == set(IDS)
    for point, expected in zip(scanned, POINTS, strict=True):
        assert point.sparse == expected.sparse
        assert point.dense is not None
        np.testing.assert_allclose(point.dense, expected.dense, atol=1e-6)
    assert [scanned[n].payload for n in (0, 1)] == [POINTS[n].payload for n in (0, 1)]
    assert scanned[3].payload["source"] == "moved"
    read = {point.id: point.payload for point in reader.read([IDS[7], ABSENT, IDS[3]])}
    assert read == {IDS[n]: scanned[n].payload for n in (7, 3)}


@pytest.mark.parametrize("where", FILTERS, ids=repr)
def test_a_reader_answers_as_its_writer_does(
    reader: PublishedStore, writer: PublishingStore, where: Condition | None
) -> None:
    answers = [_answers(store, where) for store in (reader, writer)]
    assert answers[0] == answers[1]
    assert answers[0][1] > 0


def _answers(store: VectorStore, where: Condition | None) -> tuple[object, ...]:
    dense = [store.search_dense(vector, limit=10, where=where) for vector in VECTORS[:5]]
    terms = [SparseVector((term, 107), (1.0, 2.0)) for term in range(5)]
    sparse = [store.search_sparse(vector, limit=10, where=where) for vector in terms]
    found = {} if where is None else store.payloads(where, limit=20)
    some = store.search_dense(VECTORS[7], limit=10, where=where, fields=["source"])
    known = store.payloads_of(IDS[::3], where=where)
    return dense, store.count(where), sparse, found, some, known


@pytest.mark.parametrize(
    "write",
    [
        lambda store: store.upsert(POINTS[:1]),
        lambda store: store.set_payload({IDS[0]: {}}),
        lambda store: store.delete(IDS[:1]),
        lambda store: store.optimize(),
    ],
    ids=["upsert", "set_payload", "delete", "optimize"],
)
def test_a_reader_refuses_to_write(
    reader: PublishedStore, write: Callable[[PublishedStore], None]
) -> None:
    with pytest.raises(StoreError, match="open for reading"):
        write(reader)
    assert reader.count() == COUNT


def test_a_reader_refuses_a_bad_query_as_every_store_does(reader: PublishedStore) -> None:
    with pytest.raises(InvalidPointError, match="shape"):
        reader.search_dense(VECTORS[0][:3], limit=5)
    with pytest.raises(ValueError, match="`limit` must be at least 1"):
        reader.search_dense(VECTORS[0], limit=0)
    with pytest.raises(InvalidPointError, match="UUID"):
        reader.read(["handbook-17"])


def test_a_closed_reader_says_so_and_closes_twice(written: Path) -> None:
    store = PublishedStore.open(written, spec=SPEC)
    store.close()
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.count()
