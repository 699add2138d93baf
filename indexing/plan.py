"""What is to be done about a document, decided from what is known; nothing is done here."""

import math
from dataclasses import dataclass
from enum import StrEnum

from indexing.errors import DeleteGuardError
from indexing.identity import DocumentHashes, Recipe

MAX_ATTEMPTS = 3


class Action(StrEnum):
    """What a sync does with a document."""

    ADD = "add"
    CHANGE = "change"
    METADATA_ONLY = "metadata only"
    """Of metadata and access list, one or both: stored again, without encoding."""

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
    """None where something is indexed: a run may have died while it rewrote this."""

    access_hash: str | None = None
    chunker_hash: str | None = None
    """None, as for the next one: not noted; that of the index version."""

    encoder_hash: str | None = None
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
    known: KnownDocument | None,
    *,
    revision: str | None,
    protected: bool,
    retry_failed: bool,
    recipe: Recipe | None = None,
) -> Decision | None:
    """Decide by the revision alone; None: the document must be read.

    A document that failed is tried again, three times in all for one revision; from then on it is
    only reported, until its revision changes or ``retry_failed`` asks for it.
    """
    if known is None or revision is None:
        return None
    stored = known.content_hash and known.metadata_hash and known.protected == protected
    if stored and known.revision == revision and _other_recipe(known, recipe) is None:
        return Decision(Action.KEEP, "revision unchanged")
    if known.failure is None or known.failed_revision != revision:
        return None
    if retry_failed or known.attempts < MAX_ATTEMPTS:
        return None
    return Decision(Action.SET_ASIDE, known.failure)


def decide(
    known: KnownDocument | None, hashes: DocumentHashes, *, recipe: Recipe | None = None
) -> Decision:
    """Decide about a document that was read."""
    if known is None or known.content_hash is None:
        return Decision(Action.ADD, "not indexed yet")
    changed = (
        "text, title or headings changed"
        if known.content_hash != hashes.content
        else _other_recipe(known, recipe)
    )
    if changed is not None:
        return Decision(Action.CHANGE, changed)
    if known.metadata_hash != hashes.metadata:
        return Decision(Action.METADATA_ONLY, "only metadata changed")
    if known.access_hash != hashes.access:
        return Decision(Action.METADATA_ONLY, "only the access list changed")
    return Decision(Action.KEEP, "content unchanged")


def _other_recipe(known: KnownDocument, recipe: Recipe | None) -> str | None:
    if recipe is None:
        return None
    if known.encoder_hash not in (None, recipe.encoder):
        return "encoded by another encoder"
    if known.chunker_hash not in (None, recipe.chunker):
        return "cut by another chunker"
    return None


def check_deletes(lost: int, *, indexed: int, max_fraction: float, source: str) -> None:
    """Refuse to delete too large a share of a source.

    Allowed is ``max_fraction`` of what is indexed, rounded down. One document may go from a source
    of any size, but never the last one: a source that comes back empty is taken for unreadable. 0
    allows none, 1 allows all.

    Args:
        lost: Documents about to be deleted, of those in ``indexed``.
        indexed: Documents of which something was indexed before the run.
        max_fraction: In [0, 1].
        source: Name for the message.

    Raises:
        DeleteGuardError: More than allowed.
    """
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
