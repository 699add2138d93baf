"""A preview says what the sync then does."""

from typing import TYPE_CHECKING

from connectors.base import Failed
from connectors.errors import DocumentError
from indexing.sync.preview import preview, sample_chunks

if TYPE_CHECKING:
    from sync_world import World

VERSION = "docs-0001"


def test_a_preview_says_what_a_sync_then_does(world: "World") -> None:
    wiki = world.source()
    for n in range(10):
        wiki.put(f"page-{n}", f"Page {n} says little.")
    world.sync(wiki)
    wiki.put("page-0", "New text.")
    wiki.put("page-1", "Page 1 says little.", metadata={"owner": "Ann"})
    wiki.put("new", "A new page.")
    wiki.broken["page-2"] = DocumentError("damaged")
    wiki.put("page-2", "Changed and damaged.")
    del wiki.documents["page-3"]
    wiki.extra = [Failed("locked", "permission denied")]
    before = world.stored_ids()
    expected = preview(wiki, catalog=world.catalog, version=VERSION)
    assert world.stored_ids() == before == world.cataloged_ids()
    assert len(world.catalog.last_runs(version=VERSION, limit=9)) == 1
    assert expected.refusal is None
    done = world.sync(wiki).counts
    unequal = {"chunks_embedded", "seconds"}
    counts = expected.report.counts
    assert {k: v for k, v in counts.items() if k not in unequal} == {
        k: v for k, v in done.items() if k not in unequal
    }
    assert (counts["added"], counts["changed"], counts["metadata_only"]) == (1, 1, 1)
    assert (counts["deleted"], counts["kept"], counts["failed"]) == (1, 6, 2)


def test_a_preview_shows_what_would_be_refused(world: "World") -> None:
    wiki = world.source()
    wiki.put("page", "The only page.")
    world.sync(wiki)
    wiki.documents.clear()
    seen = preview(wiki, catalog=world.catalog, version=VERSION)
    assert seen.report.deleted == 1
    assert "none of its 1 indexed documents" in str(seen.refusal)


def test_a_sample_is_the_first_chunks_and_passes_over_what_fails(world: "World") -> None:
    wiki = world.source()
    for n in range(10):
        wiki.put(f"page-{n}", f"Page {n} says little.")
    wiki.broken["page-0"] = DocumentError("damaged")
    chunks = sample_chunks(
        wiki, tokenizer=world.target.tokenizer, settings=world.target.chunks, limit=3
    )
    assert [chunk.text for chunk in chunks] == [f"Page {n} says little." for n in (1, 2, 3)]
