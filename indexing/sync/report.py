"""What a sync says while it runs and when it is done."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from indexing.records import FailedDocument


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncReport:
    """What a sync did; what a preview says it would do."""

    added: int = 0
    changed: int = 0
    metadata_only: int = 0
    """Stored again with new metadata, without encoding."""

    deleted: int = 0
    kept: int = 0
    failed: tuple[FailedDocument, ...] = ()
    """Documents set aside, the last time they were met included."""

    chunks_embedded: int = 0
    seconds: float = 0.0
    ignored: Mapping[str, int] = field(default_factory=dict)
    """What the source holds and its connector does not read, by kind."""

    @property
    def counts(self) -> dict[str, int | float]:
        """The numbers alone."""
        return {
            "added": self.added,
            "changed": self.changed,
            "metadata_only": self.metadata_only,
            "deleted": self.deleted,
            "kept": self.kept,
            "failed": len(self.failed),
            "chunks_embedded": self.chunks_embedded,
            "seconds": round(self.seconds, 3),
        }


def merge_reports(reports: Sequence[SyncReport]) -> SyncReport:
    """Sum up the syncs of several sources."""
    ignored: dict[str, int] = {}
    for report in reports:
        for kind, count in report.ignored.items():
            ignored[kind] = ignored.get(kind, 0) + count
    return SyncReport(
        added=sum(report.added for report in reports),
        changed=sum(report.changed for report in reports),
        metadata_only=sum(report.metadata_only for report in reports),
        deleted=sum(report.deleted for report in reports),
        kept=sum(report.kept for report in reports),
        failed=tuple(failed for report in reports for failed in report.failed),
        chunks_embedded=sum(report.chunks_embedded for report in reports),
        seconds=sum(report.seconds for report in reports),
        ignored=ignored,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncProgress:
    """How far a sync has come."""

    source: str
    phase: str
    """``reading``, ``encoding``, ``deleting`` or ``optimizing``."""

    documents: int
    """Named by the source so far."""

    chunks: int
    """Encoded so far."""


class Progress(Protocol):
    """Is told how far a sync has come, often: after every document and every few hundred chunks."""

    def __call__(self, progress: SyncProgress, /) -> None:
        """Show it."""
