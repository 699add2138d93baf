"""Queries for the gate: the user's own, or the documents' headings."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from argot.errors import SettingsError
from argot.index.gate import FEW_QUERIES, headings_as_questions, judge, judged_questions
from connectors.document import Document
from indexing.catalog.catalog import Catalog
from indexing.chunks.chunking import Chunk
from indexing.records import IndexedDocument
from retriever.evaluation.evaluation import EvaluationReport
from retriever.evaluation.significance import Interval


def headed(name: str, *headings: str, access: Sequence[str] | None = None) -> IndexedDocument:
    chunks = tuple(
        Chunk(
            ordinal=n,
            text=f"{name} {n}",
            start=n,
            end=n + 1,
            page=None,
            heading_path=("Manual", heading) if heading else (),
            context="",
            token_count=2,
        )
        for n, heading in enumerate(headings)
    )
    return IndexedDocument(
        source="wiki",
        document=Document(
            id=name,
            text="",
            title=f"Title of {name}",
            access=None if access is None else tuple(access),
        ),
        revision=None,
        protected=False,
        content_hash=name,
        metadata_hash=name,
        access_hash=name,
        chunks=chunks,
    )


def questions(folder: Path, *documents: IndexedDocument, principals: Sequence[str] = ()):
    with Catalog(f"sqlite:///{folder / 'catalog.sqlite'}") as catalog:
        catalog.source("wiki", version="v").commit(indexed=documents)
        made = headings_as_questions(catalog.points(version="v"), principals=principals)
    judgements = made.judgements
    return {judgements.queries[id_]: set(judgements.grades[id_]) for id_ in judgements.queries}


def test_a_heading_asks_for_the_documents_it_stands_in(tmp_path: Path) -> None:
    everywhere = [headed(f"x{n}", "Safety first") for n in range(4)]
    found = questions(
        tmp_path,
        headed("a", "Days of leave", "Pay"),
        headed("b", "Days of leave", ""),
        headed("c", "Board minutes", access=["group:board"]),
        *everywhere,
    )
    assert found == {"Days of leave": {"a", "b"}, "Title of b": {"b"}}


def test_who_asks_decides_which_documents_are_asked_for(tmp_path: Path) -> None:
    minutes = headed("c", "Board minutes", access=["group:board"])
    assert questions(tmp_path, minutes, principals=["group:board"]) == {"Board minutes": {"c"}}
    with pytest.raises(SettingsError, match="no headings"):
        questions(tmp_path, minutes, principals=["user:x"])


def report(values: list[float]) -> EvaluationReport:
    mean = sum(values) / len(values)
    per_query = {f"q{n}": {"ndcg@10": value} for n, value in enumerate(values)}
    return EvaluationReport({"ndcg@10": Interval(mean, mean, mean)}, per_query)


def test_a_version_is_worse_only_by_more_than_chance() -> None:
    good, worse = report([1.0] * 40), report([1.0, 0.5] * 20)
    assert judge(good, worse, origin="test").worse == ["ndcg@10"]
    assert judge(worse, good, origin="test").worse == []
    slightly = report([1.0] * 39 + [0.0])
    assert judge(good, slightly, origin="test").worse == []
    assert not judge(good, slightly, origin="test").few
    few = judge(report([1.0] * 5), report([0.0] * 5), origin="test")
    assert (few.worse, few.few) == ([], True)
    assert few.queries < FEW_QUERIES


def test_the_users_queries_are_one_kind_and_complete(tmp_path: Path) -> None:
    assert judged_questions(queries=None, qrels=None, beir=None, split="test") is None
    with pytest.raises(SettingsError, match="go together"):
        judged_questions(queries=None, qrels=tmp_path, beir=None, split="test")
    with pytest.raises(SettingsError, match="either --beir"):
        judged_questions(queries=tmp_path, qrels=tmp_path, beir=tmp_path, split="test")
