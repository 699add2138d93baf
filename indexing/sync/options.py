"""How a source is synced."""

import os
from dataclasses import dataclass, field

MAX_PARSE_PROCESSES = 8


def _processes() -> int:
    """Return how many documents to parse at a time: one processor is left to the encoder."""
    return max(1, min(MAX_PARSE_PROCESSES, (os.cpu_count() or 1) - 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncOptions:
    """How a source is synced."""

    protected: bool = False
    """The source has access lists; a document that comes without one is for nobody."""

    retry_failed: bool = False
    """List everything and try again what failed before, however often it did."""

    max_delete_fraction: float = 0.2
    """Largest share of the indexed documents that may be deleted, in [0, 1]: `check_deletes`."""

    batch_tokens: int = 32_768
    """Tokens of chunks encoded between two commits, at least 1: bounds memory and lost work."""

    parse_processes: int = field(default_factory=_processes)
    """Documents parsed at a time, each in a process of its own; 0: here, where a parser that
    crashes ends the run."""

    parse_timeout_seconds: float = 300.0
    """A document that takes longer to parse is set aside, > 0."""

    def __post_init__(self) -> None:
        if not 0 <= self.max_delete_fraction <= 1:
            raise ValueError(
                f"`max_delete_fraction` must be in [0, 1]; got {self.max_delete_fraction}"
            )
        if self.batch_tokens < 1:
            raise ValueError(f"`batch_tokens` must be at least 1; got {self.batch_tokens}")
        if self.parse_processes < 0:
            raise ValueError(f"`parse_processes` must be at least 0; got {self.parse_processes}")
        if self.parse_timeout_seconds <= 0:
            raise ValueError(
                f"`parse_timeout_seconds` must be above 0; got {self.parse_timeout_seconds}"
            )
