"""What bringing a version in step says while it runs and when it is done."""

from collections.abc import Callable
from dataclasses import dataclass

from indexing.records import FailedDocument


@dataclass(frozen=True, slots=True, kw_only=True)
class StepProgress:
    """How far a version has come."""

    phase: str
    """``encoding``, ``deleting`` or ``optimizing``."""

    chunks: int
    """Written so far, those included that needed no encoding."""

    expected: int
    """Chunks to be written, as counted at the beginning."""

    embedded: int
    """Encoded so far."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepReport:
    """What was done to bring a version in step."""

    written: int = 0
    """Documents."""

    removed: int = 0
    """Documents that the other version no longer has."""

    chunks_embedded: int = 0
    failed: tuple[FailedDocument, ...] = ()
    """Documents that the version's encoder or store can't take; it lacks them."""

    seconds: float = 0.0


TellStep = Callable[[StepProgress], None]
