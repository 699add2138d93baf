"""Every way to write, and every attempt to open or to take what is another's: none succeeds."""

import asyncio
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.documents import Document
from langchain_core.indexing import InMemoryRecordManager, index

from argot.langchain.index import ArgotDocumentIndex
from argot.langchain.store import ArgotVectorStore
from argot.project import Project
from encoder.fake import HashingEncoder
from retriever.errors import TenantError

MARKER = "xyzzy"
"""Stands in the secret, and in all that is written under its id."""

Given = dict[str, Any]
Write = Callable[[ArgotVectorStore, ArgotDocumentIndex, Document, Given], object]


def filled(destination: Any, document: Document, given: Given) -> object:
    """LangChain's own indexing, with the ids of the documents."""
    manager = InMemoryRecordManager("leaks")
    manager.create_schema()
    return index(
        [document],
        manager,
        destination,
        key_encoder=lambda one: str(one.id),
        upsert_kwargs=given,
    )


WAYS: dict[str, Write] = {
    "add_documents": lambda s, _, d, given: s.add_documents([d], **given),
    "aadd_documents": lambda s, _, d, given: asyncio.run(s.aadd_documents([d], **given)),
    "add_texts": lambda s, _, d, given: s.add_texts(
        [d.page_content], [d.metadata], ids=[str(d.id)], **given
    ),
    "upsert": lambda _, i, d, given: i.upsert([d], **given),
    "aupsert": lambda _, i, d, given: asyncio.run(i.aupsert([d], **given)),
    "index(), store": lambda s, _, d, given: filled(s, d, given),
    "index(), document index": lambda _, i, d, given: filled(i, d, given),
}

DELETES: dict[str, Callable[..., object]] = {
    "delete": lambda s, _, **given: s.delete(["secret"], **given),
    "adelete": lambda s, _, **given: asyncio.run(s.adelete(["secret"], **given)),
    "document index, delete": lambda _, i, **given: i.delete(["secret"], **given),
    "document index, adelete": lambda _, i, **given: asyncio.run(i.adelete(["secret"], **given)),
}

OPENING: dict[str, tuple[Given, Given]] = {
    "nothing said": ({}, {}),
    "None": ({"access": None}, {}),
    "an empty name": ({"access": [""]}, {}),
    "a lone name": ({"access": "user:stranger"}, {}),
    "a name in other letters": ({"access": "Everybody"}, {}),
    "in the metadata": ({}, {"access": ["user:stranger"], "protected": False}),
    "another argument": ({"public": True}, {}),
}
"""What is said with a write, and the document's metadata."""

TAKING: dict[str, tuple[Given, Given]] = {
    "as its own": ({}, {"tenant": "acme"}),
    "opened": ({"access": "everybody"}, {"tenant": "acme"}),
    "of none": ({}, {}),
    "of both": ({}, {"tenant": ["acme", "rival"]}),
    "as an argument": ({"tenant": "rival"}, {"tenant": "acme"}),
}

NAMED: dict[str, Given] = {
    "nobody": {},
    "None": {"tenant": None},
    "another": {"tenant": "acme"},
    "an empty one": {"tenant": ""},
    "every one": {"tenant": "*"},
    "by principals": {"principals": ["tenant:rival"]},
}

Opened = tuple[ArgotVectorStore, ArgotDocumentIndex]


def opened(folder: Path, *, settings: str, tenant: str, access: list[str] | None) -> Opened:
    """A project with a secret, as a store and as an index."""
    (folder / "argot.toml").write_text(settings)
    project = Project.open(folder)
    project.encoder = HashingEncoder(64)
    store = ArgotVectorStore(project)
    store.add_texts([f"note {MARKER}"], [{"tenant": tenant}], ids=["secret"], access=access)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a document index is a beta of LangChain's
        return store, ArgotDocumentIndex(store=store)


@pytest.fixture(scope="module")
def protected(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    """A secret of the board's."""
    folder = tmp_path_factory.mktemp("protected")
    both = opened(folder, settings="", tenant="", access=["group:board"])
    yield both
    both[0].close()


@pytest.fixture(scope="module")
def divided(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    """A secret of the tenant rival's."""
    folder = tmp_path_factory.mktemp("divided")
    settings = "[access]\ntenant_field = 'metadata.tenant'\n"
    both = opened(folder, settings=settings, tenant="rival", access=None)
    yield both
    both[0].close()


def tried(call: Callable[[], object]) -> None:
    try:
        call()
    except (ValueError, TypeError, TenantError):
        return  # refused, which is as good as without effect


def seen(both: Opened, *principals: str) -> str:
    store, documents = both
    who = {"configurable": {"principals": list(principals)}}
    found = store.similarity_search("note", 9, principals=principals)
    return repr(
        [
            found,
            documents.invoke("note", who),
            store.get_by_ids(["secret"], principals=principals),
        ]
    )


@pytest.mark.parametrize("way", WAYS)
def test_no_write_opens_a_document(protected: Opened, way: str, record_property: Any):
    record_property("attempts", len(OPENING))
    for given, metadata in OPENING.values():
        document = Document(id="secret", page_content=f"note {MARKER} again", metadata=metadata)
        tried(lambda d=document, g=given: WAYS[way](*protected, d, g))

        assert MARKER not in seen(protected, "user:stranger")
        assert MARKER in seen(protected, "group:board")

    secret = Document(id="secret", page_content=f"note {MARKER}")
    WAYS[way](*protected, secret, {"access": "everybody"})
    assert MARKER in seen(protected, "user:stranger")  # or the attempts would have shown nothing
    WAYS[way](*protected, secret, {"access": ["group:board"]})
    assert MARKER not in seen(protected, "user:stranger")


@pytest.mark.parametrize("way", WAYS)
def test_no_write_takes_what_is_another_tenants(divided: Opened, way: str, record_property: Any):
    record_property("attempts", len(TAKING))
    before = seen(divided, "tenant:rival")
    for given, metadata in TAKING.values():
        document = Document(id="secret", page_content=f"taken {MARKER}", metadata=metadata)
        tried(lambda d=document, g=given: WAYS[way](*divided, d, g))

        assert MARKER not in seen(divided, "tenant:acme")
        assert seen(divided, "tenant:rival") == before

    own = Document(id="secret", page_content=f"own {MARKER}", metadata={"tenant": "rival"})
    WAYS[way](*divided, own, {})
    assert f"own {MARKER}" in seen(divided, "tenant:rival")


@pytest.mark.parametrize("way", DELETES)
def test_no_delete_reaches_what_is_another_tenants(divided: Opened, way: str, record_property: Any):
    record_property("attempts", len(NAMED))
    for given in NAMED.values():
        tried(lambda g=given: DELETES[way](*divided, **g))

        assert MARKER in seen(divided, "tenant:rival")

    DELETES[way](*divided, tenant="rival")
    assert MARKER not in seen(divided, "tenant:rival")
    divided[0].add_texts([f"note {MARKER}"], [{"tenant": "rival"}], ids=["secret"])


def test_108_combinations_of_way_and_attempt_are_tried():
    assert len(WAYS) * (len(OPENING) + len(TAKING)) + len(DELETES) * len(NAMED) == 108
