"""A retriever that was opened before its process forks, as servers do that load first."""

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Iterator

import pytest

from argot.langchain import ArgotRetriever
from argot.langchain.store import ArgotVectorStore
from argot.project import Project
from indexing.errors import StoreError


@pytest.fixture
def retriever(project: Project) -> Iterator[ArgotRetriever]:
    """Over two documents, searched by words."""
    with ArgotVectorStore(project) as store:
        store.add_texts(["leave days", "expenses"])
    with ArgotRetriever.from_project(project, mode="sparse") as retriever:
        yield retriever


def finds_it_in_a_child(find: Callable[[], list[object]]) -> bool:
    child = os.fork()
    if child == 0:
        signal.alarm(30)
        os._exit(0 if len(find()) == 1 else 1)
    return os.waitpid(child, 0)[1] == 0


def test_a_child_searches_asynchronously_after_its_parent_did(retriever: ArgotRetriever):
    asyncio.run(retriever.ainvoke("leave"))
    assert finds_it_in_a_child(lambda: [*asyncio.run(retriever.ainvoke("leave"))])
    assert len(asyncio.run(retriever.ainvoke("leave"))) == 1


def test_a_child_is_told_that_vectors_need_threads_that_it_has_not(
    project: Project, retriever: ArgotRetriever
):
    with ArgotRetriever.from_project(project, mode="dense") as dense:
        assert len(dense.invoke("leave")) == 2

        def refused() -> list[object]:
            with pytest.raises(StoreError, match="opened before a fork"):
                dense.invoke("leave")
            return ["refused"]

        assert finds_it_in_a_child(refused)
    assert len(retriever.invoke("leave")) == 1


def test_a_child_searches_while_a_thread_of_its_parent_does(retriever: ArgotRetriever):
    done = threading.Event()

    def search() -> None:
        while not done.is_set():
            retriever.invoke("leave")

    thread = threading.Thread(target=search)
    thread.start()
    try:
        assert all(finds_it_in_a_child(lambda: [*retriever.invoke("leave")]) for _ in range(5))
    finally:
        done.set()
        thread.join()
