"""A small library of chunks in a real index, and searchers over it."""

import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from typing import Any

import pytest

from encoder.base import DenseEncoder
from encoder.bm25 import Bm25Encoder, Bm25Settings
from encoder.fake import HashingEncoder
from indexing.stores.base import Point
from indexing.versions.collection import create_index
from retriever.search import Searcher
from retriever.settings import SearchSettings

ChunkFields = dict[str, Any]
MakeSearcher = Callable[..., Searcher]

PUBLIC: list[ChunkFields] = [
    {
        "document_id": "leave",
        "text": "Employees get thirty days of annual leave.",
        "title": "Time off",
        "uri": "file:///handbook/leave.pdf",
        "page": 3,
        "start": 100,
        "end": 142,
        "heading_path": ["Handbook", "Vacation"],
        "metadata": {"language": "en", "year": 2024, "title": "the source's own title"},
    },
    {"document_id": "leave", "text": "Unused leave expires in March.", "ordinal": 1},
    {"document_id": "pay", "text": "Salaries are paid on the last day of the month."},
    {"document_id": "parking", "text": "Parking spaces are shared.", "metadata": {"year": 2023}},
    {"document_id": "travel", "text": "Book trains early.", "source": "intranet"},
]
SECRET: list[ChunkFields] = [
    {
        "document_id": "bonus",
        "text": "The leave bonus of directors is secret.",
        "access": ["group:board"],
        "protected": True,
    },
    {"document_id": "nobody", "text": "Nobody reads this leave note.", "protected": True},
]


def _point(fields: ChunkFields, *, dense: DenseEncoder | None) -> Point:
    payload: ChunkFields = {
        "source": "handbook",
        "ordinal": 0,
        "title": "",
        "uri": "",
        "start": 0,
        "end": 1,
        "heading_path": [],
        "metadata": {},
        "protected": False,
        **fields,
    }
    text = "\n".join((payload["title"], *payload["heading_path"], payload["text"]))
    return Point(
        id=str(uuid.uuid5(uuid.NAMESPACE_URL, payload["document_id"] + payload["text"])),
        dense=None if dense is None else dense.encode_documents([text])[0],
        sparse=Bm25Encoder().encode_documents([text])[0],
        payload=payload,
    )


@pytest.fixture(scope="session")
def make_searcher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeSearcher]:
    """Make searchers over chunks that are given by the payload fields that matter."""
    with ExitStack() as opened:

        def make(
            chunks: Sequence[ChunkFields],
            *,
            indexed_with: DenseEncoder | None,
            dense: DenseEncoder | None,
            **settings: Any,
        ) -> Searcher:
            folder = tmp_path_factory.mktemp("indexes")
            index = opened.enter_context(
                create_index(folder, dense=indexed_with, chunker={}, bm25=asdict(Bm25Settings()))
            )
            index.store.upsert([_point(fields, dense=indexed_with) for fields in chunks])
            chosen = SearchSettings(**settings)
            return Searcher(index, sparse=Bm25Encoder(), dense=dense, settings=chosen)

        yield make


@pytest.fixture(scope="session")
def encoder() -> HashingEncoder:
    return HashingEncoder(256)


@pytest.fixture(scope="session")
def chunks() -> list[ChunkFields]:
    """Chunks that anybody may see."""
    return PUBLIC


@pytest.fixture(scope="session")
def searcher(make_searcher: MakeSearcher, encoder: HashingEncoder) -> Searcher:
    """Over chunks that anybody may see."""
    return make_searcher(PUBLIC, indexed_with=encoder, dense=encoder)


@pytest.fixture(scope="session")
def protected_searcher(make_searcher: MakeSearcher, encoder: HashingEncoder) -> Searcher:
    """Over the same chunks, one for ``group:board`` and one for nobody."""
    return make_searcher(PUBLIC + SECRET, indexed_with=encoder, dense=encoder)
