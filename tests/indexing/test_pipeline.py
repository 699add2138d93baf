"""What a sync does to the store and the catalog when everything goes well."""

from typing import TYPE_CHECKING

import pytest

from connectors.base import Checkpoint, Delete
from indexing.catalog.catalog import Catalog
from indexing.errors import DeleteGuardError
from indexing.sync.report import SyncProgress, merge_reports

if TYPE_CHECKING:
    from sync_world import Source, World

VERSION = "docs-0001"
LONG = " ".join(f"Sentence number {n} has seven words." for n in range(40))


@pytest.fixture
def wiki(world: "World") -> "Source":
    source = world.source()
    source.put("leave", "Twenty-five days of paid leave.", title="Leave", uri="https://wiki/leave")
    source.put("travel", LONG, title="Travel")
    for n in range(8):
        source.put(f"page-{n}", f"Page {n} says little.")
    return source


def test_everything_in_the_source_can_be_found(world: "World", wiki: "Source") -> None:
    report = world.sync(wiki)
    assert (report.added, report.kept, report.failed) == (10, 0, ())
    assert report.chunks_embedded == world.store.count() == len(world.encoder.texts)
    assert set(world.texts()) == set(wiki.documents)
    assert len(world.texts()["travel"]) > 5
    assert world.stored_ids() == world.cataloged_ids()


def test_the_payload_says_where_a_chunk_is_from(world: "World", wiki: "Source") -> None:
    wiki.documents = {}
    wiki.put("a", "Body.", title="T", metadata={"tag": "x"}, access=("user:a",), page_starts=(0,))
    world.sync(wiki)
    (point,) = next(world.store.scan())
    assert point.payload == {
        "source": "wiki",
        "document_id": "a",
        "ordinal": 0,
        "text": "Body.",
        "title": "T",
        "uri": "",
        "start": 0,
        "end": 5,
        "page": 1,
        "heading_path": [],
        "metadata": {"tag": "x"},
        "access": ["user:a"],
        "protected": True,
    }
    assert world.encoder.texts == ["T\nBody."]


def test_replaying_a_sync_writes_no_new_points(world: "World", wiki: "Source") -> None:
    world.sync(wiki)
    before, encoded, loaded = world.stored_ids(), len(world.encoder.texts), len(wiki.loaded)
    report = world.sync(wiki)
    assert (report.kept, report.added, report.changed, report.chunks_embedded) == (10, 0, 0, 0)
    assert world.stored_ids() == before
    assert (len(world.encoder.texts), len(wiki.loaded)) == (encoded, loaded)


def test_without_revisions_documents_are_read_but_not_encoded_again(
    world: "World", wiki: "Source"
) -> None:
    wiki.has_revisions = False
    world.sync(wiki)
    encoded = len(world.encoder.texts)
    assert world.sync(wiki).kept == 10
    assert (len(wiki.loaded), len(world.encoder.texts)) == (20, encoded)


def test_a_new_revision_of_the_same_content_is_remembered(world: "World", wiki: "Source") -> None:
    wiki.has_revisions = False
    world.sync(wiki)
    wiki.has_revisions = True
    world.sync(wiki)
    loaded = len(wiki.loaded)
    assert world.sync(wiki).kept == 10
    assert len(wiki.loaded) == loaded


def test_a_changed_document_is_replaced(world: "World", wiki: "Source") -> None:
    world.sync(wiki)
    wiki.put("leave", "Thirty days of paid leave.", title="Leave")
    report = world.sync(wiki)
    assert (report.changed, report.kept, report.chunks_embedded) == (1, 9, 1)
    assert world.texts()["leave"] == ["Thirty days of paid leave."]
    assert world.stored_ids() == world.cataloged_ids()


def test_only_the_changed_chunks_of_a_document_are_encoded(world: "World", wiki: "Source") -> None:
    wiki.put("list", "\n\n".join(f"Paragraph {n} " + "word " * 20 for n in range(9)))
    world.sync(wiki)
    wiki.put("list", wiki.documents["list"].text + "\n\nOne more paragraph." + " more" * 20)
    assert world.sync(wiki).chunks_embedded == 1
    assert len(world.texts()["list"]) == 10


def test_a_shorter_document_leaves_no_old_chunks(world: "World", wiki: "Source") -> None:
    world.sync(wiki)
    wiki.put("travel", "Short now.", title="Travel")
    world.sync(wiki)
    assert world.texts()["travel"] == ["Short now."]
    assert world.stored_ids() == world.cataloged_ids()


def test_metadata_alone_changes_without_encoding(world: "World", wiki: "Source") -> None:
    world.sync(wiki)
    before, encoded = world.stored_ids(), len(world.encoder.texts)
    wiki.put("travel", LONG, title="Travel", metadata={"owner": "Ann"}, access=("group:hr",))
    report = world.sync(wiki)
    assert (report.metadata_only, report.changed, report.chunks_embedded) == (1, 0, 0)
    assert (world.stored_ids(), len(world.encoder.texts)) == (before, encoded)
    payloads = [
        point.payload
        for batch in world.store.scan()
        for point in batch
        if point.payload["document_id"] == "travel"
    ]
    assert all(payload["metadata"] == {"owner": "Ann"} for payload in payloads)
    assert all(payload["access"] == ["group:hr"] for payload in payloads)
    assert world.sync(wiki).kept == 10


def test_metadata_of_a_document_whose_points_were_lost_brings_them_back(
    world: "World", wiki: "Source"
) -> None:
    world.sync(wiki)
    before = world.stored_ids()
    world.store.delete(sorted(before))
    wiki.put("leave", "Twenty-five days of paid leave.", title="Leave", metadata={"owner": "Ann"})
    assert world.sync(wiki).chunks_embedded == 1
    assert world.texts() == {"leave": ["Twenty-five days of paid leave."]}


def test_protecting_a_source_reaches_its_unchanged_documents(
    world: "World", wiki: "Source"
) -> None:
    world.sync(wiki)
    assert world.sync(wiki, protected=True).metadata_only == 10
    points = [point for batch in world.store.scan() for point in batch]
    assert all(point.payload["protected"] for point in points)
    assert world.sync(wiki, protected=True).kept == 10


def test_a_document_that_is_gone_disappears(world: "World", wiki: "Source") -> None:
    world.sync(wiki)
    del wiki.documents["travel"]
    report = world.sync(wiki)
    assert (report.deleted, report.kept) == (1, 9)
    assert "travel" not in world.texts()
    assert world.stored_ids() == world.cataloged_ids()


def test_nothing_is_deleted_without_a_complete_listing(world: "World", wiki: "Source") -> None:
    world.sync(wiki)
    del wiki.documents["travel"]
    wiki.is_complete = False
    assert world.sync(wiki).deleted == 0
    assert "travel" in world.texts()


def test_what_the_source_calls_deleted_goes_without_a_complete_listing(
    world: "World", wiki: "Source"
) -> None:
    world.sync(wiki)
    wiki.documents, wiki.is_complete = {}, False
    wiki.extra = [Delete("travel"), Delete("never-seen")]
    assert world.sync(wiki).deleted == 1
    assert len(world.texts()) == 9


def test_an_empty_listing_is_refused(world: "World", wiki: "Source") -> None:
    world.sync(wiki)
    before = world.stored_ids()
    wiki.documents = {}
    with pytest.raises(DeleteGuardError, match="none of its 10 indexed documents"):
        world.sync(wiki)
    assert world.stored_ids() == before
    assert world.sync(wiki, max_delete_fraction=1).deleted == 10
    assert world.stored_ids() == set()


def test_too_many_deletions_are_refused_but_the_rest_is_done(
    world: "World", wiki: "Source"
) -> None:
    world.sync(wiki)
    for n in range(3):
        del wiki.documents[f"page-{n}"]
    wiki.put("new", "A new page.")
    with pytest.raises(DeleteGuardError, match="at most 2 may be deleted"):
        world.sync(wiki)
    assert {"new", "page-0"} <= set(world.texts())
    assert world.catalog.last_runs(version=VERSION)[0].status == "refused"


def test_sources_do_not_delete_each_other(world: "World", wiki: "Source") -> None:
    files = world.source("files")
    files.put("leave", "The same id, another source.")
    world.sync(wiki)
    world.sync(files)
    assert world.store.count() == len(world.cataloged_ids())
    assert sorted(world.texts()["leave"]) == [
        "The same id, another source.",
        "Twenty-five days of paid leave.",
    ]
    assert world.sync(wiki).kept == 10


def test_the_cursor_is_kept_once_everything_before_it_is_written(
    world: "World", wiki: "Source"
) -> None:
    wiki.extra = [Checkpoint("page 2")]
    world.encoder.fails_after = 0
    with pytest.raises(RuntimeError, match="GPU"):
        world.sync(wiki)
    world.encoder.fails_after = None
    world.sync(wiki)
    world.sync(wiki)
    world.sync(wiki, retry_failed=True)
    assert wiki.cursors == [None, None, "page 2", None]


def test_a_cursor_waits_for_the_deletions_before_it(world: "World", wiki: "Source") -> None:
    world.sync(wiki)
    wiki.extra = [*(Delete(f"page-{n}") for n in range(8)), Checkpoint("later")]
    wiki.documents = {"leave": wiki.documents["leave"]}
    wiki.is_complete = False
    with pytest.raises(DeleteGuardError):
        world.sync(wiki)
    world.sync(wiki, max_delete_fraction=0.9)
    assert wiki.cursors == [None, None, None]
    assert set(world.texts()) == {"leave", "travel"}


def test_a_document_named_twice_in_a_run_ends_as_it_was_named_last(
    world: "World", wiki: "Source"
) -> None:
    other = world.source()
    other.put("leave", "Another text.")
    wiki.extra = list(other.changes(None))[:1]
    world.sync(wiki)
    assert world.texts()["leave"] == ["Another text."]
    assert world.stored_ids() == world.cataloged_ids()


def test_a_document_without_text_is_known_and_has_no_points(world: "World", wiki: "Source") -> None:
    wiki.documents = {}
    wiki.put("empty", " \n")
    assert world.sync(wiki).added == 1
    assert world.sync(wiki).kept == 1
    assert world.store.count() == 0


def test_another_version_starts_empty(world: "World", wiki: "Source") -> None:
    world.sync(wiki)
    records = world.catalog.source("wiki", version="docs-0002")
    assert list(records.known_documents()) == []
    assert records.cursor() is None


def test_progress_and_runs_are_reported(world: "World", wiki: "Source") -> None:
    from indexing.sync.pipeline import sync

    told: list[SyncProgress] = []
    report = sync(wiki, catalog=world.catalog, target=world.target, progress=told.append)
    assert [progress.phase for progress in told][-2:] == ["encoding", "optimizing"]
    assert (told[-1].documents, told[-1].chunks) == (10, report.chunks_embedded)
    (run,) = world.catalog.last_runs(version=VERSION)
    assert (run.status, run.counts["added"], run.source) == ("done", 10, "wiki")
    assert merge_reports([report, report]).added == 20


def test_what_a_version_holds_can_be_read_back_whole(world: "World", wiki: "Source") -> None:
    wiki.put("paged", "One.\n\nTwo.", title="P", metadata={"n": 1}, access=(), page_starts=(0, 6))
    world.sync(wiki)
    stored = {point.id: dict(point.payload) for batch in world.store.scan() for point in batch}
    documents = list(world.catalog.indexed_documents(version=VERSION))
    rebuilt = {
        point: document.payload(chunk)
        for document in documents
        for chunk, point in zip(document.chunks, document.point_ids, strict=True)
    }
    assert rebuilt == stored


def test_a_catalog_in_another_process_sees_the_same(world: "World", wiki: "Source") -> None:
    world.sync(wiki)
    with Catalog(str(world.catalog._engine.url)) as other:
        (summary,) = other.summary(version=VERSION)
    assert (summary.source, summary.documents, summary.failed) == ("wiki", 10, 0)
    assert summary.chunks == world.store.count()
