"""How far an ingestion has come, over all its sources."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Protocol

from connectors.base import Connector, Upsert
from connectors.errors import SourceError
from indexing.sync.report import Progress as SyncProgressCallback
from indexing.sync.report import SyncProgress

SPEED_SECONDS = 30.0
"""The speed is that of the time before."""


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

    documents_per_second: float
    """Over the last half minute: a run that goes on where it was passes over much at first."""

    chunks_per_second: float
    """Likewise."""

    @property
    def seconds_left(self) -> float | None:
        """At the present speed; None while there is none."""
        left = max(self.expected - self.documents, 0)
        return left / self.documents_per_second if self.documents_per_second else None


class Progress(Protocol):
    """Is told how far an ingestion has come, often."""

    def __call__(self, progress: IngestProgress, /) -> None:
        """Show it."""


class ProgressSum:
    """Adds up what the syncs of several sources report."""

    def __init__(
        self,
        connectors: Sequence[Connector],
        progress: Progress,
        *,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._progress = progress
        self._clock = clock
        self._past = deque([(clock(), 0, 0)])
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
            documents_per_second, chunks_per_second = self._speed()
            self._progress(
                IngestProgress(
                    source=source,
                    phase=progress.phase,
                    documents=self._now[0],
                    expected=self._expected,
                    chunks=self._now[1],
                    documents_per_second=documents_per_second,
                    chunks_per_second=chunks_per_second,
                )
            )

        return tell

    def _speed(self) -> tuple[float, float]:
        now = self._clock()
        if now - self._past[-1][0] >= 1:
            self._past.append((now, *self._now))
        while len(self._past) > 1 and now - self._past[1][0] >= SPEED_SECONDS:
            self._past.popleft()
        then, documents, chunks = self._past[0]
        seconds = max(now - then, 0.001)
        return (self._now[0] - documents) / seconds, (self._now[1] - chunks) / seconds


def listed(connector: Connector) -> int:
    """Count the documents of a source without reading them; 0 where it can't be listed."""
    try:
        return sum(isinstance(change, Upsert) for change in connector.changes(None))
    except SourceError:
        return 0  # the sync will report it
