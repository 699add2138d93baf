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
from argot.migrated_points import Collection
from argot.migrating import migrate
from argot.project import Project
from retriever.errors import MissingPrincipalError

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


def guarded(groups: object) -> dict[str, Any]:
    return {"page_content": "the salary of the board", "metadata": {"groups": groups}}


def test_a_collection_is_seen_by_whom_it_is_said_and_by_nobody_else(
    project: Project, store: ArgotVectorStore, write_collection: Callable[..., Path]
):
    folder = write_collection(PAYLOADS)
    migrate(project, Collection(name="docs", path=folder))
    staff = Collection(name="docs", path=folder, access=("group:staff", "user:x"))

    report = migrate(project, staff)

    assert (report.written, report.kept) == (2, 0), "who may see them is written anew"
    for asking in (["group:staff"], ["user:x"]):
        assert len(store.similarity_search("leave", principals=asking)) == 2
    assert store.similarity_search("leave", principals=["group:guests"]) == []
    with pytest.raises(MissingPrincipalError):
        store.similarity_search("leave")


def test_each_document_may_be_seen_by_whom_its_own_list_names(
    project: Project, write_collection: Callable[..., Path], capsys: pytest.CaptureFixture[str]
):
    lists: list[object] = [["group:board", "user:x"], ["group:staff"]]
    unusable: list[object] = ["group:board", [], None, ["group:board", 5], {"group:board": 1}, [""]]
    ids = [str(uuid.uuid5(uuid.NAMESPACE_URL, str(number))) for number in range(9)]
    payloads = dict(zip(ids, map(guarded, [*lists, *unusable]), strict=False))
    folder = write_collection({**payloads, ids[8]: {"page_content": "no metadata"}})
    root = str(project.paths.root)
    words = ["migrate", "docs", "--path", str(folder), "--project", root]

    assert run([*words, "--access-key", "metadata.groups"]) == 0

    err = capsys.readouterr().err
    assert "9 written" in err
    assert "each document may be seen by whom its own metadata.groups names" in err
    assert "nobody may see 7 of them" in err
    assert "no list of names (4), missing (2), empty (1)" in err
    with ArgotVectorStore(project) as store:
        board = ["group:board"]
        assert [one.id for one in store.get_by_ids(ids, principals=board)] == [ids[0]]
        assert [one.id for one in store.get_by_ids(ids, principals=["group:staff"])] == [ids[1]]
        assert store.get_by_ids(ids[2:], principals=[*board, "group:staff", "user:x", "5"]) == []


def test_what_nothing_is_said_of_is_for_everybody_and_opens_nothing_that_was_closed(
    project: Project, write_collection: Callable[..., Path], capsys: pytest.CaptureFixture[str]
):
    root = str(project.paths.root)
    folder = write_collection({LEAVE: PAYLOADS[LEAVE]})
    words = ["migrate", "docs", "--path", str(folder), "--project", root]

    assert run(words) == 0
    assert "everybody may see them" in capsys.readouterr().err
    assert run([*words, "--access", "group:hr"]) == 0
    assert "they may be seen by group:hr" in capsys.readouterr().err
    write_collection(PAYLOADS)
    assert run(words) == 3
    err = capsys.readouterr().err
    assert "0 written, 1 kept, 1 failed" in err
    assert f"{PAY}: other documents here have access lists" in err
    assert run([*words, "--access", "everybody"]) == 0
    with ArgotVectorStore(project) as store:
        assert len(store.get_by_ids([LEAVE, PAY])) == 2, "that was said"


def test_beside_a_protected_source_it_must_be_said_who_may_see_a_collection(
    tmp_path: Path, write_collection: Callable[..., Path], capsys: pytest.CaptureFixture[str]
):
    folder = write_collection(PAYLOADS)
    root = tmp_path / "guarded"
    root.mkdir()
    source = "[[sources]]\nname = 'hr'\npath = 'hr.jsonl'\nprotected = true\n"
    (root / "argot.toml").write_text(source)
    words = ["migrate", "docs", "--path", str(folder), "--project", str(root)]

    assert run(words) == 2
    assert "source 'hr' of this project is protected" in capsys.readouterr().err
    assert run([*words, "--access", "group:hr"]) == 0


@pytest.mark.parametrize(
    "options",
    [
        ["--access", ""],
        ["--access", "everybody", "--access", "group:hr"],
        ["--access", "group:hr", "--access-key", "metadata.groups"],
        ["--access-key", "metadata..groups"],
    ],
)
def test_access_that_can_not_be_meant_is_refused(
    project: Project, tmp_path: Path, options: list[str]
):
    words = ["migrate", "docs", "--path", str(tmp_path), "--project", str(project.paths.root)]
    assert run([*words, *options]) == 2


def test_payload_fields_beside_text_and_metadata_come_over_or_are_named(
    project: Project, write_collection: Callable[..., Path], capsys: pytest.CaptureFixture[str]
):
    beside = {"group_id": "tenant-7", "year": 2020, "tags": ["hr"]}
    folder = write_collection({LEAVE: {**PAYLOADS[LEAVE], **beside}})
    words = ["migrate", "docs", "--path", str(folder), "--project", str(project.paths.root)]

    assert run(words) == 0

    err = capsys.readouterr().err
    assert "payload fields that became metadata: group_id (1)" in err
    assert "left out, since the metadata have another value of that name: year (1)" in err
    with ArgotVectorStore(project) as store:
        (found,) = store.get_by_ids([LEAVE])
    assert found.metadata == {"year": 2024, "tags": ["hr"], "group_id": "tenant-7"}


def test_a_folder_is_free_again_after_a_collection_was_not_there(
    project: Project, write_collection: Callable[..., Path]
):
    folder = write_collection(PAYLOADS)
    with pytest.raises(SettingsError, match="no collection"):
        migrate(project, Collection(name="papers", path=folder))
    assert migrate(project, Collection(name="docs", path=folder)).written == 2


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
