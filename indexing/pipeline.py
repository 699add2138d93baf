"""Bring an index version in step with a source.

The order for every batch of documents is: announce the points in the catalog, write them, make them
durable, verify that they are there, commit the catalog, delete the points that were replaced. So at
every moment each document can be found in its old or its new state, and a run that was killed is
completed by the next one.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Protocol, runtime_checkable

from connectors.base import Change, Checkpoint, Complete, Connector, Delete, Failed, Upsert
from connectors.errors import SourceError
from indexing.catalog import Catalog
from indexing.catalog_source import SourceRecords
from indexing.chunking import chunk_document
from indexing.errors import DeleteGuardError
from indexing.plan import Action, check_deletes
from indexing.reading import Read, consider, printable, reason_of
from indexing.records import FailedDocument, IndexedDocument
from indexing.report import Progress, SyncProgress, SyncReport
from indexing.writing import PointWriter, Target

UNCHANGED_PER_COMMIT = 1000
DELETES_PER_COMMIT = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncOptions:
    """How a source is synced."""

    protected: bool = False
    """The source has access lists; a document that comes without one is for nobody."""

    retry_failed: bool = False
    """List everything and try again what failed before, however often it did."""

    max_delete_fraction: float = 0.2
    """Largest share of the indexed documents that may be deleted, in [0, 1]; see `check_deletes`."""

    batch_tokens: int = 32_768
    """Tokens of chunks that are encoded between two commits: what a crash can cost, and the memory."""

    def __post_init__(self) -> None:
        check_deletes(0, known=0, max_fraction=self.max_delete_fraction, source="")
        if self.batch_tokens < 1:
            raise ValueError(f"`batch_tokens` must be at least 1; got {self.batch_tokens}")


@runtime_checkable
class CountsIgnored(Protocol):
    """A connector that says what it passed over."""

    @property
    def ignored(self) -> Mapping[str, int]:
        """Number of things of each kind, once the source was listed."""


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

    Args:
        connector: The source.
        catalog: What is known of the version.
        target: The version and its encoders.
        options: None: the defaults.
        progress: Told how far it has come.

    Returns:
        What was done.

    Raises:
        SourceError: The source can't be listed; what it delivered before is indexed, nothing deleted.
        DeleteGuardError: It would delete too much; all the rest is done.
    """
    run = _Sync(
        catalog.source(connector.name, version=target.version),
        connector=connector,
        target=target,
        options=options or SyncOptions(),
        progress=progress,
    )
    number = catalog.begin_run(connector.name, version=target.version)
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
    return run.report()


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
        self._writer = PointWriter(
            target, records, slice_tokens=options.batch_tokens, on_encoded=self._encoded
        )
        self._began = monotonic()
        self._done: Counter[Action] = Counter()
        self._deleted = 0
        self._embedded = 0
        self._failed: dict[str, FailedDocument] = {}
        self._named: set[str] = set()
        self._gone: set[str] = set()
        self._complete = False
        self._cursor: str | None = None
        self._waiting: dict[str, tuple[Action, IndexedDocument]] = {}
        self._waiting_tokens = 0
        self._unchanged: list[tuple[str, str | None]] = []
        self._set_aside: list[FailedDocument] = []

    def report(self) -> SyncReport:
        """Say what was done so far."""
        ignored = self._connector.ignored if isinstance(self._connector, CountsIgnored) else {}
        return SyncReport(
            added=self._done[Action.ADD],
            changed=self._done[Action.CHANGE],
            metadata_only=self._done[Action.METADATA_ONLY],
            deleted=self._deleted,
            kept=self._done[Action.KEEP],
            failed=tuple(self._failed.values()),
            chunks_embedded=self._embedded,
            seconds=monotonic() - self._began,
            ignored=dict(ignored),
        )

    def run(self) -> None:
        """Take all changes, then delete what is gone."""
        self._writer.sweep()
        known = self._records.document_ids()
        try:
            self._take_all()
            self._write()
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
        match change:
            case Upsert():
                self._upsert(change)
            case Failed(document_id, reason):
                self._named.add(printable(document_id))
                self._fail(printable(document_id), printable(reason))
            case Delete(document_id):
                self._gone.add(printable(document_id))
            case Checkpoint(cursor):
                self._cursor = cursor
            case Complete():
                self._complete = True

    def _upsert(self, change: Upsert) -> None:
        document_id = printable(change.document_id)
        self._named.add(document_id)
        self._gone.discard(document_id)
        self._failed.pop(document_id, None)
        if document_id in self._waiting:
            self._write()
        known = self._records.find(document_id)
        outcome = consider(
            change,
            known,
            protected=self._options.protected,
            retry_failed=self._options.retry_failed,
        )
        action, reason = outcome.decision.action, outcome.decision.reason
        if outcome.read and action is not Action.KEEP:
            self._wait(action, outcome.read, change.revision)
        elif action is Action.SET_ASIDE:
            self._fail(document_id, reason, revision=change.revision, note=outcome.attempted)
        else:
            self._done[Action.KEEP] += 1
            if known and (known.failure or known.revision != change.revision):
                self._unchanged.append((document_id, change.revision))
        if (
            self._waiting_tokens >= self._options.batch_tokens
            or len(self._unchanged) >= UNCHANGED_PER_COMMIT
        ):
            self._write()

    def _wait(self, action: Action, read: Read, revision: str | None) -> None:
        """Cut a document and put it in line for writing."""
        document = read.document
        try:
            chunks = chunk_document(
                document, tokenizer=self._target.tokenizer, settings=self._target.chunks
            )
        except Exception as error:  # noqa: BLE001 - what can't be cut is one document's misfortune
            self._fail(document.id, reason_of(error), revision=revision)
            return
        self._waiting_tokens += sum(chunk.token_count for chunk in chunks)
        self._waiting[document.id] = action, IndexedDocument(
            source=self._connector.name,
            document=document,
            revision=revision,
            protected=self._options.protected,
            content_hash=read.content_hash,
            metadata_hash=read.metadata_hash,
            chunks=tuple(chunks),
        )

    def _fail(
        self, document_id: str, reason: str, *, revision: str | None = None, note: bool = True
    ) -> None:
        failed = FailedDocument(self._connector.name, document_id, reason, revision)
        self._failed[document_id] = failed
        if note:
            self._set_aside.append(failed)

    def _write(self) -> None:
        """Write what is waiting; the catalog follows the store."""
        written = self._writer.write([document for _, document in self._waiting.values()])
        for document_id, reason in written.failed.items():
            _, document = self._waiting.pop(document_id)
            self._fail(document_id, reason, revision=document.revision)
        self._records.commit(
            indexed=[document for _, document in self._waiting.values()],
            unchanged=self._unchanged,
            failed=self._set_aside,
            # What is gone is only deleted at the end: until then it must be delivered again.
            cursor=None if self._gone else self._cursor,
        )
        self._writer.sweep()
        self._done.update(action for action, _ in self._waiting.values())
        self._embedded += written.embedded
        self._waiting.clear()
        self._waiting_tokens = 0
        self._unchanged.clear()
        self._set_aside.clear()

    def _delete(self, known: Mapping[str, bool]) -> None:
        """Delete what the source said is gone, or did not name when it named everything."""
        missing = known.keys() - self._named if self._complete else set()
        gone = sorted(missing | (self._gone & (known.keys() | self._named)))
        check_deletes(
            sum(known.get(document_id, False) for document_id in gone),
            known=sum(known.values()),
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

    def _tell(self, phase: str, *, encoded: int = 0) -> None:
        if self._progress:
            self._progress(
                SyncProgress(
                    source=self._connector.name,
                    phase=phase,
                    documents=len(self._named),
                    chunks=self._encoded + encoded,
                )
            )
