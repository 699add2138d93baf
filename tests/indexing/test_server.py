"""The server adapter refuses a collection that would answer wrongly."""

import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest
from qdrant_client import QdrantClient, models

from indexing.errors import NoIndexError, StoreError
from indexing.stores.base import CollectionSpec
from indexing.stores.server import ServerStore

SPEC = CollectionSpec(dimensions=4, keyword_fields=())


@pytest.fixture
def client() -> Iterator[QdrantClient]:
    client = QdrantClient(":memory:")
    yield client
    client.close()


def test_a_collection_opens_only_as_what_it_is(client: QdrantClient):
    ServerStore.create(client, collection="docs", spec=SPEC)
    assert ServerStore.open(client, collection="docs", spec=SPEC).count() == 0
    for dimensions in (5, None):
        with pytest.raises(StoreError, match=r"must hold the vectors"):
            ServerStore.open(client, collection="docs", spec=CollectionSpec(dimensions=dimensions))
    with pytest.raises(StoreError, match="'docs' exists"):
        ServerStore.create(client, collection="docs", spec=SPEC)
    with pytest.raises(NoIndexError, match="must be a collection 'others'; found none"):
        ServerStore.open(client, collection="others", spec=SPEC)


def test_a_collection_whose_words_all_weigh_the_same_is_refused(client: QdrantClient):
    client.create_collection(
        "docs",
        vectors_config={"dense": models.VectorParams(size=4, distance=models.Distance.COSINE)},
        sparse_vectors_config={"bm25": models.SparseVectorParams()},
    )
    with pytest.raises(StoreError, match="must have the IDF modifier"):
        ServerStore.open(client, collection="docs", spec=SPEC)


def test_a_server_that_is_not_there_is_an_error_with_a_hint():
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    # The client's own look at the server's version warns from a thread of its own.
    client = QdrantClient(url=f"http://127.0.0.1:{port}", check_compatibility=False)
    with pytest.raises(StoreError, match=r"could not open in collection 'docs'.*\nhint: is it run"):
        ServerStore.open(client, collection="docs", spec=SPEC)
    client.close()


def test_the_embedded_engine_is_used_without_importing_the_client():
    code = "import sys, indexing.collection; sys.exit('qdrant_client' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
