"""The server adapter refuses a collection that would answer wrongly."""

import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest
from qdrant_client import QdrantClient, models

from indexing.errors import NoIndexError, StoreError
from indexing.stores.base import CollectionSpec
from indexing.stores.retries import RetryPolicy
from indexing.stores.server import ServerStore
from indexing.stores.server_connection import Connection, connect
from indexing.stores.server_settings import ServerSettings

SPEC = CollectionSpec(dimensions=4, keyword_fields=(), boolean_fields=())


@pytest.fixture
def connection() -> Iterator[Connection]:
    with Connection(QdrantClient(":memory:")) as connection:
        yield connection


def test_a_collection_opens_only_as_what_it_is(connection: Connection):
    ServerStore.create(connection, collection="docs", spec=SPEC)
    assert ServerStore.open(connection, collection="docs", spec=SPEC).count() == 0
    for dimensions in (5, None):
        with pytest.raises(StoreError, match=r"must hold the vectors"):
            ServerStore.open(
                connection, collection="docs", spec=CollectionSpec(dimensions=dimensions)
            )
    with pytest.raises(StoreError, match="'docs' exists"):
        ServerStore.create(connection, collection="docs", spec=SPEC)
    with pytest.raises(NoIndexError, match="must be a collection 'others'; found none"):
        ServerStore.open(connection, collection="others", spec=SPEC)


def test_a_collection_whose_words_all_weigh_the_same_is_refused(connection: Connection):
    connection.client.create_collection(
        "docs",
        vectors_config={"dense": models.VectorParams(size=4, distance=models.Distance.COSINE)},
        sparse_vectors_config={"bm25": models.SparseVectorParams()},
    )
    with pytest.raises(StoreError, match="must have the IDF modifier"):
        ServerStore.open(connection, collection="docs", spec=SPEC)


def test_a_server_that_is_not_there_is_an_error_with_a_hint():
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    settings = ServerSettings(url=f"http://127.0.0.1:{port}")
    with connect(settings, retries=RetryPolicy(attempts=1)) as connection:
        says = r"collection 'docs': the server could not tell whether it exists.*\nhint: is it run"
        with pytest.raises(StoreError, match=says):
            ServerStore.open(connection, collection="docs", spec=SPEC)


def test_the_embedded_engine_is_used_without_importing_the_client():
    code = "import sys, indexing.versions.collection; sys.exit('qdrant_client' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
