"""Two versions in one catalog: which documents differ, and what is copied when none do."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from connectors.document import Document
from indexing.catalog.catalog import Catalog
from indexing.catalog.compare import Pending
from indexing.chunks.chunking import Chunk
from indexing.records import FailedDocument, IndexedDocument

A, B = "docs-0001", "docs-0002"


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    with Catalog(f"sqlite:///{tmp_path / 'catalog.sqlite'}") as catalog:
        yield catalog


def document(name: str, *, source: str = "wiki", chunks: int = 2, **fields: Any) -> IndexedDocument:
    made = tuple(
        Chunk(
            ordinal=n,
            text=f"{name} {n}",
            start=n,
            end=n + 1,
            page=None,
            heading_path=(f"All about {name}",),
            context="",
            token_count=2,
        )
        for n in range(chunks)
    )
    values: dict[str, Any] = {
        "revision": "1",
        "protected": False,
        "content_hash": f"content of {name}",
        "metadata_hash": "metadata",
        "access_hash": "access",
        **fields,
    }
    text = Document(id=name, text="", title=name)
    return IndexedDocument(source=source, document=text, chunks=made, **values)


def put(catalog: Catalog, version: str, *documents: IndexedDocument) -> None:
    for each in documents:
        catalog.source(each.source, version=version).commit(indexed=[each])


def test_only_what_differs_is_named_whatever_way_it_differs(catalog: Catalog) -> None:
    put(catalog, A, *(document(name) for name in "abcdefg"), document("a", source="blog"))
    put(catalog, B, document("a"), document("z"), document("y", source="blog"))
    put(catalog, B, document("b", content_hash="other"), document("c", metadata_hash=None))
    put(catalog, B, document("d", access_hash="other"), document("e", protected=True))
    put(catalog, B, document("f", chunks=5))  # cut otherwise, of the same text
    comparison = catalog.compare(A, B)
    different = [("wiki", name) for name in "bcdeg"]
    assert list(comparison.differing()) == [("blog", "a"), *different]
    assert comparison.gone() == {"wiki": ["z"], "blog": ["y"]}
    assert comparison.pending() == Pending(documents=6, chunks=12, gone=2)


def test_more_documents_than_a_page_are_all_named_once(catalog: Catalog) -> None:
    names = [f"d{n:04}" for n in range(520)]
    catalog.source("wiki", version=A).commit(indexed=[document(name, chunks=1) for name in names])
    assert [name for _, name in catalog.compare(A, B).differing()] == names


def test_revisions_failures_and_cursors_follow_when_the_documents_are_in_step(
    catalog: Catalog,
) -> None:
    put(catalog, A, document("a", revision="2"), document("b"))
    put(catalog, B, document("a"), document("b"))
    failed = [FailedDocument("wiki", name, "torn", "3") for name in ("b", "c")]
    catalog.source("wiki", version=A).commit(failed=failed, cursor="here")
    stale = FailedDocument("wiki", "d", "gone since", None)
    catalog.source("wiki", version=B).commit(failed=[stale], cursor="there")
    catalog.compare(A, B).copy_standing()
    records = catalog.source("wiki", version=B)
    assert catalog.compare(A, B).pending().nothing
    assert catalog.failures(version=B) == catalog.failures(version=A)
    assert records.cursor() == "here"
    known = records.find("a")
    assert known is not None
    assert known.revision == "2"
    assert catalog.source("wiki", version=A).cursor() == "here"


def test_a_document_that_only_the_other_version_could_not_take_stays_noted_there(
    catalog: Catalog,
) -> None:
    put(catalog, A, document("a"))
    refused = FailedDocument("wiki", "a", "the encoder refuses it", "1")
    catalog.source("wiki", version=B).commit(failed=[refused])
    catalog.compare(A, B).copy_standing()
    assert [failure.reason for failure in catalog.failures(version=B)] == [refused.reason]
    assert list(catalog.compare(A, B).differing()) == [("wiki", "a")]


def test_every_point_is_listed_and_knows_its_chunk_and_document(catalog: Catalog) -> None:
    documents = [document(f"d{n}", chunks=3) for n in range(200)]
    catalog.source("wiki", version=A).commit(indexed=documents)
    points = catalog.points(version=A)
    listed = [point for page in points.pages() for point in page]
    assert points.count() == len(listed) == len(set(listed)) == 600
    assert set(listed) == {point for each in documents for point in each.point_ids}
    owner, chunk = points.owners([documents[7].point_ids[2], "unknown"])[documents[7].point_ids[2]]
    assert (owner.document.id, chunk) == ("d7", documents[7].chunks[2])
    assert catalog.versions() == {A}
