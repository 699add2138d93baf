"""Chunks into the store, so that a crash at any moment loses nothing and leaves nothing double."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from encoder.base import DenseEncoder, SparseEncoder, TextTokenizer
from indexing.catalog_source import SourceRecords
from indexing.chunking import Chunk, ChunkSettings
from indexing.errors import IndexingError, InvalidPointError, StoreError
from indexing.reading import reason_of
from indexing.records import IndexedDocument
from indexing.stores.base import Point, VectorStore

logger = logging.getLogger(__name__)

Item = tuple[IndexedDocument, Chunk, str]
"""A chunk, the document it is from, and its point's id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """An open index version and what turns documents into its points."""

    version: str
    store: VectorStore
    tokenizer: TextTokenizer
    """Counts the tokens of chunks; the dense encoder's own where there is one."""

    sparse: SparseEncoder
    dense: DenseEncoder | None = None
    """None in a version without dense vectors."""

    chunks: ChunkSettings = field(default_factory=ChunkSettings)

    def __post_init__(self) -> None:
        if (self.dense is None) != (self.store.spec.dimensions is None):
            raise ValueError(
                "`dense` must be given when, and only when, the store has dense vectors; got "
                f"{'no encoder' if self.dense is None else 'an encoder'} and a store of "
                f"{self.store.spec.dimensions} dimensions"
            )

    def points(self, items: Sequence[Item]) -> list[Point]:
        """Encode chunks."""
        texts = [chunk.encoded_text for _, chunk, _ in items]
        width = self.store.spec.dimensions
        dense = self.dense.encode_documents(texts, dimensions=width) if self.dense else None
        sparse = self.sparse.encode_documents(texts)
        return [
            Point(
                id=point_id,
                dense=None if dense is None else dense[row],
                sparse=sparse[row],
                payload=document.payload(chunk),
            )
            for row, (document, chunk, point_id) in enumerate(items)
        ]

    def can_encode(self) -> bool:
        """Tell whether the encoders work at all: on one plain word."""
        try:
            dense = self.dense.encode_documents(["word"]) if self.dense else np.zeros(1)
            self.sparse.encode_documents(["word"])
        except Exception:  # noqa: BLE001 - the answer is no, whatever the reason
            return False
        return bool(np.isfinite(dense).all())


@dataclass(frozen=True, slots=True)
class Written:
    """What became of a batch of documents."""

    embedded: int
    """Chunks that were encoded; chunks that were there already are not encoded again."""

    failed: dict[str, str]
    """Reason by document id; the points of all others are in the store."""


class PointWriter:
    """Writes the points of documents: announced in the catalog first, verified at the end."""

    def __init__(
        self,
        target: Target,
        records: SourceRecords,
        *,
        slice_tokens: int,
        on_encoded: Callable[[int], None],
    ) -> None:
        self._target = target
        self._store = target.store
        self._records = records
        self._slice_tokens = slice_tokens
        self._on_encoded = on_encoded

    def write(self, documents: Sequence[IndexedDocument]) -> Written:
        """Write all points of documents and make them durable; nothing of theirs is deleted.

        A document whose text an encoder or the store can't take is set aside. An encoder that can't
        take a plain word either, and a store that fails, end the run.

        Args:
            documents: Each at most once.

        Returns:
            What was written.

        Raises:
            StoreError: Points are missing after they were written.
        """
        live = self._records.point_ids([document.document.id for document in documents])
        items = [item for document in documents for item in _items(document)]
        known = {point for points in live.values() for point in points}
        present = self._store.existing([point for _, _, point in items if point in known])
        self._records.announce([point for _, _, point in items if point not in known])
        failed = self._write_or_set_aside(documents, present)
        self._store.flush()
        written = [item for item in items if item[0].document.id not in failed]
        missing = {point for _, _, point in written}
        missing -= self._store.existing(sorted(missing))
        if missing:
            raise StoreError(
                f"{len(missing)} of {len(written)} points are not in the store after writing them"
            )
        return Written(sum(point not in present for _, _, point in written), failed)

    def sweep(self) -> None:
        """Delete the points that belong to no chunk: replaced, removed, or left by a crash."""
        loose = self._records.loose_points()
        if loose:
            self._store.delete(loose)
            self._store.flush()
        self._records.forget_loose_points()

    def _write_or_set_aside(
        self, documents: Sequence[IndexedDocument], present: set[str]
    ) -> dict[str, str]:
        try:
            self._write_points(documents, present)
        except Exception as error:
            if _stops_a_run(error) or not self._target.can_encode():
                raise
            if len(documents) > 1:
                return {
                    document_id: reason
                    for document in documents
                    for document_id, reason in self._write_or_set_aside([document], present).items()
                }
            reason = reason_of(error)
            logger.warning("set aside %s: %s", documents[0].document.id, reason)
            return {documents[0].document.id: reason}
        return {}

    def _write_points(self, documents: Sequence[IndexedDocument], present: set[str]) -> None:
        items = [item for document in documents for item in _items(document)]
        new = [item for item in items if item[2] not in present]
        for part in _slices(new, tokens=self._slice_tokens):
            self._store.upsert(self._target.points(part))
            self._on_encoded(len(part))
        # After the new ones: until they are complete, what is found stays as it was.
        payloads = {
            point: document.payload(chunk) for document, chunk, point in items if point in present
        }
        if payloads:
            self._store.set_payload(payloads)


def _items(document: IndexedDocument) -> list[Item]:
    points = zip(document.chunks, document.point_ids, strict=True)
    return [(document, chunk, point) for chunk, point in points]


def _slices(items: Sequence[Item], *, tokens: int) -> Iterator[list[Item]]:
    part: list[Item] = []
    size = 0
    for item in items:
        if part and size + item[1].token_count > tokens:
            yield part
            part, size = [], 0
        part.append(item)
        size += item[1].token_count
    if part:
        yield part


def _stops_a_run(error: Exception) -> bool:
    return isinstance(error, IndexingError) and not isinstance(error, InvalidPointError)
