"""Who may see what a program writes: what a write does not say does not change."""

from typing import Any

import pytest
from langchain_core.documents import Document

from argot.document_writing import DocumentWriter
from argot.errors import DocumentRefusedError
from argot.langchain.index import ArgotDocumentIndex
from argot.langchain.store import ArgotVectorStore
from argot.project import Project
from connectors.document import Document as SourceDocument

BOARD, STRANGER = ["group:board"], ["user:stranger"]


def minutes(text: str = "secret minutes") -> list[Document]:
    return [Document(id="minutes", page_content=text)]


def seen(store: ArgotVectorStore, principals: list[str] | None, *ids: str) -> list[str]:
    return [d.page_content for d in store.get_by_ids(ids or ["minutes"], principals=principals)]


@pytest.fixture
def kept(store: ArgotVectorStore) -> ArgotVectorStore:
    """A store with minutes for the board."""
    store.add_documents(minutes(), access=BOARD)
    return store


@pytest.mark.parametrize("text", ["secret minutes", "other secret minutes"])
def test_a_document_that_is_written_again_keeps_its_access_list(kept: ArgotVectorStore, text: str):
    kept.add_documents(minutes(text))
    assert seen(kept, STRANGER) == []
    assert seen(kept, BOARD) == [text]

    kept.add_texts([text], [{"n": 1}], ids=["minutes"])
    assert seen(kept, STRANGER) == []

    ArgotDocumentIndex(store=kept).upsert(minutes(text))
    assert seen(kept, STRANGER) == []
    assert seen(kept, BOARD) == [text]


async def test_it_keeps_it_when_it_is_written_asynchronously(kept: ArgotVectorStore):
    await kept.aadd_documents(minutes("new"))
    await ArgotDocumentIndex(store=kept).aupsert(minutes("newer"))

    assert seen(kept, STRANGER) == []
    assert seen(kept, BOARD) == ["newer"]


def test_to_make_a_document_public_must_be_said(kept: ArgotVectorStore):
    kept.add_documents(minutes(), access="everybody")
    assert seen(kept, None) == ["secret minutes"]

    ArgotDocumentIndex(store=kept).upsert(minutes(), access=BOARD)
    assert seen(kept, STRANGER) == []
    ArgotDocumentIndex(store=kept).upsert(minutes(), access="everybody")
    assert seen(kept, None) == ["secret minutes"]


def test_what_the_store_is_told_is_said_of_each_write(project: Project):
    with ArgotVectorStore(project, access=BOARD) as store:
        store.add_documents(minutes())
    with ArgotVectorStore(project) as store:
        store.add_documents(minutes("new"))
        assert seen(store, STRANGER) == []
    with ArgotVectorStore(project, access=["user:eve"]) as store:
        store.add_documents(minutes("new"))
        assert seen(store, BOARD) == []
        assert seen(store, ["user:eve"]) == ["new"]
    with ArgotVectorStore(project, access="everybody") as store:
        store.add_documents(minutes("new"))
        assert seen(store, None) == ["new"]


def test_a_new_document_must_say_who_may_see_it_once_others_do(kept: ArgotVectorStore):
    new, old = Document(id="new", page_content="a new note"), minutes("changed")
    for write in (kept.add_documents, ArgotDocumentIndex(store=kept).upsert):
        with pytest.raises(DocumentRefusedError, match=r"1 of 2 .* 'new': .*access lists(.|\n)*h"):
            write([new, *old])
    assert seen(kept, BOARD, "new", "minutes") == ["changed"]

    kept.add_documents([new], access="everybody")
    assert seen(kept, STRANGER, "new") == ["a new note"]
    kept.add_documents([new])  # it is there, so nothing needs to be said
    kept.delete(["minutes"])
    kept.add_texts(["another"], ids=["another"])  # and now no list is left
    assert seen(kept, None, "new", "another") == ["a new note", "another"]


def test_beside_protected_sources_a_new_document_must_say_who_may_see_it(
    store: ArgotVectorStore, project: Project
):
    (project.paths.root / "corpus.jsonl").write_text('{"_id": "a", "text": "x", "access": []}')
    (project.paths.root / "argot.toml").write_text(
        "[[sources]]\nname = 'docs'\npath = 'corpus.jsonl'\nprotected = true\n"
    )
    opened = Project.open(project.paths.root)
    opened.encoder = project.encoder
    opened.ingest()

    with pytest.raises(DocumentRefusedError, match="a new one must say who may see it"):
        store.add_texts(["open"], ids=["open"])
    assert seen(store, STRANGER, "open") == []
    store.add_texts(["open"], ids=["open"], access="everybody")
    assert seen(store, STRANGER, "open") == ["open"]


def test_documents_of_other_programs_keep_their_lists_too(kept: ArgotVectorStore, project: Project):
    new = SourceDocument(id="new", text="migrated")
    report = DocumentWriter(project).write([SourceDocument(id="minutes", text="migrated"), new])
    kept.refresh()

    assert report.failed == {}
    assert seen(kept, STRANGER, "minutes", "new") == ["migrated"]  # the new one


def test_a_list_for_nobody_is_not_the_same_as_none(store: ArgotVectorStore):
    store.add_documents(minutes(), access=[])
    store.add_documents(minutes())

    assert seen(store, BOARD) == []


@pytest.mark.parametrize(
    ("access", "error", "message"),
    [
        ("group:board", TypeError, "must be a list of names"),
        ({"group:board": True}, TypeError, "must be a list of names"),
        (5, TypeError, "must be a list of names"),
        ([""], ValueError, "non-empty strings; got ''"),
        ([None], ValueError, "non-empty strings; got None"),
        ([["group:board"]], ValueError, "non-empty strings"),
        (["\ud800"], ValueError, "valid text"),
    ],
)
def test_what_is_no_list_of_names_is_refused(
    store: ArgotVectorStore, access: Any, error: type[Exception], message: str
):
    for write in (
        lambda: store.add_documents(minutes(), access=access),
        lambda: store.add_texts(["x"], access=access),
        lambda: ArgotDocumentIndex(store=store).upsert(minutes(), access=access),
        lambda: ArgotVectorStore(store.project, access=access),
    ):
        with pytest.raises(error, match=message):
            write()
    assert store.get_by_ids(["minutes"]) == []


def test_a_set_of_names_is_one_list_whatever_its_order(store: ArgotVectorStore):
    store.add_documents(minutes(), access={"user:b", "user:a"})  # type: ignore[arg-type]

    assert seen(store, ["user:a"]) == seen(store, ["user:b"]) == ["secret minutes"]
