"""How fast an ingestion is, and how long it will take."""

from collections.abc import Iterator

import pytest

from argot.ingest_progress import IngestProgress, ProgressSum
from connectors.base import Change, Complete, Upsert
from connectors.document import Document
from indexing.sync.report import SyncProgress


class Pages:
    """A source of a thousand documents."""

    name = "wiki"

    def changes(self, cursor: str | None) -> Iterator[Change]:
        del cursor
        yield from (Upsert(f"{n}", None, lambda: Document(id="", text="")) for n in range(1000))
        yield Complete()


def told(progress: list[tuple[float, int, int]]) -> list[IngestProgress]:
    """What is told at times in seconds, with documents and chunks so far."""
    now, found = [0.0], list[IngestProgress]()
    count = ProgressSum([Pages()], found.append, clock=lambda: now[0])
    tell = count.start("wiki")
    for seconds, documents, chunks in progress:
        now[0] = seconds
        tell(SyncProgress(source="wiki", phase="reading", documents=documents, chunks=chunks))
    return found


def test_the_time_left_follows_from_documents_and_speed() -> None:
    (progress,) = told([(10.0, 200, 400)])
    assert (progress.documents_per_second, progress.chunks_per_second) == (20.0, 40.0)
    assert (progress.expected, progress.seconds_left) == (1000, 40.0)


def test_what_was_passed_over_quickly_at_first_does_not_count_for_ever() -> None:
    *_, progress = told([(1.0, 500, 0), *((1.0 + n, 500 + n, 2 * n) for n in range(1, 60))])
    assert progress.documents_per_second == pytest.approx(1.0)
    assert progress.seconds_left == pytest.approx(441.0)


def test_without_any_progress_there_is_no_estimate() -> None:
    (progress,) = told([(5.0, 0, 0)])
    assert progress.seconds_left is None
