"""Documents that are written and committed together."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Self

from indexing.catalog.source import SourceRecords
from indexing.errors import LeaseLostError
from indexing.identity import Recipe
from indexing.plan import Action
from indexing.records import FailedDocument, IndexedDocument
from indexing.sync.writing import PointWriter

UNCHANGED_PER_COMMIT = 1000


@dataclass(frozen=True, slots=True)
class BatchResult:
    """What became of batches."""

    done: Counter[Action] = field(default_factory=Counter)
    embedded: int = 0
    """Chunks that were encoded."""

    failed: tuple[FailedDocument, ...] = ()
    """Documents that could not be stored."""

    def __add__(self, other: Self) -> "BatchResult":
        return BatchResult(
            self.done + other.done, self.embedded + other.embedded, self.failed + other.failed
        )


@dataclass(slots=True)
class Batch:
    """What a run found and the catalog does not know yet."""

    waiting: dict[str, tuple[Action, IndexedDocument]] = field(default_factory=dict)
    tokens: int = 0
    """Of the chunks that are waiting."""

    unchanged: list[tuple[str, str | None]] = field(default_factory=list)
    failed: list[FailedDocument] = field(default_factory=list)
    cursor: str | None = None
    """Of the source, when the batch was closed."""

    @property
    def documents(self) -> list[IndexedDocument]:
        """Those that are to be written."""
        return [document for _, document in self.waiting.values()]


class Batches:
    """Collects what a run found until it is written: one batch encodes while another is written.

    Args:
        writer: Writes points to the store.
        records: Takes what was written.
        tokens: A batch is full with this many tokens of chunks.
        recipe: What the writer makes points with.
    """

    def __init__(
        self, writer: PointWriter, records: SourceRecords, *, tokens: int, recipe: Recipe
    ) -> None:
        self._writer = writer
        self._records = records
        self._recipe = recipe
        self._limit = tokens
        self._open = Batch()
        self._closed: Batch | None = None

    def __contains__(self, document_id: str) -> bool:
        closed = self._closed is not None and document_id in self._closed.waiting
        return closed or document_id in self._open.waiting

    @property
    def is_full(self) -> bool:
        """Whether it is time to `advance`."""
        return self._open.tokens >= self._limit or len(self._open.unchanged) >= UNCHANGED_PER_COMMIT

    def add(self, action: Action, document: IndexedDocument) -> None:
        """Put a document in line."""
        self._open.waiting[document.document.id] = action, document
        self._open.tokens += sum(chunk.token_count for chunk in document.chunks)

    def keep(self, document_id: str, revision: str | None) -> None:
        """Note the new revision of a document that did not change."""
        self._open.unchanged.append((document_id, revision))

    def set_aside(self, failed: FailedDocument) -> None:
        """Note a document that can't be read."""
        self._open.failed.append(failed)

    def advance(self, *, cursor: str | None) -> BatchResult:
        """Begin to encode what was collected, and write what was begun before."""
        batch, self._open = self._open, Batch()
        batch.cursor = cursor
        self._writer.prepare(batch.documents)
        result = self._write_closed()
        self._closed = batch
        return result

    def write(self, *, cursor: str | None) -> BatchResult:
        """Write everything."""
        return self.advance(cursor=cursor) + self._write_closed()

    def _write_closed(self) -> BatchResult:
        if self._closed is None:
            return BatchResult()
        batch, self._closed = self._closed, None
        return self._write(batch)

    def _write(self, batch: Batch) -> BatchResult:
        """Write a batch; the catalog follows the store."""
        written = self._writer.write(batch.documents)
        failed = [
            FailedDocument(document.source, document_id, reason, document.revision)
            for document_id, reason in written.failed.items()
            for _, document in [batch.waiting.pop(document_id)]
        ]
        try:
            self._records.commit(
                indexed=batch.documents,
                unchanged=batch.unchanged,
                failed=[*batch.failed, *failed],
                cursor=batch.cursor,
                recipe=self._recipe,
            )
        except LeaseLostError:
            self._records.leave_loose(batch.documents)
            raise
        self._writer.sweep()
        done = Counter(action for action, _ in batch.waiting.values())
        return BatchResult(done, written.embedded, tuple(failed))
