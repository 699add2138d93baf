"""Documents that did not change cost little time, and no memory each."""

import gc
import time
import tracemalloc
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from connectors.base import Change, Complete, Upsert
from connectors.document import Document
from connectors.filesystem import FolderConnector
from indexing.records import IndexedDocument

if TYPE_CHECKING:
    from sync_world import World

VERSION = "docs-0001"


def know(world: "World", source: str, changes: Iterator[Change]) -> None:
    """Let the catalog know all documents as they are now."""
    records = world.catalog.source(source, version=VERSION)
    upserts = (change for change in changes if isinstance(change, Upsert))
    while part := list(islice(upserts, 1000)):
        records.commit(
            indexed=[
                IndexedDocument(
                    source=source,
                    document=Document(id=change.document_id, text=""),
                    revision=change.revision,
                    protected=False,
                    content_hash="c",
                    metadata_hash="m",
                )
                for change in part
            ]
        )


@pytest.mark.slow
def test_ten_thousand_unchanged_files_are_synced_in_less_than_twenty_seconds(
    world: "World", tmp_path: Path
) -> None:
    for n in range(100):
        folder = tmp_path / "files" / f"{n}"
        folder.mkdir(parents=True)
        for m in range(100):
            (folder / f"{m}.md").write_text(f"Page {m} of {n}.", encoding="utf-8")
    files = FolderConnector("files", tmp_path / "files")
    know(world, "files", files.changes(None))
    began = time.process_time()  # of all threads: what else runs on the machine does not count
    report = world.sync(files)
    assert (report.kept, report.chunks_embedded) == (10_000, 0)
    assert time.process_time() - began < 20


class Pages:
    """A source of many documents, which are not in memory."""

    def __init__(self, name: str, count: int) -> None:
        self.name = name
        self._count = count

    def changes(self, cursor: str | None) -> Iterator[Change]:
        del cursor
        for n in range(self._count):
            yield Upsert(f"a/rather/long/path/to/document-{n}", "r", self._load)
        yield Complete()

    def _load(self) -> Document:
        raise AssertionError("nothing has changed")


def peak_bytes(world: "World", pages: Pages) -> int:
    """What a sync takes at most."""
    know(world, pages.name, pages.changes(None))
    gc.collect()
    tracemalloc.start()
    world.sync(pages)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


@pytest.mark.slow
def test_the_memory_of_a_sync_does_not_grow_with_the_source(world: "World") -> None:
    peak_bytes(world, Pages("first", 10))  # what is made once
    small, large = (peak_bytes(world, Pages(f"of {n}", n)) for n in (1_000, 5_000))
    assert large < small + 150_000  # the ids alone would take more than 300,000
