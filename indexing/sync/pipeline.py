"""Bring an index version in step with a source.

For every batch of documents: announce the points in the catalog, write them, make them durable,
verify that they are there, commit the catalog, delete the points that were replaced. So each
document can be found at every moment, in its old state or its new one, and what a killed run left
half done the next one cleans up and does again. The next batch is encoded meanwhile.
"""

import logging
from collections import Counter
from itertools import islice
from time import monotonic

from connectors.base import Checkpoint, Connector, Delete, Failed, Upsert
from connectors.errors import SourceError
from indexing.catalog.catalog import Catalog
from indexing.catalog.leases import Lease
from indexing.catalog.source import SourceRecords
from indexing.errors import DeleteGuardError, IndexingError
from indexing.identity import printable
from indexing.plan import Action, check_deletes
from indexing.records import FailedDocument, IndexedDocument
from indexing.sync.ahead import EncodingAhead, encoding_ahead
from indexing.sync.batch import Batches, BatchResult
from indexing.sync.intake import Intake, Prepared
from indexing.sync.options import SyncOptions
from indexing.sync.presence import Presence
from indexing.sync.reading import ignored_by
from indexing.sync.report import Progress, SyncProgress, SyncReport
from indexing.sync.target import Target
from indexing.sync.writing import PointWriter

logger = logging.getLogger(__name__)

DELETES_PER_COMMIT = 500


def sync(
    connector: Connector,
    *,
    catalog: Catalog,
    target: Target,
    options: SyncOptions | None = None,
    progress: Progress | None = None,
    lease: Lease | None = None,
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
        lease: Held while other workers write to the same version; None: there are none.

    Returns:
        What was done.
    """
    with encoding_ahead(target) as ahead:
        run = _Sync(
            catalog.source(connector.name, version=target.version, lease=lease),
            connector=connector,
            target=target,
            options=options or SyncOptions(),
            progress=progress,
            ahead=ahead,
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
        ahead: EncodingAhead | None,
    ) -> None:
        self._records = records
        self._connector = connector
        self._target = target
        self._options = options
        self._progress = progress
        tokens = options.batch_tokens
        self._writer = PointWriter(
            target, records, slice_tokens=tokens, on_encoded=self._count_encoded, ahead=ahead
        )
        self._batches = Batches(self._writer, records, tokens=tokens, recipe=target.recipe)
        self._began = monotonic()
        self._done: Counter[Action] = Counter()
        self._failed: dict[str, FailedDocument] = {}
        self._encoded = self._embedded = self._deleted = 0
        self._named = 0
        self._cursor: str | None = None
        self._deletes_wait = False

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
        indexed = self._records.count_indexed()
        with Presence() as presence:
            try:
                try:
                    self._take_all(presence)
                    self._write()
                finally:
                    self._hide_public()
                self._delete(presence, indexed)
            except IndexingError:
                raise  # the store may be out of order; the next run sweeps
            except BaseException:
                self._writer.sweep()
                raise
        if self._embedded or self._deleted:
            self._tell("optimizing")
            self._target.store.optimize()

    def _take_all(self, presence: Presence) -> None:
        # From its cursor on, a source would not name again what failed before it.
        cursor = None if self._options.retry_failed else self._records.cursor()
        with Intake(
            self._connector,
            self._records,
            presence=presence,
            target=self._target,
            options=self._options,
        ) as intake:
            try:
                for prepared in intake.changes(cursor):
                    self._take(prepared, intake)
                    self._tell("reading")
            except SourceError:
                self._write()
                raise

    def _take(self, prepared: Prepared, intake: Intake) -> None:
        match prepared.change:
            case Upsert(document_id) as change:
                self._named += 1
                self._failed.pop(printable(document_id), None)
                if prepared.outcome is None:
                    if printable(document_id) in self._batches:
                        self._write()
                    prepared = intake.prepare(change)
                self._upsert(change, prepared)
            case Failed(document_id, reason):
                self._named += 1
                self._fail(printable(document_id), printable(reason))
            case Delete():
                self._deletes_wait = True
            case Checkpoint(cursor):
                self._cursor = cursor

    def _upsert(self, change: Upsert, prepared: Prepared) -> None:
        outcome, known = prepared.outcome, prepared.known
        if outcome is None:
            return
        document_id, action = printable(change.document_id), outcome.decision.action
        if action is Action.SET_ASIDE:
            reason = outcome.decision.reason
            self._fail(document_id, reason, revision=change.revision, again=not outcome.attempted)
        elif outcome.read and action is not Action.KEEP:
            document = IndexedDocument(
                source=self._connector.name,
                document=outcome.read.document,
                revision=change.revision,
                protected=self._options.protected,
                content_hash=outcome.read.hashes.content,
                metadata_hash=outcome.read.hashes.metadata,
                access_hash=outcome.read.hashes.access,
                chunks=prepared.chunks,
            )
            self._batches.add(action, document)
        else:
            self._done[Action.KEEP] += 1
            if known and (known.failure or known.revision != change.revision):
                self._batches.keep(document_id, change.revision)
        if self._batches.is_full:
            self._count(self._batches.advance(cursor=self._covered()))

    def _fail(
        self, document_id: str, reason: str, *, revision: str | None = None, again: bool = False
    ) -> None:
        """Set a document aside; ``again``: it was not even tried this time."""
        failed = FailedDocument(self._connector.name, document_id, reason, revision)
        self._failed[document_id] = failed
        if not again:
            self._batches.set_aside(failed)

    def _write(self) -> None:
        self._count(self._batches.write(cursor=self._covered()))

    def _covered(self) -> str | None:
        # What is gone is deleted at the end; until then the source must deliver it again.
        return None if self._deletes_wait else self._cursor

    def _count(self, result: BatchResult) -> None:
        self._done += result.done
        self._embedded += result.embedded
        self._failed.update({failed.document_id: failed for failed in result.failed})

    def _delete(self, presence: Presence, indexed: int) -> None:
        lost = sum(gone.lost for gone in presence.deletes(self._records.known_documents()))
        check_deletes(
            lost,
            indexed=indexed,
            max_fraction=self._options.max_delete_fraction,
            source=self._connector.name,
        )
        deletes = presence.deletes(self._records.known_documents())
        while gone := list(islice(deletes, DELETES_PER_COMMIT)):
            self._tell("deleting")
            self._records.remove([deletion.document_id for deletion in gone])
            self._writer.sweep()
            self._deleted += sum(deletion.indexed for deletion in gone)
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
                    documents=self._named,
                    chunks=self._encoded,
                )
            )
