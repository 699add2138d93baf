"""Every adapter of the vector store, as fixtures."""

import os
import uuid
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from qdrant_client import QdrantClient

from encoder.base import SparseVector
from indexing.published.writer import PublishingStore
from indexing.stores.base import CollectionSpec, Point, VectorStore
from indexing.stores.edge import EdgeStore
from indexing.stores.server import ServerStore
from indexing.stores.server_collections import delete_collection
from indexing.stores.server_connection import Connection, connect
from indexing.stores.server_settings import ServerSettings

DIMENSIONS = 8
THERE = str(uuid.UUID(int=99))
MakeStore = Callable[..., VectorStore]
"""Takes the dimensions, and more of a CollectionSpec by name."""


def stores_in_folders(
    folder: Path, *, kind: type[EdgeStore] | type[PublishingStore]
) -> Iterator[MakeStore]:
    stores: list[EdgeStore | PublishingStore] = []

    def make(dimensions: int | None, **options: Any) -> VectorStore:
        spec = CollectionSpec(dimensions=dimensions, **options)
        stores.append(kind.create(folder / f"docs-{len(stores)}", spec=spec))
        return stores[-1]

    yield make
    for store in stores:
        store.close()


def client_stores(connect: Callable[[], Connection]) -> Iterator[MakeStore]:
    stores: dict[str, ServerStore] = {}

    def make(dimensions: int | None, **options: Any) -> VectorStore:
        spec = CollectionSpec(dimensions=dimensions, **options)
        name = f"argot-test-{uuid.uuid4()}"
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Payload indexes have no effect in the local")
            stores[name] = ServerStore.create(connect(), collection=name, spec=spec)
        return stores[name]

    yield make
    with connect() as connection:
        for name, store in stores.items():
            store.close()
            delete_collection(connection, name)


def rest_stores(fake_servers: ModuleType) -> Iterator[MakeStore]:
    """Through the client's requests, to a server that answers with the client's own engine."""
    with fake_servers.fake_qdrant() as fake:
        yield from client_stores(lambda: connect(ServerSettings(url=fake.url)))


def make_stores(adapter: str, folder: Path, fake_servers: ModuleType) -> Iterator[MakeStore]:
    if adapter == "edge":
        return stores_in_folders(folder, kind=EdgeStore)
    if adapter == "publishing":
        return stores_in_folders(folder, kind=PublishingStore)
    if adapter == "client":
        return client_stores(lambda: Connection(QdrantClient(":memory:")))
    if adapter == "rest":
        return rest_stores(fake_servers)
    if not QDRANT_URL:
        pytest.skip("needs a Qdrant server: set QDRANT_URL, and QDRANT_API_KEY if it has one")
    api_key = os.environ.get("QDRANT_API_KEY", "")
    return client_stores(lambda: connect(ServerSettings(url=QDRANT_URL, api_key=api_key)))


QDRANT_URL = os.environ.get("QDRANT_URL", "")
HOST = urlsplit(QDRANT_URL).hostname or "127.0.0.1"
ADAPTERS = [
    "edge",
    "publishing",
    "client",
    "rest",
    pytest.param("server", marks=[pytest.mark.server, pytest.mark.allow_hosts([HOST])]),
]


@pytest.fixture(params=ADAPTERS)
def make_store(
    request: pytest.FixtureRequest, tmp_path: Path, fake_servers: ModuleType
) -> Iterator[MakeStore]:
    yield from make_stores(request.param, tmp_path, fake_servers)


@pytest.fixture(scope="module", params=ADAPTERS)
def make_stores_once(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    fake_servers: ModuleType,
) -> Iterator[MakeStore]:
    """Make stores that many tests share."""
    yield from make_stores(request.param, tmp_path_factory.mktemp("shared"), fake_servers)


@pytest.fixture
def store(make_store: MakeStore) -> VectorStore:
    return make_store(DIMENSIONS)


@pytest.fixture(scope="module", params=ADAPTERS)
def refusing_store(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    fake_servers: ModuleType,
) -> Iterator[VectorStore]:
    """A store with one point, for many tests: what they try must change nothing."""
    for make in make_stores(request.param, tmp_path_factory.mktemp("refusing"), fake_servers):
        store = make(DIMENSIONS)
        dense = np.ones(DIMENSIONS, dtype=np.float32)
        there = Point(id=THERE, dense=dense, sparse=SparseVector((1,), (1.0,)), payload={})
        store.upsert([there])
        yield store


@pytest.fixture
def edge_and_client(
    tmp_path: Path, fake_servers: ModuleType
) -> Iterator[tuple[VectorStore, VectorStore]]:
    """Two engines, to compare."""
    makers = [make_stores(name, tmp_path, fake_servers) for name in ("edge", "client")]
    edge, client = (next(maker)(DIMENSIONS) for maker in makers)
    yield edge, client
    for maker in makers:
        next(maker, None)
