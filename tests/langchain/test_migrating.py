"""A collection as langchain-qdrant lays it out, into a project."""

import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from langchain_core.documents import Document
from qdrant_client import QdrantClient, models

from argot.cli.main import run
from argot.errors import SettingsError
from argot.langchain.store import ArgotVectorStore
from argot.migrating import Collection, migrate
from argot.project import Project

Payloads = Mapping[str, dict[str, Any]]

LEAVE, PAY, BROKEN = (str(uuid.uuid5(uuid.NAMESPACE_URL, name)) for name in ("a", "b", "c"))
PAYLOADS: Payloads = {
    LEAVE: {"page_content": "thirty days of leave", "metadata": {"year": 2024, "tags": ["hr"]}},
    PAY: {"page_content": "salaries are paid monthly", "metadata": None},
}


@pytest.fixture
def write_collection(tmp_path: Path) -> Callable[..., Path]:
    """Write points into a local collection, made if there is none."""
    folder = tmp_path / "qdrant"

    def write(payloads: Payloads) -> Path:
        client = QdrantClient(path=str(folder))
        if not client.collection_exists("docs"):
            vectors = models.VectorParams(size=2, distance=models.Distance.COSINE)
            client.create_collection("docs", vectors_config=vectors)
        points = [
            models.PointStruct(id=id_, vector=[1.0, 0.0], payload=payload)
            for id_, payload in payloads.items()
        ]
        client.upsert("docs", points)
        client.close()
        return folder

    return write


def test_texts_metadata_and_ids_come_over_and_a_second_run_encodes_nothing_again(
    project: Project, store: ArgotVectorStore, write_collection: Callable[..., Path]
):
    folder = write_collection(PAYLOADS)

    first = migrate(project, Collection(name="docs", path=folder))
    second = migrate(project, Collection(name="docs", path=folder))

    assert (first.written, first.kept, first.failed) == (2, 0, {})
    assert (second.written, second.kept) == (0, 2)
    assert store.get_by_ids([PAY, LEAVE]) == [
        Document(id=PAY, page_content="salaries are paid monthly", metadata={}),
        Document(
            id=LEAVE, page_content="thirty days of leave", metadata={"year": 2024, "tags": ["hr"]}
        ),
    ]
    assert store.similarity_search("leave", k=1)[0].id == LEAVE


def test_an_interrupted_run_is_completed_by_the_next(
    project: Project, store: ArgotVectorStore, write_collection: Callable[..., Path]
):
    folder = write_collection({LEAVE: PAYLOADS[LEAVE]})
    migrate(project, Collection(name="docs", path=folder))
    write_collection(PAYLOADS)

    report = migrate(project, Collection(name="docs", path=folder))

    assert (report.written, report.kept) == (1, 1)
    assert len(store.get_by_ids([LEAVE, PAY])) == 2


def test_a_point_without_text_is_named_and_the_others_come_over(
    project: Project, write_collection: Callable[..., Path], capsys: pytest.CaptureFixture[str]
):
    folder = write_collection({**PAYLOADS, BROKEN: {"text": "elsewhere"}})
    root = str(project.paths.root)
    words = ["migrate", "docs", "--path", str(folder), "--project", root]

    assert run(words) == 3
    err = capsys.readouterr().err
    assert "2 written, 0 kept, 1 failed" in err
    assert f"{BROKEN}: `page_content` must be its text; got NoneType; it has text" in err


def test_what_is_no_collection_is_refused(
    project: Project, write_collection: Callable[..., Path], tmp_path: Path
):
    folder = write_collection(PAYLOADS)

    with pytest.raises(SettingsError, match="no collection 'papers'; there are: docs"):
        migrate(project, Collection(name="papers", path=folder))
    with pytest.raises(SettingsError, match=r"it has no meta\.json"):
        migrate(project, Collection(name="docs", path=tmp_path))
    with pytest.raises(ValueError, match="one of them"):
        Collection(name="docs")
    assert run(["migrate", "docs", "--project", str(project.paths.root)]) == 2
