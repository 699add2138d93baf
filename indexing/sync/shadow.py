"""Bring one index version in step with another from the catalog's chunks.

No source is asked and no document parsed. This is how a new version is filled beside the live one,
and how what was ingested since is replayed into it, or into the one that was live before.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from time import monotonic

from indexing.catalog.catalog import Catalog
from indexing.catalog.compare import Key, VersionComparison
from indexing.records import FailedDocument, IndexedDocument
from indexing.sync.ahead import EncodingAhead, encoding_ahead
from indexing.sync.step_report import StepProgress, StepReport, TellStep
from indexing.sync.target import Target
from indexing.sync.writing import PointWriter

DELETES_PER_COMMIT = 500
DOCUMENTS_PER_COMMIT = 1000


def bring_in_step(
    catalog: Catalog,
    target: Target,
    *,
    source: str,
    batch_tokens: int = 32_768,
    tell: TellStep | None = None,
) -> StepReport:
    """Make a version hold the documents that another holds, from the chunks stored of them.

    What is the same already is left alone, so a run that was killed goes on where it was. The other
    version may be ingested into meanwhile; run it again for what has changed since.

    Args:
        catalog: Knows both versions.
        target: The version that is brought in step, open, and its encoders.
        source: Name of the version that is right.
        batch_tokens: Tokens of chunks between two commits: bounds memory and lost work.
        tell: Told how far it has come.

    Returns:
        What was done.
    """
    return _Step(catalog, target, source=source, batch_tokens=batch_tokens, tell=tell).run()


@dataclass(frozen=True, slots=True)
class _ToWrite:
    """Documents of one source, and what writes them."""

    documents: Sequence[IndexedDocument]
    writer: PointWriter


class _Step:
    """The state of one run."""

    def __init__(
        self,
        catalog: Catalog,
        target: Target,
        *,
        source: str,
        batch_tokens: int,
        tell: TellStep | None,
    ) -> None:
        self._catalog = catalog
        self._target = target
        self._source = source
        self._tokens = batch_tokens
        self._tell_caller = tell
        self._comparison: VersionComparison = catalog.compare(source, target.version)
        self._began = monotonic()
        self._expected = self._chunks = self._embedded = self._shown = 0
        self._written = self._removed = 0
        self._failed: list[FailedDocument] = []

    def run(self) -> StepReport:
        pending = self._comparison.pending()
        self._expected = pending.chunks
        self._writer("").sweep()
        with encoding_ahead(self._target) as ahead:
            self._write_differing(ahead)
        self._remove(self._comparison.gone())
        self._comparison.copy_standing()
        if not pending.nothing:
            self._tell("optimizing")
            self._target.store.optimize()
        return StepReport(
            written=self._written,
            removed=self._removed,
            chunks_embedded=self._embedded,
            failed=tuple(self._failed),
            seconds=monotonic() - self._began,
        )

    def _documents(self, keys: Iterable[Key]) -> Iterator[IndexedDocument]:
        for source, document_id in keys:
            document = self._catalog.indexed_document(
                document_id, source=source, version=self._source
            )
            if document is not None:  # else it was deleted meanwhile
                yield document

    def _write_differing(self, ahead: EncodingAhead | None) -> None:
        """Write batch by batch; the next one is encoded meanwhile."""
        before: _ToWrite | None = None
        for documents in _batches(self._documents(self._comparison.differing()), self._tokens):
            batch = _ToWrite(documents, self._writer(documents[0].source, ahead))
            batch.writer.prepare(documents)
            if before:
                self._write(before)
            before = batch
        if before:
            self._write(before)

    def _write(self, batch: "_ToWrite") -> None:
        documents, writer = batch.documents, batch.writer
        source = documents[0].source
        records = self._catalog.source(source, version=self._target.version)
        written = writer.write(documents)
        failed = [
            FailedDocument(source, document.document.id, reason, document.revision)
            for document in documents
            if (reason := written.failed.get(document.document.id)) is not None
        ]
        done = [d for d in documents if d.document.id not in written.failed]
        records.commit(indexed=done, failed=failed)
        writer.sweep()
        self._failed += failed
        self._written += len(done)
        self._chunks += sum(len(document.chunks) for document in documents)
        self._embedded += written.embedded
        self._shown = 0
        self._tell("encoding")

    def _remove(self, gone: dict[str, list[str]]) -> None:
        for source, ids in gone.items():
            records = self._catalog.source(source, version=self._target.version)
            for start in range(0, len(ids), DELETES_PER_COMMIT):
                self._tell("deleting")
                part = ids[start : start + DELETES_PER_COMMIT]
                records.remove(part)
                self._writer(source).sweep()
                self._removed += len(part)

    def _writer(self, source: str, ahead: EncodingAhead | None = None) -> PointWriter:
        records = self._catalog.source(source, version=self._target.version)
        return PointWriter(
            self._target,
            records,
            slice_tokens=self._tokens,
            on_encoded=self._count_encoded,
            ahead=ahead,
        )

    def _count_encoded(self, chunks: int) -> None:
        self._shown += chunks
        self._tell("encoding")

    def _tell(self, phase: str) -> None:
        if self._tell_caller:
            self._tell_caller(
                StepProgress(
                    phase=phase,
                    chunks=self._chunks + self._shown,
                    expected=self._expected,
                    embedded=self._embedded + self._shown,
                )
            )


def _batches(
    documents: Iterable[IndexedDocument], tokens: int
) -> Iterator[Sequence[IndexedDocument]]:
    """Group neighbours of one source until they hold enough tokens."""
    batch: list[IndexedDocument] = []
    size = 0
    for document in documents:
        other = bool(batch) and batch[0].source != document.source
        if other or size >= tokens or len(batch) >= DOCUMENTS_PER_COMMIT:
            yield batch
            batch, size = [], 0
        batch.append(document)
        size += sum(chunk.token_count for chunk in document.chunks)
    if batch:
        yield batch
