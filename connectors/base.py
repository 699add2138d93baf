"""The connector port: a source system as a stream of changes.

A connector names every document it has, says what has gone, and ends with `Complete` when, and only
when, it has named them all. Delivery is at least once: the same change may come again.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from connectors.document import Document


@dataclass(frozen=True, slots=True)
class Upsert:
    """A document that is there: new, changed or as it was."""

    document_id: str

    revision: str | None
    """Cheap mark of the content (size and time, ETag, row version); an equal one means nothing
    changed and ``load`` is not called. None: unknown, so ``load`` is always called."""

    load: Callable[[], Document]
    """Read and parse. Picklable, so that a worker process can run it. Raises `DocumentError`."""


@dataclass(frozen=True, slots=True)
class Delete:
    """A document the source says is gone."""

    document_id: str


@dataclass(frozen=True, slots=True)
class Failed:
    """A document that is there but can't be read now. What is indexed of it stays."""

    document_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Everything before this is delivered; ``cursor`` resumes after it."""

    cursor: str


@dataclass(frozen=True, slots=True)
class Complete:
    """Every document of the source was named in this run, so one that was not is gone."""


Change = Upsert | Delete | Failed | Checkpoint | Complete


class Connector(Protocol):
    """A source system."""

    @property
    def name(self) -> str:
        """The source's name in the project; deletes never reach beyond it."""

    def changes(self, cursor: str | None) -> Iterator[Change]:
        """List what is there since ``cursor``, or everything when it is None.

        A source that always lists everything ignores ``cursor`` and ends with `Complete`.

        Raises:
            SourceError: the source as a whole can't be read; nothing may be deleted then.
        """
