"""Every way to ask for the secret of a world."""

import asyncio
import json
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from typing import Any
from unittest.mock import patch

from langchain_core.runnables import (
    ConfigurableField,
    RunnableLambda,
    RunnableParallel,
    RunnablePassthrough,
)
from leak_world import Attempt, Constant, Parrot, World

from argot.asking import open_answerer
from argot.cli.main import run
from argot.federated import search_together
from retriever.conditions import condition_of
from retriever.langchain.asking import principals_of
from retriever.langchain.reranking import ArgotReranker

Ask = Callable[[World, Attempt], object]


def principals(attempt: Attempt) -> Any:
    return principals_of(attempt.config)


def asked(attempt: Attempt, **more: Any) -> dict[str, Any]:
    """What a search of ours is passed."""
    where = condition_of(attempt.filter)
    return {"where": where, "principals": principals(attempt), **attempt.arguments, **more}


def of_store(attempt: Attempt, **more: Any) -> dict[str, Any]:
    """What a search of the vector store is passed."""
    return {**attempt.given, "principals": principals(attempt), **more}


def vector(world: World, attempt: Attempt) -> list[float]:
    embeddings = world.store.embeddings
    assert embeddings is not None
    return embeddings.embed_query(attempt.query)


def tool_call(query: str) -> dict[str, Any]:
    return {"type": "tool_call", "id": "1", "name": "search_documents", "args": {"query": query}}


async def streamed(world: World, a: Attempt) -> list[object]:
    chain = RunnablePassthrough() | world.retriever.bind(**a.given)
    return [event async for event in chain.astream_events(a.query, a.config, version="v2")]


async def abatch(world: World, a: Attempt) -> object:
    return await world.retriever.abatch([a.query, a.query], a.config, **a.given)


def command(world: World, attempt: Attempt, *more: str) -> str:
    """`argot search`; what it prints."""
    return line(world, attempt, "search", *more)


def line(world: World, attempt: Attempt, name: str, *more: str) -> str:
    """A command that takes a query; what it prints."""
    words = [name, attempt.query, "--project", str(world.project.paths.root), "--json", *more]
    words += ["--mode", "sparse"]
    named = principals(attempt)
    # a name that is given rightly is no attempt, so what is no list is written as Python writes it
    for name in named if isinstance(named, list) else [] if named is None else [repr(named)]:
        words += ["--as", str(name)]
    if isinstance(attempt.filter, dict):
        words += ["--filter", json.dumps(attempt.filter)]
    for name, value in attempt.arguments.items():
        words += [f"--{name}", str(value)]
    out = StringIO()
    with redirect_stdout(out), redirect_stderr(out):
        code = run(words)
    if code != 0:
        raise ValueError(out.getvalue())
    return out.getvalue()


def answered(world: World, attempt: Attempt) -> object:
    """The answering path: what the model was told and wrote, and the sources it was given."""
    with (
        patch("argot.asking.load_chat_model", lambda *_: Parrot()),
        open_answerer(world.project, mode="sparse") as answerer,
    ):
        told: list[str] = []
        answer = answerer.answer(attempt.query, on_text=told.append, **asked(attempt, k=99))
        return told, answer


def ask_command(world: World, attempt: Attempt) -> str:
    with patch("argot.asking.load_chat_model", lambda *_: Parrot()):
        return line(world, attempt, "ask")


async def several_at_once(world: World, a: Attempt) -> object:
    return await world.several.abatch([a.query, a.query], a.config, **a.given)


def together(world: World, attempt: Attempt) -> object:
    with search_together([world.project], mode="sparse") as session:
        return session.searcher.search(attempt.query, **asked(attempt))


def configurable(world: World, a: Attempt) -> object:
    settable = world.retriever.configurable_fields(k=ConfigurableField(id="k"))
    return settable.with_config(configurable={"k": 99}).invoke(a.query, a.config, **a.given)


def compressed(world: World, a: Attempt) -> object:
    reranker = ArgotReranker(reranker=Constant())
    chain = world.retriever.bind(**a.given) | RunnableLambda(
        lambda documents: reranker.compress_documents(documents, a.query)
    )
    return chain.invoke(a.query, a.config)


def inside(world: World, a: Attempt) -> object:
    return RunnableLambda(lambda q: world.retriever.invoke(q, **a.given)).invoke(a.query, a.config)


def as_retriever(world: World, a: Attempt, search_type: str, **search: Any) -> object:
    retriever = world.store.as_retriever(search_type=search_type, search_kwargs={"k": 99, **search})
    return retriever.invoke(a.query, a.config, **a.given)


def searched(world: World, attempt: Attempt, **options: Any) -> object:
    return world.retriever.searcher.search(attempt.query, **asked(attempt, k=99, **options))


def arun(coroutine: Any) -> Any:
    return asyncio.run(coroutine)


PATHS: dict[str, Ask] = {
    "invoke": lambda w, a: w.retriever.invoke(a.query, a.config, **a.given),
    "ainvoke": lambda w, a: arun(w.retriever.ainvoke(a.query, a.config, **a.given)),
    "chain": lambda w, a: (RunnablePassthrough() | w.retriever.bind(**a.given)).invoke(
        a.query, a.config
    ),
    "parallel": lambda w, a: RunnableParallel(x=w.retriever.bind(**a.given)).invoke(
        a.query, a.config
    ),
    "batch": lambda w, a: w.retriever.batch([a.query] * 2, a.config, **a.given),
    "abatch": lambda w, a: arun(abatch(w, a)),
    "stream": lambda w, a: list(w.retriever.stream(a.query, a.config, **a.given)),
    "astream_events": lambda w, a: arun(streamed(w, a)),
    "inside a function": inside,
    "configurable_fields": configurable,
    "tool": lambda w, a: w.retriever.as_search_tool().invoke(tool_call(a.query), a.config),
    "tool, async": lambda w, a: arun(
        w.retriever.as_search_tool().ainvoke(tool_call(a.query), a.config)
    ),
    "compressor": compressed,
    "store.as_retriever": lambda w, a: as_retriever(w, a, "similarity"),
    "store.as_retriever, mmr": lambda w, a: as_retriever(w, a, "mmr", lambda_mult=0.0),
    "store.as_retriever, threshold": lambda w, a: as_retriever(
        w, a, "similarity_score_threshold", score_threshold=0.0
    ),
    "store.similarity_search": lambda w, a: w.store.similarity_search(a.query, 99, **of_store(a)),
    "store.asimilarity_search": lambda w, a: arun(
        w.store.asimilarity_search(a.query, 99, **of_store(a))
    ),
    "store, with score": lambda w, a: w.store.similarity_search_with_score(
        a.query, 99, **of_store(a)
    ),
    "store, with relevance": lambda w, a: w.store.similarity_search_with_relevance_scores(
        a.query, 99, **of_store(a)
    ),
    "store, by vector": lambda w, a: w.store.similarity_search_by_vector(
        vector(w, a), 99, **of_store(a)
    ),
    "store, mmr": lambda w, a: w.store.max_marginal_relevance_search(
        a.query, 99, 99, 0.0, **of_store(a)
    ),
    "store, mmr by vector": lambda w, a: w.store.max_marginal_relevance_search_by_vector(
        vector(w, a), 99, 99, 0.0, **of_store(a)
    ),
    "store.get_by_ids": lambda w, a: w.store.get_by_ids(
        ["open", "secret"], principals=principals(a)
    ),
    "document index": lambda w, a: w.index.invoke(a.query, a.config, **a.given),
    "document index, get": lambda w, a: w.index.get(["open", "secret"], principals=principals(a)),
    "Searcher.search": searched,
    "Searcher.search_many": lambda w, a: w.retriever.searcher.search_many(
        [a.query] * 2, **asked(a, k=99)
    ),
    "Searcher.search_async": lambda w, a: arun(
        w.retriever.searcher.search_async(a.query, **asked(a, k=99))
    ),
    "neighbours": lambda w, a: searched(w, a, neighbours=5),
    "sections": lambda w, a: searched(w, a, section=True),
    "grouped": lambda w, a: searched(w, a, per_document=9),
    "dense": lambda w, a: searched(w, a, mode="dense"),
    "sparse": lambda w, a: searched(w, a, mode="sparse"),
    "several indexes": together,
    "several, invoke": lambda w, a: w.several.invoke(a.query, a.config, **a.given),
    "several, abatch": lambda w, a: arun(several_at_once(w, a)),
    "several, tool": lambda w, a: w.several.as_search_tool().invoke(tool_call(a.query), a.config),
    "answer": answered,
    "argot ask": ask_command,
    "argot search": command,
    "argot search, neighbours": lambda w, a: command(w, a, "--neighbours", "3", "--explain"),
}
