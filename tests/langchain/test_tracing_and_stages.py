"""What traces say, the reranker as a compressor, and the tool for agents."""

import json
import sys
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.documents import Document
from langchain_core.tools import BaseTool

from argot.langchain import ArgotRetriever
from argot.langchain.index import ArgotDocumentIndex
from argot.langchain.store import ArgotVectorStore
from argot.project import Project
from encoder.fake import HashingEncoder
from retriever.langchain.reranking import ArgotReranker

TEXTS = ["annual leave", "leave in March and April", "travel by train"]


class Span:
    """A span of OpenTelemetry, as far as it is written to."""

    def __init__(self, *, recording: bool) -> None:
        self.recording = recording
        self.attributes: dict[str, Any] = {}

    def is_recording(self) -> bool:
        return self.recording

    def set_attributes(self, attributes: dict[str, Any]) -> None:
        self.attributes.update(attributes)


class Shortest:
    """Likes short texts."""

    name = "shortest"

    def scores(self, query: str, texts: Sequence[str]) -> list[float]:
        assert query
        return [-float(len(text)) for text in texts]


class Params(BaseCallbackHandler):
    """Keeps what LangSmith is told of a retriever."""

    def __init__(self) -> None:
        self.metadata: dict[str, Any] = {}

    def on_retriever_start(self, *_: Any, metadata: dict[str, Any], **__: Any) -> None:
        self.metadata = metadata


@pytest.fixture
def retriever(project: Project, store: ArgotVectorStore) -> Iterator[ArgotRetriever]:
    store.add_texts(TEXTS, ids=["a", "b", "c"])
    with project.retriever(k=2) as retriever:
        yield retriever


def traced(monkeypatch: pytest.MonkeyPatch, *, recording: bool = True) -> Span:
    """Let the program trace: what is there of OpenTelemetry is its current span."""
    span = Span(recording=recording)
    telemetry = ModuleType("opentelemetry.trace")
    telemetry.get_current_span = lambda: span  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "opentelemetry.trace", telemetry)
    return span


async def test_the_current_span_names_version_encoder_and_hits_but_no_text(
    retriever: ArgotRetriever, monkeypatch: pytest.MonkeyPatch
):
    span = traced(monkeypatch)
    found = await retriever.ainvoke("annual leave")

    assert span.attributes["argot.index.version"] == retriever.searcher.version_name
    assert span.attributes["argot.encoder.fingerprint"] == HashingEncoder(64).fingerprint
    assert span.attributes["argot.hits.ids"] == [document.id for document in found]
    assert "annual" not in repr(span.attributes)
    span.attributes.clear()
    retriever.invoke("annual leave")
    assert span.attributes["gen_ai.operation.name"] == "retrieval"


def test_a_span_that_is_not_recorded_costs_nothing(
    retriever: ArgotRetriever, monkeypatch: pytest.MonkeyPatch
):
    span = traced(monkeypatch, recording=False)
    retriever.invoke("annual leave")

    assert span.attributes == {}


@pytest.mark.filterwarnings("ignore::langchain_core._api.LangChainBetaWarning")
def test_langsmith_is_told_version_and_encoder_by_every_retriever(
    retriever: ArgotRetriever, store: ArgotVectorStore
):
    version = retriever.searcher.version_name
    for asked in (retriever, store.as_retriever(), ArgotDocumentIndex(store=store)):
        seen = Params()
        asked.invoke("leave", {"callbacks": [seen]})

        assert seen.metadata["ls_vector_store_provider"] == f"argot/{version}"
        assert seen.metadata["ls_embedding_model"] == HashingEncoder(64).fingerprint


def test_the_store_names_itself_on_the_current_span_too(
    store: ArgotVectorStore, monkeypatch: pytest.MonkeyPatch
):
    span = traced(monkeypatch)
    store.add_texts(TEXTS)
    store.similarity_search("leave", k=1)

    assert len(span.attributes["argot.hits.ids"]) == 1


async def test_a_reranker_orders_copies_and_keeps_the_best():
    documents = [Document(page_content=text, metadata={"n": n}) for n, text in enumerate(TEXTS)]
    compressor = ArgotReranker(reranker=Shortest(), top_n=2)

    found = compressor.compress_documents(documents, "leave")

    assert [document.page_content for document in found] == ["annual leave", "travel by train"]
    assert found[0].metadata == {"n": 0, "relevance_score": -12.0}
    assert documents[0].metadata == {"n": 0}
    assert await compressor.acompress_documents(documents, "leave") == found
    assert compressor.compress_documents([], "leave") == []


def test_a_reranker_that_drops_a_document_is_refused():
    class Forgetful(Shortest):
        name = "forgetful"

        def scores(self, query: str, texts: Sequence[str]) -> list[float]:
            return super().scores(query, texts)[1:]

    documents = [Document(page_content=text) for text in TEXTS]
    with pytest.raises(ValueError, match="must give 3 finite scores"):
        ArgotReranker(reranker=Forgetful()).compress_documents(documents, "leave")


@pytest.mark.parametrize("wrong", ["cross-encoder", None, object(), lambda _query, _texts: [1.0]])
def test_what_is_no_reranker_is_refused_at_once(wrong: Any):
    with pytest.raises(ValueError, match="`reranker` must be a loaded one"):
        ArgotReranker(reranker=wrong)


def test_scores_of_numpy_can_be_written_as_json():
    class Numpy(Shortest):
        def scores(self, query: str, texts: Sequence[str]) -> Any:
            return np.float32(super().scores(query, texts))

    documents = [Document(page_content=text) for text in TEXTS]
    best, *_ = ArgotReranker(reranker=Numpy()).compress_documents(documents, "leave")
    assert json.loads(json.dumps(best.metadata)) == {"relevance_score": -12.0}


def test_the_tool_gives_texts_to_the_model_and_documents_to_the_program(
    retriever: ArgotRetriever,
):
    tool = retriever.as_search_tool("find", "Finds.")
    call = {"type": "tool_call", "id": "1", "name": "find", "args": {"query": "annual leave"}}
    message = tool.invoke(call)

    assert isinstance(tool, BaseTool)
    assert (tool.name, tool.description) == ("find", "Finds.")
    assert list(tool.args) == ["query"]
    assert "annual leave" in message.content
    assert [d.metadata["document_id"] for d in message.artifact] == ["a", "b"]


def test_options_of_a_search_may_be_set_once_or_for_each_query(retriever: ArgotRetriever):
    diverse = ArgotRetriever(searcher=retriever.searcher, k=3, options={"mode": "sparse"})

    assert diverse.invoke("leave")[0].metadata["explanation"]["dense"] is None
    assert diverse.invoke("leave", mode="dense")[0].metadata["explanation"]["sparse"] is None
    assert len(diverse.invoke("leave", mode="dense", min_score=0.1)) == 2
    with pytest.raises(ValueError, match="`options` may have k, mode"):
        ArgotRetriever(searcher=retriever.searcher, options={"top_k": 3})
