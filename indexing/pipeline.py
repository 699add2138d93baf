"""Bring an index version in step with a source.

For every batch of documents: announce the points in the catalog, write them, make them durable,
verify that they are there, commit the catalog, delete the points that were replaced. So each
document can be found at every moment, in its old state or its new one, and what a killed run left
half done the next one cleans up and does again.
"""

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from time import monotonic

from connectors.base import Change, Checkpoint, Connector, Failed, Upsert
from connectors.errors import SourceError
from indexing.batch import Batch
from indexing.catalog import Catalog
from indexing.catalog_source import SourceRecords
from indexing.chunking import chunk_document
from indexing.errors import DeleteGuardError, IndexingError
from indexing.identity import printable
from indexing.plan import Action, Presence, check_deletes
from indexing.reading import Read, consider, ignored_by, reason_of
from indexing.records import FailedDocument, IndexedDocument
from indexing.report import Progress, SyncProgress, SyncReport
from indexing.writing import PointWriter, Target

logger = logging.getLogger(__name__)

DELETES_PER_COMMIT = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncOptions:
    """How a source is synced."""

    protected: bool = False
    """The source has access lists; a document that comes without one is for nobody."""

    retry_failed: bool = False
    """List everything and try again what failed before, however often it did."""

    max_delete_fraction: float = 0.2
    """Largest share of the indexed documents that may be deleted, in [0, 1]: `check_deletes`."""

    batch_tokens: int = 32_768
    """Tokens of chunks encoded between two commits, at least 1: bounds memory and lost work."""

    def __post_init__(self) -> None:
        if not 0 <= self.max_delete_fraction <= 1:
            raise ValueError(
                f"`max_delete_fraction` must be in [0, 1]; got {self.max_delete_fraction}"
            )
        if self.batch_tokens < 1:
            raise ValueError(f"`batch_tokens` must be at least 1; got {self.batch_tokens}")


def sync(
    connector: Connector,
    *,
    catalog: Catalog,
    target: Target,
    options: SyncOptions | None = None,
    progress: Progress | None = None,
) -> SyncReport:
    """Bring an index version in step with a source.

    A document that can't be read or stored is set aside with its reason, and what was indexed of it
    stays. Documents are deleted only where the source said so, or listed everything without them.
    `SourceError`: the source can't be listed; what it delivered is indexed and nothing deleted.
    `DeleteGuardError`: too much would be deleted; all the rest is done.

    Args:
        connector: The source.
        catalog: What is known of the version.
        target: The version and its encoders.
        options: None: the defaults.
        progress: Told how far it has come.

    Returns:
        What was done.
    """
    run = _Sync(
        catalog.source(connector.name, version=target.version),
        connector=connector,
        target=target,
        options=options or SyncOptions(),
        progress=progress,
    )
    number = catalog.begin_run(connector.name, version=target.version)
    _run_recorded(run, catalog, number)
    return run.report()


def _run_recorded(run: "_Sync", catalog: Catalog, number: int) -> None:
    """Run, and note in the catalog how it ended."""
    status = "failed"
    try:
        run.run()
        status = "done"
    except DeleteGuardError:
        status = "refused"
        raise
    except KeyboardInterrupt:
        status = "interrupted"
        raise
    finally:
        catalog.finish_run(number, status=status, counts=run.report().counts)


class _Sync:
    """The state of one run."""

    def __init__(
        self,
        records: SourceRecords,
        *,
        connector: Connector,
        target: Target,
        options: SyncOptions,
        progress: Progress | None,
    ) -> None:
        self._records = records
        self._connector = connector
        self._target = target
        self._options = options
        self._progress = progress
        tokens = options.batch_tokens
        self._writer = PointWriter(
            target, records, slice_tokens=tokens, on_encoded=self._count_encoded
        )
        self._batch = Batch(self._writer, records, tokens=tokens)
        self._began = monotonic()
        self._done: Counter[Action] = Counter()
        self._failed: dict[str, FailedDocument] = {}
        self._encoded = self._embedded = self._deleted = 0
        self._presence = Presence()
        self._cursor: str | None = None

    def report(self) -> SyncReport:
        """Say what was done so far."""
        return SyncReport(
            added=self._done[Action.ADD],
            changed=self._done[Action.CHANGE],
            metadata_only=self._done[Action.METADATA_ONLY],
            deleted=self._deleted,
            kept=self._done[Action.KEEP],
            failed=tuple(self._failed.values()),
            chunks_embedded=self._embedded,
            seconds=monotonic() - self._began,
            ignored=ignored_by(self._connector),
        )

    def run(self) -> None:
        """Take all changes, then delete what is gone."""
        self._writer.sweep()
        known = self._records.document_ids()
        try:
            try:
                self._take_all()
                self._write()
            finally:
                self._hide_public()
            self._delete(known)
        except IndexingError:
            raise  # the store may be out of order; the next run sweeps
        except BaseException:
            self._writer.sweep()
            raise
        if self._embedded or self._deleted:
            self._tell("optimizing")
            self._target.store.optimize()

    def _take_all(self) -> None:
        # From its cursor on, a source would not name again what failed before it.
        cursor = None if self._options.retry_failed else self._records.cursor()
        try:
            for change in self._connector.changes(cursor):
                self._take(change)
                self._tell("reading")
        except SourceError:
            self._write()
            raise

    def _take(self, change: Change) -> None:
        self._presence.note(change)
        match change:
            case Upsert():
                self._upsert(change)
            case Failed(document_id, reason):
                self._fail(printable(document_id), printable(reason))
            case Checkpoint(cursor):
                self._cursor = cursor

    def _upsert(self, change: Upsert) -> None:
        document_id = printable(change.document_id)
        self._failed.pop(document_id, None)
        if document_id in self._batch:
            self._write()
        known = self._records.find(document_id)
        outcome = consider(
            change,
            known,
            protected=self._options.protected,
            retry_failed=self._options.retry_failed,
        )
        action = outcome.decision.action
        if action is Action.SET_ASIDE:
            reason = outcome.decision.reason
            self._fail(document_id, reason, revision=change.revision, again=not outcome.attempted)
        elif outcome.read and action is not Action.KEEP:
            self._add(action, outcome.read, change.revision)
        else:
            self._done[Action.KEEP] += 1
            if known and (known.failure or known.revision != change.revision):
                self._batch.keep(document_id, change.revision)
        if self._batch.is_full:
            self._write()

    def _add(self, action: Action, read: Read, revision: str | None) -> None:
        tokenizer, settings = self._target.tokenizer, self._target.chunks
        try:
            chunks = chunk_document(read.document, tokenizer=tokenizer, settings=settings)
        except Exception as error:  # noqa: BLE001 - one that can't be cut must not stop the others
            self._fail(read.document.id, reason_of(error), revision=revision)
            return
        document = IndexedDocument(
            source=self._connector.name,
            document=read.document,
            revision=revision,
            protected=self._options.protected,
            content_hash=read.content_hash,
            metadata_hash=read.metadata_hash,
            chunks=tuple(chunks),
        )
        self._batch.add(action, document)

    def _fail(
        self, document_id: str, reason: str, *, revision: str | None = None, again: bool = False
    ) -> None:
        """Set a document aside; ``again``: it was not even tried this time."""
        failed = FailedDocument(self._connector.name, document_id, reason, revision)
        self._failed[document_id] = failed
        if not again:
            self._batch.set_aside(failed)

    def _write(self) -> None:
        # What is gone is deleted at the end; until then the source must deliver it again.
        result = self._batch.write(cursor=None if self._presence.gone else self._cursor)
        self._done += result.done
        self._embedded += result.embedded
        self._failed.update({failed.document_id: failed for failed in result.failed})

    def _delete(self, known: Mapping[str, bool]) -> None:
        gone = self._presence.deletes(known)
        check_deletes(
            gone,
            known,
            max_fraction=self._options.max_delete_fraction,
            source=self._connector.name,
        )
        for start in range(0, len(gone), DELETES_PER_COMMIT):
            self._tell("deleting")
            ids = gone[start : start + DELETES_PER_COMMIT]
            self._records.remove(ids)
            self._writer.sweep()
            self._deleted += sum(known.get(document_id, True) for document_id in ids)
        self._records.commit(cursor=self._cursor)

    def _hide_public(self) -> None:
        """Take out of a source that has become protected what could not be read again since."""
        public = self._records.public_documents() if self._options.protected else []
        if public:
            logger.warning(
                "%s is protected now: %d documents that could not be read again were taken out",
                self._connector.name,
                len(public),
            )
            self._records.remove(public)
            self._writer.sweep()

    def _count_encoded(self, chunks: int) -> None:
        self._encoded += chunks
        self._tell("encoding")

    def _tell(self, phase: str) -> None:
        if self._progress:
            self._progress(
                SyncProgress(
                    source=self._connector.name,
                    phase=phase,
                    documents=len(self._presence.named),
                    chunks=self._encoded,
                )
            )
