"""A project with a secret in it, and what one may try to see it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from argot.langchain import ArgotRetriever as OverProjects
from argot.langchain.index import ArgotDocumentIndex
from argot.langchain.store import ArgotVectorStore
from argot.project import Project
from encoder.fake import HashingEncoder
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


def make_world(folder: Path, *, secret: dict[str, Any], settings: str = "") -> World:
    """Two projects of one source and a vector store, each with a text for all and a secret one."""
    project = make_project(folder, secret=secret, settings=settings)
    second = make_project(
        folder.with_name(f"{folder.name}-second"), secret=secret, settings=settings
    )
    store = ArgotVectorStore(project)
    store.add_texts(
        ["Leave is thirty days."], [{"tenant": "acme"}], ids=["open"], access="everybody"
    )
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
