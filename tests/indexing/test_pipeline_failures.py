"""What a sync leaves behind when something goes wrong."""

from typing import TYPE_CHECKING

import pytest

from connectors.base import Failed, Upsert
from connectors.document import Document, Heading
from connectors.errors import DocumentError, SourceError
from indexing.errors import StoreError

if TYPE_CHECKING:
    from sync_world import Source, World

VERSION = "docs-0001"


@pytest.fixture
def wiki(world: "World") -> "Source":
    source = world.source()
    for n in range(10):
        source.put(f"page-{n}", f"Page {n} says little.")
    return source


def reasons(world: "World") -> dict[str, str]:
    return {f.document_id: f.reason for f in world.catalog.failures(version=VERSION)}


def test_a_document_that_cannot_be_read_is_set_aside(world: "World", wiki: "Source") -> None:
    wiki.broken["page-3"] = DocumentError("page-3 is encrypted; remove its password")
    report = world.sync(wiki)
    assert report.added == 9
    assert [(failed.document_id, failed.reason) for failed in report.failed] == [
        ("page-3", "page-3 is encrypted; remove its password")
    ]
    assert reasons(world) == {"page-3": "page-3 is encrypted; remove its password"}


def test_a_bug_of_a_parser_stops_no_run(world: "World", wiki: "Source") -> None:
    wiki.broken["page-3"] = KeyError("xref")
    assert world.sync(wiki).added == 9
    assert reasons(world) == {"page-3": "KeyError: 'xref'"}


def test_a_changed_document_that_fails_stays_as_it_was(world: "World", wiki: "Source") -> None:
    world.sync(wiki)
    wiki.put("page-3", "New text.")
    wiki.broken["page-3"] = DocumentError("half written")
    assert len(world.sync(wiki).failed) == 1
    assert world.texts()["page-3"] == ["Page 3 says little."]
    (summary,) = world.catalog.summary(version=VERSION)
    assert (summary.documents, summary.failed) == (10, 1)
    wiki.broken.clear()
    assert world.sync(wiki).changed == 1
    assert (world.texts()["page-3"], reasons(world)) == (["New text."], {})


def test_a_document_that_came_back_as_it_was_is_no_failure_any_more(
    world: "World", wiki: "Source"
) -> None:
    world.sync(wiki)
    before = wiki.documents["page-3"]
    wiki.put("page-3", "New text.")
    wiki.broken["page-3"] = DocumentError("half written")
    world.sync(wiki)
    wiki.documents["page-3"] = before
    assert (world.sync(wiki).kept, reasons(world)) == (10, {})


def test_a_failed_document_is_tried_three_times_and_then_only_reported(
    world: "World", wiki: "Source"
) -> None:
    wiki.broken["page-3"] = DocumentError("damaged")
    reports = [world.sync(wiki) for _ in range(5)]
    assert [len(report.failed) for report in reports] == [1] * 5
    assert wiki.loaded.count("page-3") == 3
    world.sync(wiki, retry_failed=True)
    assert wiki.loaded.count("page-3") == 4
    wiki.broken.clear()
    assert len(world.sync(wiki).failed) == 1
    wiki.put("page-3", "Repaired.")
    assert (world.sync(wiki).failed, world.texts()["page-3"]) == ((), ["Repaired."])


def test_what_the_connector_could_not_read_stays(world: "World", wiki: "Source") -> None:
    world.sync(wiki)
    del wiki.documents["page-3"]
    wiki.extra = [Failed("page-3", "permission denied")]
    report = world.sync(wiki)
    assert (report.deleted, report.failed[0].reason) == (0, "permission denied")
    assert "page-3" in world.texts()


def test_a_listing_that_fails_deletes_nothing_and_keeps_what_came(
    world: "World", wiki: "Source"
) -> None:
    world.sync(wiki)
    del wiki.documents["page-3"]
    wiki.put("new", "A new page.")
    wiki.cut_off = True
    with pytest.raises(SourceError):
        world.sync(wiki)
    assert {"page-3", "new"} <= set(world.texts())
    assert world.catalog.last_runs(version=VERSION)[0].status == "failed"


def test_one_document_with_nan_vectors_is_set_aside(world: "World", wiki: "Source") -> None:
    world.sync(wiki)
    before = world.texts()
    wiki.put("page-3", "A poisonous text.")
    wiki.put("new", "A new page.")
    world.encoder.nan_for = "poison"
    report = world.sync(wiki)
    assert (report.added, report.changed, len(report.failed)) == (1, 0, 1)
    assert "finite" in reasons(world)["page-3"]
    assert world.texts() == {**before, "new": ["A new page."]}
    assert world.stored_ids() == world.cataloged_ids()


def test_one_text_that_an_encoder_refuses_is_set_aside(world: "World", wiki: "Source") -> None:
    world.encoder.refuses = "Page 3"
    report = world.sync(wiki)
    assert (report.added, report.chunks_embedded) == (9, 9)
    assert reasons(world) == {"page-3": "RuntimeError: this text is too strange"}
    assert world.stored_ids() == world.cataloged_ids()


def test_an_encoder_that_fails_for_every_text_ends_the_run(world: "World", wiki: "Source") -> None:
    world.encoder.fails_after = 0
    with pytest.raises(RuntimeError, match="the GPU fell off the bus"):
        world.sync(wiki)
    assert (reasons(world), world.store.count()) == ({}, 0)


def test_a_changed_document_stays_searchable_until_all_of_its_new_text_is_written(
    world: "World", wiki: "Source"
) -> None:
    wiki.put("long", "\n\n".join(f"Old paragraph {n}." + " word" * 24 for n in range(20)))
    world.sync(wiki)
    before = world.texts()
    wiki.put("long", "\n\n".join(f"New paragraph {n}." + " word" * 24 for n in range(20)))
    world.encoder.fails_after = len(world.encoder.texts) + 10
    with pytest.raises(RuntimeError, match="GPU"):
        world.sync(wiki, batch_tokens=64)
    assert len(world.encoder.texts) == 30 + 10
    assert world.texts() == before
    world.encoder.fails_after = None
    assert world.sync(wiki, batch_tokens=64).changed == 1
    assert all(text.startswith("New") for text in world.texts()["long"])
    assert world.stored_ids() == world.cataloged_ids()


def test_an_interrupt_leaves_what_was_committed_and_no_more(world: "World", wiki: "Source") -> None:
    wiki.broken["page-7"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        world.sync(wiki, batch_tokens=12)
    assert 0 < world.store.count() < 10
    assert world.stored_ids() == world.cataloged_ids()
    assert world.catalog.last_runs(version=VERSION)[0].status == "interrupted"
    wiki.broken.clear()
    assert world.sync(wiki).added + world.store.count() > 10
    assert set(world.texts()) == set(wiki.documents)


def test_a_store_that_fails_ends_the_run_and_the_next_one_completes_it(
    world: "World", wiki: "Source", monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise StoreError("the engine failed")

    with monkeypatch.context() as patch:
        patch.setattr(world.store, "flush", fail)
        with pytest.raises(StoreError):
            world.sync(wiki)
    assert (world.store.count(), world.cataloged_ids()) == (10, set())
    del wiki.documents["page-3"]
    assert world.sync(wiki).added == 9
    assert world.stored_ids() == world.cataloged_ids()
    assert "page-3" not in world.texts()


@pytest.mark.parametrize(
    "document",
    [
        Document(id="odd", text="half a pair \ud800"),
        Document(id="odd", text="text", metadata={"when": object()}),
        Document(id="odd", text="text", headings=(Heading(level=1, title="H", start=99),)),
        Document(id="another", text="text"),
    ],
    ids=["invalid text", "metadata that is no JSON", "a heading outside the text", "another id"],
)
def test_a_document_that_breaks_its_contract_is_set_aside(
    world: "World", wiki: "Source", document: Document
) -> None:
    wiki.documents["odd"] = document
    report = world.sync(wiki)
    assert (report.added, [failed.document_id for failed in report.failed]) == (10, ["odd"])


def test_an_id_that_is_no_text_is_reported_readably(world: "World", wiki: "Source") -> None:
    wiki.extra = [Upsert("caf\udce9.txt", None, lambda: Document(id="caf\udce9.txt", text="x"))]
    for _ in range(2):
        report = world.sync(wiki)
        assert [failed.document_id for failed in report.failed] == [r"caf\udce9.txt"]
        assert report.deleted == 0
