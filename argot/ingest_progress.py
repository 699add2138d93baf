"""How far an ingestion has come, over all its sources."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from connectors.base import Connector, Upsert
from connectors.errors import SourceError
from indexing.report import Progress as SyncProgressCallback
from indexing.report import SyncProgress


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestProgress:
    """How far an ingestion has come."""

    source: str
    phase: str
    """``reading``, ``encoding``, ``deleting`` or ``optimizing``."""

    documents: int
    """Seen so far, of all sources."""

    expected: int
    """Documents of all sources, as they were listed before the run."""

    chunks: int
    """Encoded so far, of all sources."""


class Progress(Protocol):
    """Is told how far an ingestion has come, often."""

    def __call__(self, progress: IngestProgress, /) -> None:
        """Show it."""


class ProgressSum:
    """Adds up what the syncs of several sources report."""

    def __init__(self, connectors: Sequence[Connector], progress: Progress) -> None:
        self._progress = progress
        self._expected = sum(listed(connector) for connector in connectors)
        self._before = (0, 0)
        self._now = (0, 0)

    def start(self, source: str) -> SyncProgressCallback:
        """Begin with a source; what earlier ones reported stays counted."""
        self._before = self._now

        def tell(progress: SyncProgress) -> None:
            self._now = (
                self._before[0] + progress.documents,
                self._before[1] + progress.chunks,
            )
            self._progress(
                IngestProgress(
                    source=source,
                    phase=progress.phase,
                    documents=self._now[0],
                    expected=self._expected,
                    chunks=self._now[1],
                )
            )

        return tell


def listed(connector: Connector) -> int:
    """Count the documents of a source without reading them; 0 where it can't be listed."""
    try:
        return sum(isinstance(change, Upsert) for change in connector.changes(None))
    except SourceError:
        return 0  # the sync will report it
