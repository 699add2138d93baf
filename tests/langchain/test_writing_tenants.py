"""What programs write where documents belong to tenants: nobody touches what is another's."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.documents import Document

from argot.document_writing import DocumentWriter
from argot.errors import DocumentRefusedError
from argot.langchain.index import ArgotDocumentIndex
from argot.langchain.store import ArgotVectorStore
from argot.project import Project
from connectors.document import Document as SourceDocument
from encoder.fake import HashingEncoder
from retriever.errors import TenantError

ACME, RIVAL = ["tenant:acme"], ["tenant:rival"]


def note(tenant: Any, *, id_: str = "1", text: str = "note") -> Document:
    return Document(id=id_, page_content=text, metadata={"tenant": tenant})


@pytest.fixture
def divided(tmp_path: Path) -> Project:
    """A project with tenants."""
    (tmp_path / "argot.toml").write_text("[access]\ntenant_field = 'metadata.tenant'\n")
    project = Project.open(tmp_path)
    project.encoder = HashingEncoder(64)
    return project


@pytest.fixture
def rivals(divided: Project) -> Iterator[ArgotVectorStore]:
    """A store in it with a note of rival's."""
    with ArgotVectorStore(divided) as store:
        store.add_documents([note("rival", text="rival's note")])
        yield store


def test_a_tenant_can_not_replace_the_document_of_another(rivals: ArgotVectorStore):
    for write in (rivals.add_documents, ArgotDocumentIndex(store=rivals).upsert):
        with pytest.raises(DocumentRefusedError, match="taken by a document that is not of"):
            write([note("acme", text="acme's note"), note("acme", id_="2")])

    assert [d.page_content for d in rivals.get_by_ids(["1"], principals=RIVAL)] == ["rival's note"]
    assert rivals.get_by_ids(["1"], principals=ACME) == []
    assert asyncio.run(rivals.aget_by_ids(["1"], principals=ACME)) == []
    assert len(asyncio.run(rivals.aget_by_ids(["1"], principals=RIVAL))) == 1
    assert len(rivals.get_by_ids(["2"], principals=ACME)) == 1  # all others are stored
    rivals.add_documents([note("rival", text="newer")])
    assert [d.page_content for d in rivals.get_by_ids(["1"], principals=RIVAL)] == ["newer"]


def test_of_two_tenants_with_one_id_in_one_call_the_first_has_it(rivals: ArgotVectorStore):
    with pytest.raises(DocumentRefusedError, match="not of tenant 'rival'"):
        rivals.add_documents([note("acme", id_="2"), note("rival", id_="2")])

    assert rivals.get_by_ids(["2"], principals=RIVAL) == []
    assert len(rivals.get_by_ids(["2"], principals=ACME)) == 1


@pytest.mark.parametrize(
    "metadata",
    [{}, {"tenant": ""}, {"tenant": 5}, {"tenant": None}, {"tenant": ["acme"]}, {"tenant": {}}],
)
def test_a_document_must_name_its_tenant_as_text(rivals: ArgotVectorStore, metadata: Any):
    with pytest.raises(DocumentRefusedError, match=r"'metadata\.tenant', which must be a text"):
        rivals.add_texts(["x"], [metadata], ids=["2"])

    for tenant in (ACME, RIVAL, ["tenant:5"]):
        assert rivals.get_by_ids(["2"], principals=tenant) == []


def test_documents_of_other_programs_are_refused_one_by_one(rivals: ArgotVectorStore):
    given = [
        SourceDocument(id="1", text="stolen", metadata={"tenant": "acme"}),
        SourceDocument(id="2", text="nobody's"),
        SourceDocument(id="3", text="fine", metadata={"tenant": "acme"}),
    ]
    report = DocumentWriter(rivals.project).write(given)

    assert (report.written, report.refused, set(report.failed)) == (1, {"1", "2"}, {"1", "2"})


def test_to_delete_must_name_the_tenant_and_finds_nothing_of_others(rivals: ArgotVectorStore):
    index = ArgotDocumentIndex(store=rivals)
    for call in (rivals.delete, index.delete):
        with pytest.raises(TenantError, match="to delete must name one"):
            call(["1"])
        with pytest.raises(TenantError, match="must be a name"):
            call(["1"], tenant="")
        with pytest.raises(TypeError, match="must be a name"):
            call(["1"], tenant=["rival"])

    assert rivals.delete(["1", "missing"], tenant="acme")  # as if it were not there
    assert index.delete(["1"], tenant="acme")["num_deleted"] == 0
    assert len(rivals.get_by_ids(["1"], principals=RIVAL)) == 1
    assert index.delete(["1"], tenant="rival")["succeeded"] == ["1"]
    assert rivals.get_by_ids(["1"], principals=RIVAL) == []


async def test_a_store_of_one_tenant_touches_no_other(rivals: ArgotVectorStore):
    store = ArgotVectorStore(rivals.project, tenant="acme")
    index = ArgotDocumentIndex.from_project(rivals.project, tenant="acme")
    for write in (store.add_documents, index.upsert):
        for theirs in (note("rival"), note("rival", id_="3"), note("acme")):
            with pytest.raises(DocumentRefusedError):
                write([theirs])
    with pytest.raises(TenantError, match="of tenant 'acme' only"):
        await store.adelete(["1"], tenant="rival")
    assert await store.adelete(["1"])
    assert (await index.adelete(["1"]))["succeeded"] == []

    rivals.refresh()
    assert [d.page_content for d in rivals.get_by_ids(["1", "3"], principals=RIVAL)] == [
        "rival's note"
    ]
    store.add_documents([note("acme", id_="2")])
    assert store.delete(["2"])
    store.close()
    index.close()


def test_the_access_lists_of_one_tenant_are_no_matter_of_another(rivals: ArgotVectorStore):
    rivals.add_documents([note("rival", id_="2")], access=["user:eve"])
    with pytest.raises(DocumentRefusedError, match="must say who may see it"):
        rivals.add_documents([note("rival", id_="3")])

    rivals.add_documents([note("acme", id_="4")])
    assert len(rivals.get_by_ids(["4"], principals=ACME)) == 1


def test_what_was_put_in_before_there_were_tenants_is_nobodys_to_touch(
    project: Project,
):
    with ArgotVectorStore(project) as store:
        store.add_texts(["old"], ids=["1"])
    (project.paths.root / "argot.toml").write_text("[access]\ntenant_field = 'metadata.tenant'\n")
    divided = Project.open(project.paths.root)
    divided.encoder = project.encoder
    with ArgotVectorStore(divided) as store:
        with pytest.raises(DocumentRefusedError, match="is taken"):
            store.add_documents([note("acme")])
        store.delete(["1"], tenant="acme")
    with ArgotVectorStore(project) as store:
        assert len(store.get_by_ids(["1"])) == 1
        store.delete(["1"])  # without tenants, anything can be deleted


def test_a_tenant_where_there_are_none_is_an_error(store: ArgotVectorStore):
    store.add_texts(["x"], ids=["1"])
    with pytest.raises(TenantError, match="belong to no tenants"):
        ArgotVectorStore(store.project, tenant="acme")
    with pytest.raises(TenantError, match="belong to no tenants"):
        store.delete(["1"], tenant="acme")
    assert len(store.get_by_ids(["1"])) == 1


def test_a_tenant_may_be_named_deep_in_the_metadata(tmp_path: Path):
    (tmp_path / "argot.toml").write_text("[access]\ntenant_field = 'metadata.owner.name'\n")
    with ArgotVectorStore(tmp_path) as store:
        store.add_texts(["x"], [{"owner": {"name": "acme"}}], ids=["1"])
        with pytest.raises(DocumentRefusedError, match=r"metadata\.owner\.name"):
            store.add_texts(["x"], [{"owner": "acme", "owner.name": "acme"}], ids=["2"])

        assert len(store.get_by_ids(["1"], principals=ACME)) == 1
        store.delete(["1"], tenant="acme")
        assert store.get_by_ids(["1"], principals=ACME) == []
