"""A project with a secret in it, and every way to ask for it."""

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any
from unittest.mock import patch

from langchain_core.runnables import (
    ConfigurableField,
    RunnableLambda,
    RunnableParallel,
    RunnablePassthrough,
)

from argot.asking import open_answerer
from argot.cli.main import run
from argot.federated import search_together
from argot.langchain import ArgotRetriever as OverProjects
from argot.langchain.index import ArgotDocumentIndex
from argot.langchain.store import ArgotVectorStore
from argot.project import Project
from encoder.fake import HashingEncoder
from retriever.conditions import condition_of
from retriever.errors import RetrieverError as RetrieverError
from retriever.langchain.asking import principals_of
from retriever.langchain.reranking import ArgotReranker
from retriever.langchain.retriever import ArgotRetriever

MARKER = "xyzzy"
"""Stands in every text that must not be seen, and in nothing else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One way to try to see it."""

    config: Any = None
    query: str = "leave bonus note"
    filter: Any = None
    arguments: dict[str, Any] = field(default_factory=dict)
    """More of them, for `invoke` and for searches."""

    @property
    def given(self) -> dict[str, Any]:
        """What is passed besides query and config."""
        return {**({} if self.filter is None else {"filter": self.filter}), **self.arguments}


@dataclass(frozen=True, slots=True)
class World:
    """What is asked."""

    project: Project
    retriever: ArgotRetriever
    store: ArgotVectorStore
    index: ArgotDocumentIndex
    several: ArgotRetriever
    """Over the project and a second one with a secret of its own."""

    def close(self) -> None:
        self.several.close()
        self.retriever.close()
        self.store.close()


class Parrot:
    """A language model that writes what it has read: whatever reaches it can be seen."""

    context_tokens = 10_000

    def quotable(self, text: str) -> str:
        return text

    def beginning(self, text: str, *, max_tokens: int) -> str:
        return " ".join(text.split(" ")[:max_tokens])

    def prompt_tokens(self, turns: Sequence[Mapping[str, str]]) -> int:
        return sum(len(turn["content"].split()) for turn in turns)

    def write(
        self,
        turns: Sequence[Mapping[str, str]],
        *,
        max_new_tokens: int,  # noqa: ARG002
    ) -> Iterator[str]:
        # the question is the asker's own and no news
        yield from (turn["content"] for turn in turns)


class Constant:
    """A reranker that likes everything."""

    name = "constant"

    def scores(self, query: str, texts: Sequence[str]) -> list[float]:  # noqa: ARG002
        return [1.0 for _ in texts]


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


def make_world(folder: Path, *, secret: dict[str, Any], settings: str = "") -> World:
    """Two projects of one source and a vector store, each with a text for all and a secret one."""
    project = make_project(folder, secret=secret, settings=settings)
    second = make_project(
        folder.with_name(f"{folder.name}-second"), secret=secret, settings=settings
    )
    store = ArgotVectorStore(project)
    store.add_texts(["Leave is thirty days."], [{"tenant": "acme"}], ids=["open"])
    store.add_texts(
        [f"The leave bonus note says {MARKER}."],
        [{"tenant": "acme", **secret.get("metadata", {})}],
        ids=["secret"],
        access=secret.get("access"),
    )
    several = OverProjects.from_projects(
        [project.paths.root, second.paths.root], mode="sparse", k=99
    )
    index = ArgotDocumentIndex(store=store, k=99)
    return World(project, project.retriever(k=99), store, index, several)


def make_project(folder: Path, *, secret: dict[str, Any], settings: str) -> Project:
    """A project whose index holds a text for all and a secret one."""
    folder.mkdir()
    protected = "access" in secret
    (folder / "argot.toml").write_text(
        # every hit that holds one word of the question is answered from
        f"{settings}\n[ask]\nmin_term_share = 0.01\n"
        "[[sources]]\nname = 'handbook'\npath = 'corpus.jsonl'\n"
        f"protected = {str(protected).lower()}\n",
        encoding="utf-8",
    )
    open_fields = {"access": ["user:eve", "group:board"]} if protected else {}
    common = {"metadata": {"tenant": "acme", "year": 2024}}
    rows = [
        {"_id": "open", "title": "Leave", "text": "Leave is thirty days.", **open_fields, **common},
        {"_id": "bonus", "title": "Note", "text": f"The leave bonus is {MARKER}.", **common}
        | secret,
    ]
    if protected:
        rows.append({"_id": "nobody", "text": f"Nobody may read this leave note {MARKER}."})
    lines = "\n".join(json.dumps(row) for row in rows)
    (folder / "corpus.jsonl").write_text(lines, encoding="utf-8")
    project = Project.open(folder)
    project.encoder = HashingEncoder(256)
    report = project.ingest()
    assert not report.failed
    return project
