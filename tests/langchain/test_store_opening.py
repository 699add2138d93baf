"""The event loop goes on while a vector store opens its index or moves to another version."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from argot.langchain.index import ArgotDocumentIndex
from argot.langchain.store import ArgotVectorStore
from argot.project import Project
from argot.searching import OpenSearch
from encoder.fake import HashingEncoder
from indexing.errors import NoIndexError

TEXT = "annual leave"


class Gate:
    """Something slow that ends only when the event loop says so."""

    def __init__(self) -> None:
        self.begun, self.may_end = threading.Event(), threading.Event()
        self.passed = 0

    def __call__(self) -> None:
        self.begun.set()
        assert self.may_end.wait(10), "the event loop was held up"
        self.passed += 1

    async def opened_by_the_loop(self) -> None:
        assert await asyncio.to_thread(self.begun.wait, 10)
        self.may_end.set()


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Gate:
    """Opening an index takes as long as the event loop lets it."""
    gate = Gate()
    opening = Project.search_session

    def slow(project: Project, **options: Any) -> OpenSearch:
        gate()
        return opening(project, **options)

    monkeypatch.setattr(Project, "search_session", slow)
    return gate


WAYS: dict[str, Callable[[ArgotVectorStore], Any]] = {
    "search": lambda store: store.asimilarity_search("leave"),
    "with score": lambda store: store.asimilarity_search_with_score("leave"),
    "relevance": lambda store: store.asimilarity_search_with_relevance_scores("leave"),
    "mmr": lambda store: store.amax_marginal_relevance_search("leave"),
    "vector": lambda store: store.asimilarity_search_by_vector([1.0] * 64),
    "retriever": lambda store: store.as_retriever().ainvoke("leave"),
    "index": lambda store: ArgotDocumentIndex(store=store).ainvoke("leave"),
    "ids": lambda store: store.aget_by_ids(["a"]),
}


@pytest.mark.filterwarnings("ignore::langchain_core._api.LangChainBetaWarning")
@pytest.mark.parametrize("way", list(WAYS))
async def test_the_first_search_opens_the_index_beside_the_event_loop(
    store: ArgotVectorStore, gate: Gate, way: str
):
    store.add_texts([TEXT], ids=["a"])
    found, others, _ = await asyncio.gather(
        WAYS[way](store), WAYS[way](store), gate.opened_by_the_loop()
    )
    assert len(found) == len(others) == 1
    assert gate.passed == 1


async def test_a_search_waits_for_a_refresh_beside_the_event_loop(
    store: ArgotVectorStore, monkeypatch: pytest.MonkeyPatch
):
    gate, load = Gate(), Project.encoder_of
    gate.may_end.set()

    def slow(project: Project, version: Any, **options: Any) -> Any:
        gate()
        return load(project, version, **options)

    monkeypatch.setattr(Project, "encoder_of", slow)
    store.add_texts([TEXT], ids=["a"])
    assert await store.asimilarity_search("leave")
    go_live_with_another_encoder(store)
    gate.begun.clear()
    gate.may_end.clear()
    refreshing = asyncio.create_task(asyncio.to_thread(store.refresh))
    assert await asyncio.to_thread(gate.begun.wait, 10)
    asked = asyncio.create_task(store.asimilarity_search("leave"))
    await asyncio.sleep(0.01)
    gate.may_end.set()
    await refreshing
    assert [document.id for document in await asked] == ["a"]


def go_live_with_another_encoder(store: ArgotVectorStore) -> None:
    root = store.project.paths.root
    (root / "docs").mkdir()
    (root / "docs" / "other.txt").write_text("Travel by train.", encoding="utf-8")
    (root / "argot.toml").write_text("[[sources]]\nname = 'docs'\npath = 'docs'\n")
    project = Project.open(root)
    project.encoder = HashingEncoder(128)
    assert not project.ingest(rebuild=True).failed
    store.project.encoder = HashingEncoder(128)


def test_a_store_of_nothing_is_opened_when_there_is_something(store: ArgotVectorStore):
    assert store.similarity_search("leave") == []
    with pytest.raises(NoIndexError):
        store.project.search_session()
    store.add_texts([TEXT])
    assert len(store.similarity_search("leave")) == 1


def test_a_closed_store_opens_the_index_again_when_it_is_searched(store: ArgotVectorStore):
    store.add_texts([TEXT])
    assert len(store.similarity_search("leave")) == 1
    store.close()
    store.close()
    store.refresh()
    assert store._session is None
    assert len(store.similarity_search("leave")) == 1


def test_embeddings_for_a_store_leave_the_given_project_as_it_was(project: Project):
    own = project.encoder
    other = HashingEncoder(32)
    with ArgotVectorStore(project, embedding=other) as store:
        assert store.project.encoder is other
        assert project.encoder is own
        assert store.project.paths == project.paths
        assert store.project.settings is project.settings
