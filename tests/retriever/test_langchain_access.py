"""No way through LangChain leads past an access list."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from langchain_core.documents import Document
from langchain_core.runnables import (
    ConfigurableField,
    RunnableConfig,
    RunnableLambda,
    RunnableParallel,
    RunnablePassthrough,
)
from langchain_core.tools import create_retriever_tool

from retriever.errors import MissingPrincipalError
from retriever.langchain.retriever import ArgotRetriever
from retriever.search import Searcher

Ask = Callable[[ArgotRetriever, RunnableConfig | None], list[Document]]
AskAsync = Callable[[ArgotRetriever, RunnableConfig | None], Awaitable[list[Document]]]

QUERY = "leave bonus note secret"
BOARD: RunnableConfig = {"configurable": {"principals": ["group:board"]}}
STRANGER: RunnableConfig = {"configurable": {"principals": ["user:stranger"]}}


def _tool(retriever: ArgotRetriever, config: RunnableConfig | None) -> list[Document]:
    tool = create_retriever_tool(
        retriever, "search", "Searches.", response_format="content_and_artifact"
    )
    call = {"type": "tool_call", "id": "1", "name": "search", "args": {"query": QUERY}}
    documents: list[Document] = tool.invoke(call, config).artifact
    return documents


def _inside_a_function(retriever: ArgotRetriever, config: RunnableConfig | None) -> list[Document]:
    return RunnableLambda(lambda query: retriever.invoke(query)).invoke(QUERY, config)


def _settable(retriever: ArgotRetriever, config: RunnableConfig | None) -> list[Document]:
    settable = retriever.configurable_fields(k=ConfigurableField(id="k"))
    return settable.with_config(configurable={"k": 9}).invoke(QUERY, config)


WAYS: dict[str, Ask] = {
    "direct": lambda r, c: r.invoke(QUERY, c),
    "with arguments": lambda r, c: r.invoke(QUERY, c, k=9, filter={"source": "handbook"}),
    "chain": lambda r, c: (RunnablePassthrough() | r).invoke(QUERY, c),
    "parallel": lambda r, c: RunnableParallel(found=r).invoke(QUERY, c)["found"],
    "batch": lambda r, c: r.batch([QUERY, QUERY], c)[1],
    "batch of a chain": lambda r, c: (RunnablePassthrough() | r).batch([QUERY, QUERY], c)[1],
    "stream": lambda r, c: next(iter(r.stream(QUERY, c))),
    "with_config": lambda r, c: r.with_config(c).invoke(QUERY),
    "bind": lambda r, c: r.bind(k=9).invoke(QUERY, c),
    "configurable_fields": _settable,
    "a function that passes no config": _inside_a_function,
    "tool": _tool,
}


async def _abatch(retriever: ArgotRetriever, config: RunnableConfig | None) -> list[Document]:
    return (await retriever.abatch([QUERY, QUERY], config))[1]


ASYNC_WAYS: dict[str, AskAsync] = {
    "direct": lambda r, c: r.ainvoke(QUERY, c),
    "chain": lambda r, c: (RunnablePassthrough() | r).ainvoke(QUERY, c),
    "batch": _abatch,
    "with_config": lambda r, c: r.with_config(c).ainvoke(QUERY),
}


@pytest.fixture
def retriever(protected_searcher: Searcher) -> ArgotRetriever:
    return ArgotRetriever(searcher=protected_searcher)


def found(documents: list[Document]) -> set[str]:
    return {document.metadata["document_id"] for document in documents}


@pytest.mark.parametrize("ask", WAYS.values(), ids=WAYS)
def test_each_way_of_asking_is_closed_open_to_the_group_and_narrow_to_strangers(
    retriever: ArgotRetriever, ask: Ask
):
    for config in (None, {}, {"configurable": {}}, {"configurable": {"principals": []}}):
        with pytest.raises(MissingPrincipalError):
            ask(retriever, config)  # type: ignore[arg-type]
    assert "bonus" in found(ask(retriever, BOARD))
    assert found(ask(retriever, STRANGER)).isdisjoint({"bonus", "nobody"})
    with pytest.raises(MissingPrincipalError):  # nothing of the earlier askers stays behind
        ask(retriever, None)


@pytest.mark.parametrize("ask", ASYNC_WAYS.values(), ids=ASYNC_WAYS)
async def test_each_asynchronous_way_is_the_same(retriever: ArgotRetriever, ask: AskAsync):
    with pytest.raises(MissingPrincipalError):
        await ask(retriever, None)
    assert "bonus" in found(await ask(retriever, BOARD))
    assert found(await ask(retriever, STRANGER)).isdisjoint({"bonus", "nobody"})


async def test_each_query_of_a_batch_is_asked_by_its_own_asker(retriever: ArgotRetriever):
    configs = [BOARD, STRANGER] * 5

    for answers in (
        retriever.batch([QUERY] * 10, configs),
        await retriever.abatch([QUERY] * 10, configs),
    ):
        assert ["bonus" in found(documents) for documents in answers] == [True, False] * 5


def test_one_query_of_a_batch_without_an_asker_stops_the_batch(retriever: ArgotRetriever):
    with pytest.raises(MissingPrincipalError):
        retriever.batch([QUERY, QUERY], [BOARD, {}])


def test_a_retriever_called_within_anothers_chain_asks_for_the_same_asker(
    retriever: ArgotRetriever,
):
    def again(documents: list[Document]) -> list[Document]:
        assert "bonus" in found(documents)
        return retriever.invoke(QUERY, STRANGER)

    assert "bonus" not in found((retriever | again).invoke(QUERY, BOARD))


@pytest.mark.parametrize("value", ["group:board", {"group:board": True}, 7, [None], [""]])
def test_principals_that_are_no_list_of_names_are_refused(
    retriever: ArgotRetriever,
    value: Any,
):
    with pytest.raises((TypeError, ValueError), match="`principals` must"):
        retriever.invoke(QUERY, {"configurable": {"principals": value}})


def test_no_argument_names_the_asker(retriever: ArgotRetriever):
    with pytest.raises(TypeError, match="got principals"):
        retriever.invoke(QUERY, principals=["group:board"])
    with pytest.raises(ValueError, match="principals"):
        ArgotRetriever(searcher=retriever.searcher, principals=["group:board"])
    for elsewhere in ({"metadata": {"principals": ["group:board"]}}, {"tags": ["group:board"]}):
        with pytest.raises(MissingPrincipalError):
            retriever.invoke(QUERY, elsewhere)  # type: ignore[arg-type]


def test_a_filter_on_access_is_no_way_around_it(retriever: ArgotRetriever):
    with pytest.raises(ValueError, match="no chunk has the field 'access'"):
        retriever.invoke(QUERY, STRANGER, filter={"access": "group:board"})
