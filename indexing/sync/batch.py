"""Documents that are written and committed together."""

from collections import Counter
from dataclasses import dataclass

from indexing.catalog.source import SourceRecords
from indexing.errors import LeaseLostError
from indexing.identity import Recipe
from indexing.plan import Action
from indexing.records import FailedDocument, IndexedDocument
from indexing.sync.writing import PointWriter

UNCHANGED_PER_COMMIT = 1000


@dataclass(frozen=True, slots=True)
class BatchResult:
    """What became of a batch."""

    done: Counter[Action]
    embedded: int
    """Chunks that were encoded."""

    failed: list[FailedDocument]
    """Documents that could not be stored."""


class Batch:
    """Collects what a run found until it is written.

    Args:
        writer: Writes points to the store.
        records: Takes what was written.
        tokens: The batch is full with this many tokens of chunks.
        recipe: What the writer makes points with.
    """

    def __init__(
        self, writer: PointWriter, records: SourceRecords, *, tokens: int, recipe: Recipe
    ) -> None:
        self._writer = writer
        self._records = records
        self._recipe = recipe
        self._limit = tokens
        self._clear()

    def __contains__(self, document_id: str) -> bool:
        return document_id in self._waiting

    @property
    def is_full(self) -> bool:
        """Whether it should be written now."""
        return self._tokens >= self._limit or len(self._unchanged) >= UNCHANGED_PER_COMMIT

    def add(self, action: Action, document: IndexedDocument) -> None:
        """Put a document in line."""
        self._waiting[document.document.id] = action, document
        self._tokens += sum(chunk.token_count for chunk in document.chunks)

    def keep(self, document_id: str, revision: str | None) -> None:
        """Note the new revision of a document that did not change."""
        self._unchanged.append((document_id, revision))

    def set_aside(self, failed: FailedDocument) -> None:
        """Note a document that can't be read."""
        self._failed.append(failed)

    def write(self, *, cursor: str | None) -> BatchResult:
        """Write what is waiting and begin anew; the catalog follows the store."""
        written = self._writer.write([document for _, document in self._waiting.values()])
        failed = [
            FailedDocument(document.source, document_id, reason, document.revision)
            for document_id, reason in written.failed.items()
            for _, document in [self._waiting.pop(document_id)]
        ]
        indexed = [document for _, document in self._waiting.values()]
        try:
            self._records.commit(
                indexed=indexed,
                unchanged=self._unchanged,
                failed=[*self._failed, *failed],
                cursor=cursor,
                recipe=self._recipe,
            )
        except LeaseLostError:
            self._records.leave_loose(indexed)
            raise
        self._writer.sweep()
        done = Counter(action for action, _ in self._waiting.values())
        self._clear()
        return BatchResult(done, written.embedded, failed)

    def _clear(self) -> None:
        self._waiting: dict[str, tuple[Action, IndexedDocument]] = {}
        self._tokens = 0
        self._unchanged: list[tuple[str, str | None]] = []
        self._failed: list[FailedDocument] = []
