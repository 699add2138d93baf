"""Ids, counts and vectors that are none: refused before anything is read, written or deleted."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from langchain_core.documents import Document
from pydantic import ValidationError

from argot.langchain.index import ArgotDocumentIndex
from argot.langchain.store import ArgotVectorStore
from argot.project import Project
from encoder.fake import HashingEncoder
from retriever.errors import PlanError

TEXTS = {"a": "leave days", "b": "travel by train", "ab": "pay slips"}


@pytest.fixture
def three(store: ArgotVectorStore) -> ArgotVectorStore:
    """A store with three documents."""
    store.add_texts(list(TEXTS.values()), ids=list(TEXTS))
    return store


@pytest.mark.parametrize(
    ("ids", "error", "message"),
    [
        (
            "ab",
            TypeError,
            r"must be a list of strings; got 'ab'\nhint: one id is given as \['ab'\]",
        ),
        (b"ab", TypeError, "must be a list of strings"),
        ({"a": 1}, TypeError, "must be a list of strings"),
        (5, TypeError, "must be a list of strings"),
        ([5, 6], TypeError, "an id must be a string; got 5"),
        (["\ud800", "a"], ValueError, r"an id must be valid text; got '\\ud800'"),
    ],
)
def test_what_is_no_list_of_ids_reads_writes_and_deletes_nothing(
    three: ArgotVectorStore, ids: Any, error: type[Exception], message: str
):
    index = ArgotDocumentIndex(store=three)
    two = [Document(page_content="x"), Document(page_content="y")]
    for call in (
        lambda: three.add_documents(two, ids=ids),
        lambda: three.add_texts(["x", "y"], ids=ids),
        lambda: three.delete(ids),
        lambda: three.get_by_ids(ids),
        lambda: index.delete(ids),
        lambda: index.get(ids),
    ):
        with pytest.raises(error, match=message):
            call()

    found = three.get_by_ids(list(TEXTS))
    assert {d.id: d.page_content for d in found} == TEXTS
    assert len(three.similarity_search("leave", 9)) == 3


async def test_the_asynchronous_twins_refuse_a_lone_id_too(three: ArgotVectorStore):
    index = ArgotDocumentIndex(store=three)
    for call in (three.adelete, three.aget_by_ids, index.adelete, index.aget):
        with pytest.raises(TypeError, match="list of strings"):
            await call("ab")  # type: ignore[operator]
    assert len(await three.aget_by_ids(list(TEXTS))) == 3


def test_an_id_or_a_text_that_can_not_be_stored_is_refused(store: ArgotVectorStore):
    for document in (
        Document(id="\ud800", page_content="x"),
        Document(id="1", page_content="\ud800"),
        Document(id="1", page_content="x", metadata={"key": "\ud800"}),
    ):
        with pytest.raises(ValueError, match="valid text"):
            store.add_documents([Document(id="0", page_content="fine"), document])
    with pytest.raises(TypeError, match=r"one text is \[text\]"):
        store.add_texts("leave")
    assert store.get_by_ids(["0", "1"]) == []


def test_ids_may_be_none_where_new_ones_are_made(store: ArgotVectorStore):
    made = store.add_documents(
        [Document(id="own", page_content="x"), Document(page_content="y")], ids=[None, None]
    )

    assert made[0] == "own"
    assert len(made[1]) == 36


@pytest.mark.parametrize("k", [0, -1, 1.5, True])
def test_a_count_below_one_is_refused(three: ArgotVectorStore, k: Any):
    index = ArgotDocumentIndex(store=three)
    for call in (
        lambda: index.invoke("leave", k=k),
        lambda: three.similarity_search("leave", k),
        lambda: three.similarity_search_by_vector([1.0] * 64, k),
    ):
        with pytest.raises(ValueError, match="`k` must be a whole number >= 1"):
            call()
    if k in (0, -1):
        with pytest.raises(ValidationError, match="greater than or equal to 1"):
            ArgotDocumentIndex(store=three, k=k)
    assert len(index.invoke("leave", k=1)) == 1


def test_a_search_by_vector_drops_no_option(three: ArgotVectorStore):
    vector = HashingEncoder(64).encode_queries(["leave days"])[0].tolist()
    for option in ({"mode": "sparse"}, {"rerank": "llm"}, {"expand": "hyde"}):
        name = next(iter(option))
        for search in (
            three.similarity_search_by_vector,
            three.max_marginal_relevance_search_by_vector,
        ):
            with pytest.raises(PlanError, match=f"no text, so `{name}` can only be"):
                search(vector, **option)
    with pytest.raises(TypeError, match="takes filter"):
        three.similarity_search_by_vector(vector, filters={})
    said: dict[str, Any] = {"mode": "dense", "rerank": "none", "expand": None}
    assert three.similarity_search_by_vector(vector, 1, **said)[0].id == "a"


@pytest.mark.parametrize("projection", ["none", "svd", "pca"])
@pytest.mark.parametrize("dimensions", [16, 64])
def test_the_stores_own_embeddings_search_an_index_that_keeps_fewer_dimensions(
    tmp_path: Path, projection: str, dimensions: int
):
    (tmp_path / "argot.toml").write_text(
        f"[index]\ndimensions = {dimensions}\nprojection = '{projection}'\n"
    )
    project = Project.open(tmp_path)
    project.encoder = HashingEncoder(64)
    words = ["leave", "travel", "pay", "train", "slips", "hotel", "days", "desk", "chair", "lunch"]
    texts = [f"{one} {other}" for one in words for other in words]
    with ArgotVectorStore(project) as store:
        store.add_texts(texts, ids=texts)
        embeddings = store.embeddings
        assert embeddings is not None
        vector = embeddings.embed_query("leave days")

        assert len(vector) == len(embeddings.embed_documents(["leave"])[0]) == 64
        asked = store.similarity_search_with_score("leave days", 20, mode="dense")
        near = store.similarity_search_by_vector(vector, 20)
        assert [d.id for d in near] == [d.id for d, _ in asked]
        assert len(store.max_marginal_relevance_search_by_vector(vector, 3, 9)) == 3
        stored = np.zeros(dimensions, dtype=np.float32)
        stored[0] = 1
        assert len(store.similarity_search_by_vector(stored.tolist(), 3)) == 3
        with pytest.raises(ValueError, match=r"must have 64( or 16)? dimensions; got 32"):
            store.similarity_search_by_vector([1.0] * 32)
