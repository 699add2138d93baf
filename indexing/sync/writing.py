"""Chunks into the store, so that a crash at any moment loses nothing and leaves nothing double."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from indexing.catalog.source import SourceRecords
from indexing.errors import IndexingError, InvalidPointError, StoreError
from indexing.identity import text_hash
from indexing.records import IndexedDocument
from indexing.stores.base import Point
from indexing.sync.ahead import EncodingAhead
from indexing.sync.reading import reason_of
from indexing.sync.target import Item, Target

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Written:
    """What became of a batch of documents."""

    embedded: int
    """Texts that were encoded; what the version holds the vectors of is not encoded again."""

    failed: dict[str, str]
    """Reason by document id; the points of all others are in the store."""


class PointWriter:
    """Writes the points of documents: announced in the catalog first, verified at the end.

    Args:
        target: What is written to, and with what encoders.
        records: Of the source that the documents are from.
        slice_tokens: Tokens of chunks that are encoded and handed to the store at a time.
        on_encoded: Told how many texts were encoded.
        ahead: Encodes what was prepared while other documents are written; None: `write` encodes.
    """

    def __init__(
        self,
        target: Target,
        records: SourceRecords,
        *,
        slice_tokens: int,
        on_encoded: Callable[[int], None],
        ahead: EncodingAhead | None = None,
    ) -> None:
        self._target = target
        self._ahead = ahead
        self._store = target.store
        self._records = records
        self._slice_tokens = slice_tokens
        self._on_encoded = on_encoded
        self._embedded = 0

    def prepare(self, documents: Sequence[IndexedDocument]) -> None:
        """Begin to encode what `write` will need of documents; other documents may be written."""
        if self._ahead is None:
            return
        items = [item for document in documents for item in _items(document)]
        ids = [document.document.id for document in documents]
        usable = self._records.point_ids(ids, encoder=self._target.recipe.encoder)
        present = self._store.existing([point for _, _, point in items if point in usable])
        new = [item for item in items if item[2] not in present]
        stored = self._stored(new)
        self._ahead.begin(
            {
                chunk.encoded_text: chunk.token_count
                for _, chunk, _ in new
                if chunk.encoded_text not in stored
            }
        )

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
        items = [item for document in documents for item in _items(document)]
        ids = [document.document.id for document in documents]
        known = self._records.point_ids(ids)
        usable = self._records.point_ids(ids, encoder=self._target.recipe.encoder)
        present = self._store.existing([point for _, _, point in items if point in usable])
        self._records.announce(
            [point for _, _, point in items if point not in known],
            rewritten=list({item[0].document.id for item in items if item[2] in known}),
        )
        self._embedded = 0
        failed = self._write_or_set_aside(documents, present)
        if self._ahead is not None:
            self._ahead.forget([chunk.encoded_text for _, chunk, _ in items])
        self._store.flush()
        written = {point for document, _, point in items if document.document.id not in failed}
        missing = written - self._store.existing(sorted(written))
        if missing:
            raise StoreError(
                f"{len(missing)} of {len(written)} points are not in the store after writing them"
            )
        return Written(self._embedded, failed)

    def sweep(self) -> None:
        """Delete the points that belong to no chunk: replaced, removed, or left by a crash."""
        with self._records.sweeping() as loose:
            if loose:
                self._store.delete(loose)
                self._store.flush()

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
            twins = self._twins(part)
            texts = {text for _, chunk, _ in part if (text := chunk.encoded_text) not in twins}
            encoded = {} if self._ahead is None else self._ahead.take(sorted(texts))
            self._store.upsert(self._target.points(part, twins=twins, encoded=encoded))
            self._embedded += len(texts)
            self._on_encoded(len(texts))
        # After the new ones: until they are complete, what is found stays as it was.
        payloads = {
            point: document.payload(chunk) for document, chunk, point in items if point in present
        }
        if payloads:
            self._store.set_payload(payloads)

    def _twins(self, items: Sequence[Item]) -> dict[str, Point]:
        """Find points that hold the vectors of a text already: it moved, or is there twice."""
        found = self._stored(items)
        stored = {point.id: point for point in self._store.read(sorted(found.values()))}
        return {text: stored[point] for text, point in found.items() if point in stored}

    def _stored(self, items: Sequence[Item]) -> dict[str, str]:
        """Find the points that, to the catalog, hold the vectors of texts, by the text."""
        hashes = {text_hash(chunk.encoded_text): chunk.encoded_text for _, chunk, _ in items}
        found = self._records.points_by_text(list(hashes), encoder=self._target.recipe.encoder)
        return {hashes[text]: point for text, point in found.items()}


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
