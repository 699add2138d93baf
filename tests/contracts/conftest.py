"""Every adapter of the vector store, as fixtures."""

import os
import uuid
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from qdrant_client import QdrantClient

from encoder.base import SparseVector
from indexing.stores.base import CollectionSpec, Point, VectorStore
from indexing.stores.edge import EdgeStore
from indexing.stores.server import ServerStore, connect

DIMENSIONS = 8
THERE = str(uuid.UUID(int=99))
MakeStore = Callable[[int | None], VectorStore]


def edge_stores(folder: Path) -> Iterator[MakeStore]:
    stores: list[EdgeStore] = []

    def make(dimensions: int | None) -> VectorStore:
        spec = CollectionSpec(dimensions=dimensions)
        stores.append(EdgeStore.create(folder / f"docs-{len(stores)}", spec=spec))
        return stores[-1]

    yield make
    for store in stores:
        store.close()


def client_stores(client: QdrantClient) -> Iterator[MakeStore]:
    names: list[str] = []

    def make(dimensions: int | None) -> VectorStore:
        names.append(f"argot-test-{uuid.uuid4()}")
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Payload indexes have no effect in the local")
            return ServerStore.create(
                client, collection=names[-1], spec=CollectionSpec(dimensions=dimensions)
            )

    yield make
    for name in names:
        client.delete_collection(name)
    client.close()


def make_stores(adapter: str, folder: Path) -> Iterator[MakeStore]:
    if adapter == "edge":
        return edge_stores(folder)
    if adapter == "client":
        return client_stores(QdrantClient(":memory:"))
    url = os.environ.get("ARGOT_TEST_QDRANT_URL")
    if not url:
        pytest.skip("needs a Qdrant server: set ARGOT_TEST_QDRANT_URL")
    return client_stores(connect(url, api_key=os.environ.get("ARGOT_TEST_QDRANT_API_KEY")))


ADAPTERS = ["edge", "client", pytest.param("server", marks=pytest.mark.server)]


@pytest.fixture(params=ADAPTERS)
def make_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakeStore]:
    yield from make_stores(request.param, tmp_path)


@pytest.fixture
def store(make_store: MakeStore) -> VectorStore:
    return make_store(DIMENSIONS)


@pytest.fixture(scope="module", params=ADAPTERS)
def refusing_store(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[VectorStore]:
    """A store with one point, for many tests: what they try must change nothing."""
    for make in make_stores(request.param, tmp_path_factory.mktemp("refusing")):
        store = make(DIMENSIONS)
        dense = np.ones(DIMENSIONS, dtype=np.float32)
        there = Point(id=THERE, dense=dense, sparse=SparseVector((1,), (1.0,)), payload={})
        store.upsert([there])
        yield store


@pytest.fixture
def edge_and_client(tmp_path: Path) -> Iterator[tuple[VectorStore, VectorStore]]:
    """Two engines, to compare."""
    makers = [make_stores(name, tmp_path) for name in ("edge", "client")]
    edge, client = (next(maker)(DIMENSIONS) for maker in makers)
    yield edge, client
    for maker in makers:
        next(maker, None)
