"""One change of a source to a decision: reads the document when, and only when, that is needed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from connectors.base import Connector, Upsert
from connectors.document import Document
from connectors.errors import SourceError
from indexing.identity import DocumentHashes, Recipe, document_hashes, printable
from indexing.plan import Action, Decision, KnownDocument, decide, decide_unread


@runtime_checkable
class CountsIgnored(Protocol):
    """A connector that says what it passed over."""

    @property
    def ignored(self) -> Mapping[str, int]:
        """Number of things of each kind, once the source was listed."""


@dataclass(frozen=True, slots=True)
class Read:
    """A document that was read, and its hashes."""

    document: Document
    hashes: DocumentHashes


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is to be done about a document."""

    decision: Decision
    read: Read | None
    """None: it was not read, or could not be."""

    attempted: bool
    """Reading it was tried."""


def consider(
    change: Upsert, known: KnownDocument | None, *, protected: bool, retry_failed: bool
) -> Outcome:
    """Decide about a document, reading it if its revision leaves that open.

    Args:
        change: As the connector delivered it.
        known: What the index version knows of it.
        protected: The source is configured as protected.
        retry_failed: Read it although it failed before on the same revision.

    Returns:
        The decision. Whatever is wrong with this one document is `Action.SET_ASIDE` and the reason.
        `SourceError` where the source as a whole can't be read.
    """
    unread = decide_unread(
        known, revision=change.revision, protected=protected, retry_failed=retry_failed
    )
    if unread:
        return Outcome(unread, read=None, attempted=False)
    return judge(read_document(change, protected=protected), known)


def judge(
    read: Read | str, known: KnownDocument | None, *, recipe: Recipe | None = None
) -> Outcome:
    """Decide about what `read_document` gave."""
    if isinstance(read, str):
        return Outcome(Decision(Action.SET_ASIDE, read), read=None, attempted=True)
    return Outcome(decide(known, read.hashes, recipe=recipe), read, attempted=True)


def read_document(change: Upsert, *, protected: bool) -> Read | str:
    """Load a document and digest it.

    Returns:
        The document, or what is wrong with it.

    Raises:
        SourceError: The source as a whole can't be read.
    """
    try:
        return _read(change, protected=protected)
    except SourceError:
        raise
    except Exception as error:  # noqa: BLE001 - a parser's bug is one document's misfortune
        return reason_of(error)


def reason_of(error: Exception) -> str:
    """Say what went wrong, in text that can be stored."""
    text = printable(str(error)) or "no message"
    # Errors of ours and of connectors are written for people; of others the type says more.
    known = type(error).__module__.partition(".")[0] in ("connectors", "encoder", "indexing")
    return text if known else f"{type(error).__name__}: {text}"


def ignored_by(connector: Connector) -> dict[str, int]:
    """Count by kind what a connector passed over, where it says so."""
    return dict(connector.ignored) if isinstance(connector, CountsIgnored) else {}


def _read(change: Upsert, *, protected: bool) -> Read:
    if printable(change.document_id) != change.document_id:
        raise ValueError("the document's id must be valid Unicode text; rename it in its source")
    document = change.load()
    if document.id != change.document_id:
        raise ValueError(
            f"the connector must load the document it named, `{change.document_id}`; "
            f"got `{document.id}`"
        )
    return Read(document, document_hashes(document, protected=protected))
