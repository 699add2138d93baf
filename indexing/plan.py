"""What is to be done about a document, decided from what is known; nothing is done here."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from connectors.base import Change, Checkpoint, Complete, Delete, Failed, Upsert
from indexing.errors import DeleteGuardError
from indexing.identity import printable

MAX_ATTEMPTS = 3


class Action(StrEnum):
    """What a sync does with a document."""

    ADD = "add"
    CHANGE = "change"
    METADATA_ONLY = "metadata only"
    KEEP = "keep"
    SET_ASIDE = "set aside"


@dataclass(frozen=True, slots=True)
class Decision:
    """An action and why, for people."""

    action: Action
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownDocument:
    """What an index version knows of a document: what it holds of it and what last failed."""

    content_hash: str | None = None
    """None: nothing of it is indexed."""

    metadata_hash: str | None = None
    revision: str | None = None
    """The source's mark of what is indexed."""

    protected: bool = False
    """Its source was configured as protected when it was indexed."""

    failure: str | None = None
    """Why the last attempt failed; None: it did not. What was indexed before stays."""

    failed_revision: str | None = None
    attempts: int = 0
    """Attempts in a row that failed on ``failed_revision``."""


def decide_unread(
    known: KnownDocument | None, *, revision: str | None, protected: bool, retry_failed: bool
) -> Decision | None:
    """Decide by the revision alone; None: the document must be read.

    A document that failed is tried again, three times in all for one revision; from then on it is
    only reported, until its revision changes or ``retry_failed`` asks for it.
    """
    if known is None or revision is None:
        return None
    if known.content_hash and known.revision == revision and known.protected == protected:
        return Decision(Action.KEEP, "revision unchanged")
    if known.failure is None or known.failed_revision != revision:
        return None
    if retry_failed or known.attempts < MAX_ATTEMPTS:
        return None
    return Decision(Action.SET_ASIDE, known.failure)


def decide(known: KnownDocument | None, *, content_hash: str, metadata_hash: str) -> Decision:
    """Decide about a document that was read."""
    if known is None or known.content_hash is None:
        return Decision(Action.ADD, "not indexed yet")
    if known.content_hash != content_hash:
        return Decision(Action.CHANGE, "text, title or headings changed")
    if known.metadata_hash != metadata_hash:
        return Decision(Action.METADATA_ONLY, "only metadata changed")
    return Decision(Action.KEEP, "content unchanged")


@dataclass(slots=True)
class Presence:
    """Collects what a source says is there and what it says is gone."""

    named: set[str] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)
    complete: bool = False
    """It named everything it has."""

    def note(self, change: Change) -> None:
        """Take what a change says about which documents there are."""
        match change:
            case Upsert(document_id) | Failed(document_id):
                self.named.add(printable(document_id))
                self.gone.discard(printable(document_id))
            case Delete(document_id):
                self.gone.add(printable(document_id))
            case Complete():
                self.complete = True
            case Checkpoint():
                pass

    def deletes(self, known: Mapping[str, bool]) -> list[str]:
        """List what is to be deleted: what is gone, and after a complete listing what is missing.

        Args:
            known: Documents of the source before the run, and whether anything of them is indexed.

        Returns:
            Ids, sorted.
        """
        missing = known.keys() - self.named if self.complete else set()
        return sorted(missing | (self.gone & (known.keys() | self.named)))


def check_deletes(
    deletes: Sequence[str], known: Mapping[str, bool], *, max_fraction: float, source: str
) -> None:
    """Refuse to delete too large a share of a source.

    Allowed is ``max_fraction`` of what is indexed, rounded down. One document may go from a source
    of any size, but never the last one: a source that comes back empty is taken for unreadable. 0
    allows none, 1 allows all.

    Args:
        deletes: Ids about to be deleted; those of which nothing is indexed don't count.
        known: Documents of the source before the run, and whether anything of them is indexed.
        max_fraction: In [0, 1].
        source: Name for the message.

    Raises:
        DeleteGuardError: More than allowed.
    """
    indexed = sum(known.values())
    lost = sum(known.get(document_id, False) for document_id in deletes)
    share = int(max_fraction * indexed + 1e-9)
    allowed = share if max_fraction in (0, 1) else min(max(1, share), indexed - 1)
    if lost <= max(0, allowed):
        return
    raise DeleteGuardError(
        f"source `{source}` came back with {indexed - lost or 'none'} of its {indexed} indexed "
        f"documents; at most {allowed} may be deleted in one run (`max_delete_fraction` "
        f"{max_fraction:g}); none was deleted\n"
        "hint: check that the source is complete and can be read; if the documents are really "
        f"gone, run again with `--max-delete-fraction {_enough(lost, indexed)}`"
    )


def _enough(lost: int, indexed: int) -> str:
    return f"{math.ceil(1000 * lost / indexed) / 1000:g}"
