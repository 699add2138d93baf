"""`langchain_core.indexing.index`, which calls a document whose text changed a new one."""

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from langchain_core.documents import Document
from langchain_core.indexing import InMemoryRecordManager, aindex, index

from argot.errors import DocumentRefusedError
from argot.langchain.index import ArgotDocumentIndex
from argot.langchain.store import ArgotVectorStore
from argot.project import Project
from encoder.fake import HashingEncoder
from retriever.errors import TenantError

BOARD, STRANGER = ["group:board"], ["user:stranger"]
SAID = {"upsert_kwargs": {"access": BOARD}}
EVERYTHING = "leave travel pay"

Cleanup = Literal["incremental", "full", "scoped_full"] | None
Fill = Callable[..., dict[str, int]]


def texts(*given: str) -> list[Document]:
    """Documents of one source each, named by their first word."""
    return [Document(page_content=t, metadata={"source": t.split()[0]}) for t in given]


def made(kind: str, project: Project | Path, **options: Any) -> ArgotVectorStore | Any:
    if kind == "vector store":
        return ArgotVectorStore(project, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a document index is a beta of LangChain's
        return ArgotDocumentIndex.from_project(project, **options)


def filler(destination: Any) -> Fill:
    """What fills a store or an index by LangChain's own bookkeeping."""
    manager = InMemoryRecordManager("test")
    manager.create_schema()

    def fill(*given: str, cleanup: Cleanup = None, **options: Any) -> dict[str, int]:
        documents = texts(*given)
        return dict(
            index(
                documents,
                manager,
                destination,
                cleanup=cleanup,
                source_id_key="source",
                key_encoder="sha256",
                **options,
            )
        )

    return fill


def found(project: Project, who: list[str] | None) -> set[str]:
    with ArgotVectorStore(project) as store:
        documents = store.similarity_search(EVERYTHING, 99, principals=who)
    return {document.page_content for document in documents}


@pytest.fixture(params=["vector store", "document index"])
def filled(request: pytest.FixtureRequest, project: Project) -> Iterator[Fill]:
    """Fills a store or an index, which hold three documents for the board."""
    with made(request.param, project) as destination:
        fill = filler(destination)
        assert fill("leave one", "travel one", "pay one", **SAID)["num_added"] == 3
        yield fill


MODES: tuple[Cleanup, ...] = (None, "incremental", "full", "scoped_full")


@pytest.mark.parametrize("cleanup", MODES)
def test_no_way_to_index_again_makes_a_protected_document_public(
    filled: Fill, project: Project, cleanup: Cleanup
):
    given = ("leave one", "travel one", "pay one")
    assert filled(*given, cleanup=cleanup)["num_skipped"] == 3
    assert filled(*given, cleanup=cleanup, force_update=True)["num_updated"] == 3
    with pytest.raises(DocumentRefusedError, match="must say who may see it"):
        filled("leave two", "travel one", "pay one", cleanup=cleanup)

    assert found(project, STRANGER) == set()
    assert found(project, BOARD) == set(given)


@pytest.mark.parametrize(
    ("cleanup", "left"),
    [
        (None, {"leave one", "leave two", "travel one", "pay one"}),
        ("incremental", {"leave two", "travel one", "pay one"}),
        ("full", {"leave two", "travel one"}),
        ("scoped_full", {"leave two", "travel one", "pay one"}),
    ],
)
def test_each_way_to_clean_up_leaves_what_it_should(
    filled: Fill, project: Project, cleanup: Cleanup, left: set[str]
):
    done = filled("leave two", "travel one", cleanup=cleanup, **SAID)

    assert (done["num_added"], done["num_skipped"], done["num_deleted"]) == (1, 1, 4 - len(left))
    assert found(project, BOARD) == left
    assert found(project, STRANGER) == set()


@pytest.mark.parametrize("kind", ["vector store", "document index"])
async def test_a_store_that_is_told_who_needs_no_telling(kind: str, project: Project):
    manager = InMemoryRecordManager("test")
    await manager.acreate_schema()
    with made(kind, project, access=BOARD) as destination:
        for given in (("leave one", "pay one"), ("leave two",)):
            await aindex(texts(*given), manager, destination, cleanup="full", key_encoder="sha256")

    assert found(project, BOARD) == {"leave two"}
    assert found(project, STRANGER) == set()


@pytest.mark.parametrize("kind", ["vector store", "document index"])
def test_with_tenants_a_store_of_one_is_cleaned_up(kind: str, tmp_path: Path):
    (tmp_path / "argot.toml").write_text("[access]\ntenant_field = 'metadata.source'\n")
    project = Project.open(tmp_path)
    project.encoder = HashingEncoder(64)
    with made(kind, project) as destination:
        fill = filler(destination)
        fill("acme one", "rival one")
        with pytest.raises(TenantError, match="to delete must name one"):
            fill("acme two", cleanup="full")
    with made(kind, project, tenant="acme") as destination:
        fill = filler(destination)
        fill("acme three")
        with pytest.raises(DocumentRefusedError, match="only documents of tenant 'acme'"):
            fill("rival two")
        assert fill(cleanup="full")["num_deleted"] == 1

    with ArgotVectorStore(project) as store:
        acme = store.similarity_search("one two three", 9, principals=["tenant:acme"])
        assert {d.page_content for d in acme} == {"acme one", "acme two"}
        (rival,) = store.similarity_search("one two three", 9, principals=["tenant:rival"])
        assert rival.page_content == "rival one"


def test_a_filter_bound_to_a_document_index_narrows_for_good(project: Project):
    with ArgotDocumentIndex.from_project(project, mode="sparse") as documents:
        documents.upsert([Document(id=name, page_content="leave") for name in "abc"])
        both, other = {"document_id": ["a", "b"]}, {"document_id": ["b", "c"]}
        bound = documents.bind(filter=both).with_config(tags=["x"]).bind(k=3, per_document=1)
        assert {one.id for one in bound.invoke("leave")} == {"a", "b"}
        assert [one.id for one in bound.invoke("leave", filter=other)] == ["b"]
        assert len(documents.invoke("leave")) == 3
