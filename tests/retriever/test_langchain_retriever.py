"""The LangChain retriever: arguments, forms, lifetime."""

import uuid
from typing import Any

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.documents import Document
from langchain_core.load import dumps
from langchain_core.runnables import ConfigurableField, Runnable
from langchain_core.tools import create_retriever_tool
from pydantic import ValidationError

from indexing.filters import Eq, Range
from retriever.langchain.retriever import ArgotRetriever
from retriever.search import Searcher

QUERY = "how many days of annual leave"


def test_a_document_carries_the_hit_and_the_metadata_of_its_source(searcher: Searcher):
    hit = searcher.search(QUERY, k=1)[0]
    (document,) = ArgotRetriever(searcher=searcher, k=1).invoke(QUERY)

    assert (document.id, document.page_content) == (hit.id, hit.text)
    assert document.metadata == {
        "language": "en",
        "year": 2024,
        "score": hit.score,
        "explanation": hit.explanation,
        "chunk_id": hit.id,
        "document_id": "leave",
        "source": "handbook",
        "title": "Time off",
        "uri": "file:///handbook/leave.pdf",
        "page": 3,
        "span": [100, 142],
        "heading_path": ["Handbook", "Vacation"],
    }


def test_neighbours_come_as_the_context_of_a_document(searcher: Searcher):
    (document,) = ArgotRetriever(searcher=searcher, k=1).invoke(QUERY, neighbours=1)

    assert document.page_content == "Employees get thirty days of annual leave."
    assert document.metadata["context"].endswith("Unused leave expires in March.")


def test_arguments_of_invoke_take_the_place_of_the_constructors(searcher: Searcher):
    retriever = ArgotRetriever(searcher=searcher, k=3, mode="dense")

    assert [len(retriever.invoke(QUERY)), len(retriever.invoke(QUERY, k=1))] == [3, 1]
    explanation = retriever.invoke(QUERY, mode="sparse")[0].metadata["explanation"]
    assert explanation["dense"] is None
    assert len(retriever.invoke(QUERY, run_id=uuid.uuid4())) == 3


def test_a_filter_of_invoke_narrows_that_of_the_constructor(searcher: Searcher):
    retriever = ArgotRetriever(searcher=searcher, filter={"source": "handbook"})

    def found(**arguments: Any) -> set[str]:
        return {doc.metadata["document_id"] for doc in retriever.invoke(QUERY, **arguments)}

    assert found() == {"leave", "pay", "parking"}
    assert found(filter={"document_id": ["pay", "travel"]}) == {"pay"}
    assert found(filter=Eq("source", "intranet")) == set()
    assert found(filter=Range("metadata.year", at_most=2023)) == {"parking"}
    assert found(filter={"metadata.language": "en", "page": 3}) == {"leave"}
    assert found(filter={"document_id": []}) == set()
    assert found(filter={}) == found(filter=None) == found()


def test_a_bound_filter_narrows_for_good(searcher: Searcher):
    retriever = ArgotRetriever(searcher=searcher, mode="sparse")
    both, other = {"document_id": ["pay", "leave"]}, {"document_id": ["leave", "parking"]}
    configured = retriever.with_config(tags=["a"]).bind(filter=both)
    ways: list[Runnable[str, list[Document]]] = [
        retriever.bind(filter=both),
        retriever.bind(filter=both, k=9).bind(k=8, mode="dense"),
        retriever.bind(k=9).bind(filter=both).with_config(tags=["b"]),
        configured,
        configured.with_config(metadata={"c": 1}).bind(k=7),
    ]
    for bound in ways:
        for found in (
            bound.invoke(QUERY, filter=other),
            bound.bind(filter=other).invoke(QUERY),
            bound.batch([QUERY], filter=other)[0],
        ):
            assert {document.metadata["document_id"] for document in found} == {"leave"}
    heard: list[object] = []
    listened = configured.with_listeners(on_start=heard.append).bind(k=1)
    assert len(listened.invoke(QUERY, filter=other)) == 1
    assert len(heard) == 1
    retried = retriever.with_config(tags=["a"]).with_retry(stop_after_attempt=2)
    assert len(retried.bind(k=1).invoke(QUERY)) == 1
    assert len(retriever.bind(k=1).invoke(QUERY)) == 1
    assert len(retriever.bind(k=1, rerank="none").invoke(QUERY, k=2)) == 2
    with pytest.raises(TypeError, match="`invoke` takes filter"):
        retriever.bind(filters=both)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"filters": {"source": "x"}}, TypeError, "`invoke` takes filter, k, .*; got filters"),
        ({"top_k": 1, "where": None}, TypeError, "got top_k, where"),
        ({"principals": ["group:board"]}, TypeError, 'config={"configurable": {"principals"'),
        ({"filter": {"langauge": "en"}}, ValueError, r"written `metadata\.langauge`"),
        ({"filter": {"page": b"1"}}, ValueError, "the filter on 'page' must be"),
        ({"filter": {"source": None}}, ValueError, "the filter on 'source' must have a value"),
        ({"filter": {"page": [1, b"2"]}}, ValueError, "a list in the filter on 'page' must"),
        ({"filter": "source=handbook"}, TypeError, "a filter must be a condition or a mapping"),
        ({"k": 0}, ValueError, "`k` must be"),
        ({"mode": "mmr"}, ValueError, "`mode` must be"),
    ],
)
async def test_no_argument_is_dropped(
    searcher: Searcher, arguments: dict[str, Any], error: type[Exception], message: str
):
    retriever = ArgotRetriever(searcher=searcher)

    with pytest.raises(error, match=message):
        retriever.invoke(QUERY, **arguments)
    with pytest.raises(error, match=message):
        await retriever.ainvoke(QUERY, **arguments)
    with pytest.raises(error, match=message):
        retriever.batch([QUERY], **arguments)
    with pytest.raises(error, match=message):
        retriever.bind(**arguments).invoke(QUERY)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"top_k": 3}, ValidationError),
        ({"mode": "mmr"}, ValidationError),
        ({"filter": {"langauge": "en"}}, ValidationError),
        ({"filter": "source"}, TypeError),
    ],
)
def test_the_constructor_refuses_what_invoke_would(
    searcher: Searcher, arguments: dict[str, Any], error: type[Exception]
):
    with pytest.raises(error):
        ArgotRetriever(searcher=searcher, **arguments)


async def test_every_way_of_asking_finds_the_same(searcher: Searcher):
    retriever = ArgotRetriever(searcher=searcher)
    expected = retriever.invoke(QUERY)

    assert await retriever.ainvoke(QUERY) == expected
    assert retriever.batch([QUERY, QUERY]) == [expected] * 2
    assert await retriever.abatch([QUERY] * 3) == [expected] * 3
    assert list(retriever.stream(QUERY)) == [expected]


def test_reconfiguring_keeps_the_searcher_and_the_filter(searcher: Searcher):
    retriever = ArgotRetriever(searcher=searcher, filter=Eq("source", "handbook"))
    settable = retriever.configurable_fields(k=ConfigurableField(id="k"))

    documents = settable.with_config(configurable={"k": 2}).invoke("book a train")
    assert len(documents) == 2
    assert {document.metadata["source"] for document in documents} == {"handbook"}


def test_neither_repr_nor_a_trace_shows_the_searcher(searcher: Searcher):
    retriever = ArgotRetriever(searcher=searcher, on_close=lambda: None, k=2)

    assert not retriever.is_lc_serializable()
    for text in (repr(retriever), dumps(retriever), str(retriever.model_dump())):
        assert "searcher" not in text.lower()
        assert "on_close" not in text


def test_a_trace_names_index_version_and_encoder(searcher: Searcher):
    seen: dict[str, Any] = {}

    class Tracer(BaseCallbackHandler):
        def on_retriever_start(self, *_args: Any, **kwargs: Any) -> None:
            seen.update(kwargs["metadata"])

    ArgotRetriever(searcher=searcher).invoke(QUERY, {"callbacks": [Tracer()]})
    assert seen["ls_vector_store_provider"] == f"argot/{searcher.version_name}"
    assert seen["ls_embedding_model"] == searcher.encoder_fingerprint


def test_a_retriever_tool_gives_text_and_documents(searcher: Searcher):
    retriever = ArgotRetriever(searcher=searcher, k=1)
    tool = create_retriever_tool(
        retriever, "handbook", "Searches the handbook.", response_format="content_and_artifact"
    )
    call = {"type": "tool_call", "id": "1", "name": "handbook", "args": {"query": QUERY}}

    message = tool.invoke(call)
    assert message.content == "Employees get thirty days of annual leave."
    assert message.artifact == retriever.invoke(QUERY)


def test_closing_releases_what_was_given_to_release(searcher: Searcher):
    closed: list[bool] = []

    with ArgotRetriever(searcher=searcher, on_close=lambda: closed.append(True)) as retriever:
        assert retriever.invoke(QUERY)
        assert not closed
    assert closed
    ArgotRetriever(searcher=searcher).close()  # nothing to release is fine
