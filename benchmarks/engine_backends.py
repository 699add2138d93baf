"""The backends that `engine.py` compares: each is filled and searched through its own interface."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from time import perf_counter
from typing import Any

from engine_data import WIDTH, PreparedTerms, PreparedVectors, id_of, tenant_of

from indexing.files.disk import MEBIBYTE, allocated_bytes
from indexing.filters import Eq
from indexing.stores.base import Point
from indexing.versions.collection import OpenIndex, create_index
from indexing.versions.description import set_live
from retriever.search import Searcher

BATCH = 500
DEPTH, RRF_K, K = 50, 60, 10

Search = Callable[[str], list[str]]
"""Takes a query, gives the ids of its best chunks."""


@dataclass(frozen=True, slots=True)
class Filled:
    """A backend that holds all chunks."""

    searches: dict[str, Search]
    """By kind: ``dense``, ``hybrid``, ``filtered`` (hybrid among 1 % of the chunks)."""

    build_seconds: float
    """What the vectors took to make is not counted."""

    disk_mib: float
    vectors: PreparedVectors
    """What the backend takes its vectors from."""


def fill_argot(folder: Path, *, chunks: int) -> Filled:
    """Fill an embedded index, optimize it, and search it through the retriever."""
    vectors = PreparedVectors()
    terms = PreparedTerms(vectors)
    index = create_index(folder / "indexes", dense=vectors, chunker={}, bm25={})
    began = perf_counter()
    for start in range(0, chunks, BATCH):
        numbers = range(start, min(chunks, start + BATCH))
        texts = [str(number) for number in numbers]
        rows = zip(numbers, vectors.encode_documents(texts), vectors.terms_of(texts), strict=True)
        index.store.upsert(
            [
                Point(id=id_of(number), dense=dense, sparse=sparse, payload=payload(number))
                for number, dense, sparse in rows
            ]
        )
        index.store.flush()
    index.store.optimize()
    set_live(folder / "indexes", index.version.name)
    seconds = perf_counter() - began - vectors.seconds
    disk = allocated_bytes(folder / "indexes" / index.version.name / "shard") / MEBIBYTE
    return Filled(_argot_searches(index, vectors, terms), seconds, disk, vectors)


def payload(number: int) -> dict[str, object]:
    """What a chunk carries."""
    return {
        "document_id": f"d{number}",
        "source": tenant_of(number),
        "text": str(number),
        "title": "",
        "uri": "",
        "page": None,
        "span": [0, 1],
        "heading_path": [],
        "metadata": {},
        "protected": False,
    }


def _argot_searches(
    index: OpenIndex, vectors: PreparedVectors, terms: PreparedTerms
) -> dict[str, Search]:
    searcher = Searcher(index, sparse=terms, dense=vectors)

    def search(query: str, **options: Any) -> list[str]:  # noqa: ANN401
        hits = searcher.search(query, k=K, depth=DEPTH, **options)
        return [id_of(int(hit.text)) for hit in hits]

    return {
        "dense": lambda query: search(query, mode="dense"),
        "hybrid": lambda query: search(query, mode="hybrid"),
        "filtered": lambda query: search(query, mode="hybrid", where=Eq("source", tenant_of(7))),
    }


def fill_client(folder: Path, *, chunks: int) -> Filled:
    """Fill qdrant-client's local mode, in memory."""
    del folder
    from qdrant_client import models

    client, vectors = _local_client(), PreparedVectors()
    began = perf_counter()
    for start in range(0, chunks, BATCH):
        numbers = range(start, min(chunks, start + BATCH))
        texts = [str(number) for number in numbers]
        rows = zip(numbers, vectors.encode_documents(texts), vectors.terms_of(texts), strict=True)
        client.upsert(
            "docs",
            [
                models.PointStruct(
                    id=id_of(number),
                    vector={"dense": dense.tolist(), "sparse": _sparse(sparse)},
                    payload={"metadata": {"source": tenant_of(number)}},
                )
                for number, dense, sparse in rows
            ],
        )
    seconds = perf_counter() - began - vectors.seconds
    return Filled(_client_searches(client, vectors), seconds, 0.0, vectors)


def _client_searches(client: Any, vectors: PreparedVectors) -> dict[str, Search]:  # noqa: ANN401
    from qdrant_client import models

    def dense(query: str) -> list[str]:
        vector = vectors.encode_queries([query])[0].tolist()
        found = client.query_points("docs", query=vector, using="dense", limit=K)
        return [str(point.id) for point in found.points]

    def hybrid(query: str, where: Any = None) -> list[str]:  # noqa: ANN401
        sides = {
            "dense": vectors.encode_queries([query])[0].tolist(),
            "sparse": _sparse(vectors.terms_of([query])[0]),
        }
        found = client.query_points(
            "docs",
            prefetch=[
                models.Prefetch(query=vector, using=name, limit=DEPTH, filter=where)
                for name, vector in sides.items()
            ],
            query=models.RrfQuery(rrf=models.Rrf(k=RRF_K)),
            limit=K,
        )
        return [str(point.id) for point in found.points]

    where = _of_one_tenant()
    return {"dense": dense, "hybrid": hybrid, "filtered": lambda query: hybrid(query, where)}


def fill_langchain(folder: Path, *, chunks: int) -> Filled:
    """Fill langchain-qdrant's store over the local mode, in memory, with its own fusion."""
    del folder
    from langchain_core.embeddings import Embeddings

    library = import_module("langchain_qdrant")
    vectors = PreparedVectors()

    class Dense(Embeddings):
        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            return [[float(value) for value in row] for row in vectors.encode_documents(texts)]

        def embed_query(self, text: str) -> list[float]:
            return self.embed_documents([text])[0]

    class Sparse(library.SparseEmbeddings):  # type: ignore[misc, name-defined]
        def embed_documents(self, texts: list[str]) -> list[Any]:
            return [
                library.SparseVector(indices=list(terms.indices), values=list(terms.values))
                for terms in vectors.terms_of(texts)
            ]

        def embed_query(self, text: str) -> Any:  # noqa: ANN401
            return self.embed_documents([text])[0]

    def store(mode: str) -> Any:  # noqa: ANN401
        return library.QdrantVectorStore(
            client=client,
            collection_name="docs",
            embedding=Dense(),
            sparse_embedding=Sparse(),
            retrieval_mode=library.RetrievalMode(mode),
            vector_name="dense",
            sparse_vector_name="sparse",
        )

    client = _local_client()
    hybrid, dense = store("hybrid"), store("dense")
    began, before = perf_counter(), vectors.seconds
    for start in range(0, chunks, BATCH):
        numbers = range(start, min(chunks, start + BATCH))
        hybrid.add_texts(
            [str(number) for number in numbers],
            metadatas=[{"source": tenant_of(number)} for number in numbers],
            ids=[id_of(number) for number in numbers],
        )
    seconds = perf_counter() - began - (vectors.seconds - before)

    def ids(found: Sequence[Any]) -> list[str]:
        return [id_of(int(document.page_content)) for document in found]

    where = _of_one_tenant()
    searches: dict[str, Search] = {
        "dense": lambda query: ids(dense.similarity_search(query, k=K)),
        "hybrid": lambda query: ids(hybrid.similarity_search(query, k=K)),
        "filtered": lambda query: ids(hybrid.similarity_search(query, k=K, filter=where)),
    }
    return Filled(searches, seconds, 0.0, vectors)


def _local_client() -> Any:  # noqa: ANN401
    from qdrant_client import QdrantClient, models

    client = QdrantClient(":memory:")
    client.create_collection(
        "docs",
        vectors_config={"dense": models.VectorParams(size=WIDTH, distance=models.Distance.COSINE)},
        sparse_vectors_config={"sparse": models.SparseVectorParams(modifier=models.Modifier.IDF)},
    )
    return client


def _sparse(terms: Any) -> Any:  # noqa: ANN401
    from qdrant_client import models

    return models.SparseVector(indices=list(terms.indices), values=list(terms.values))


def _of_one_tenant() -> Any:  # noqa: ANN401
    from qdrant_client import models

    match = models.MatchValue(value=tenant_of(7))
    return models.Filter(must=[models.FieldCondition(key="metadata.source", match=match)])


BACKENDS: dict[str, Callable[..., Filled]] = {
    "argot": fill_argot,
    "qdrant-client, local": fill_client,
    "langchain-qdrant, local": fill_langchain,
}
"""Each takes a folder of its own and the number of chunks."""
