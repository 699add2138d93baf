"""A source's changes, read, parsed and cut ahead of the encoder.

A thread walks through the source. Documents that must be read are parsed in processes of their own,
several at a time, and cut into chunks when their turn comes; the order stays the source's. A
bounded queue hands them over: where the encoder is slower, reading waits, and memory stays flat.
"""

import queue
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Self

from connectors.base import Change, Connector, Upsert
from indexing.catalog.source import SourceRecords
from indexing.chunks.chunking import Chunk
from indexing.errors import IsolatedCallError
from indexing.identity import printable
from indexing.plan import Action, Decision, KnownDocument, decide_unread
from indexing.sync.isolation import ProcessPool
from indexing.sync.options import SyncOptions
from indexing.sync.presence import Presence
from indexing.sync.reading import Outcome, Read, judge, read_document, reason_of
from indexing.sync.target import Target

DOCUMENTS_AHEAD = 64
"""Read, cut and waiting for the encoder, at most."""

JOIN_SECONDS = 10.0
"""A source that hangs must not keep an interrupted run from ending."""

PER_PROCESS_AHEAD = 4
"""Documents on their way to or from a process, for each one."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A change, and what is to be done about its document."""

    change: Change
    known: KnownDocument | None = None
    """What was known of the document when it was read."""

    outcome: Outcome | None = None
    """None: a change that is no document, or one named before in this run, whose first state may
    not be committed yet: prepare it again when it is."""

    chunks: tuple[Chunk, ...] = ()
    """Of a document that is to be written."""


class Intake:
    """Reads one source; use it in a ``with``.

    Args:
        connector: The source.
        records: What is known of it.
        presence: Told of every change, in the intake's own thread until the changes end.
        target: Says how to cut.
        options: Of the sync.
    """

    def __init__(
        self,
        connector: Connector,
        records: SourceRecords,
        *,
        presence: Presence,
        target: Target,
        options: SyncOptions,
    ) -> None:
        self._connector = connector
        self._records = records
        self._presence = presence
        self._target = target
        self._options = options
        self._recipe = target.recipe
        processes = options.parse_processes
        self._window = max(1, processes * PER_PROCESS_AHEAD)
        self._pool = ProcessPool(processes, timeout_seconds=options.parse_timeout_seconds)
        self._queue: queue.Queue[Prepared | BaseException | None] = queue.Queue(DOCUMENTS_AHEAD)
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._pool.close()
        if self._thread is not None:
            self._thread.join(JOIN_SECONDS)

    def changes(self, cursor: str | None) -> Iterator[Prepared]:
        """Yield every change since ``cursor``, in order, then raise what the source raised."""
        self._thread = threading.Thread(
            target=self._walk, args=(cursor,), name="intake", daemon=True
        )
        self._thread.start()
        while (found := self._queue.get()) is not None:
            if isinstance(found, BaseException):
                raise found
            yield found

    def prepare(self, change: Upsert) -> Prepared:
        """Prepare one document now, for the state it has now."""
        return self._finish(*self._begin(change))

    def _walk(self, cursor: str | None) -> None:
        pending: deque[tuple[Prepared, Future[Read | str] | None]] = deque()
        end: BaseException | None = None
        try:
            for change in self._connector.changes(cursor):
                pending.append(self._start(change))
                if len(pending) > self._window:
                    self._put(self._finish(*pending.popleft()))
                if self._stopped.is_set():
                    return
        except BaseException as error:  # noqa: BLE001 - raised by whoever takes the changes
            end = error
        try:
            while pending:
                self._put(self._finish(*pending.popleft()))
        except BaseException as error:  # noqa: BLE001 - likewise
            end = end or error
        self._put(end)

    def _start(self, change: Change) -> tuple[Prepared, "Future[Read | str] | None"]:
        if not isinstance(change, Upsert) or self._presence.was_named(change.document_id):
            self._presence.note(change)
            return Prepared(change), None
        prepared, future = self._begin(change)
        known = prepared.known
        self._presence.note(change, indexed=known is not None and known.content_hash is not None)
        return prepared, future

    def _begin(self, change: Upsert) -> tuple[Prepared, "Future[Read | str] | None"]:
        known = self._records.find(printable(change.document_id))
        unread = decide_unread(
            known,
            revision=change.revision,
            protected=self._options.protected,
            retry_failed=self._options.retry_failed,
            recipe=self._recipe,
        )
        if unread:
            return Prepared(change, known, Outcome(unread, read=None, attempted=False)), None
        call = partial(read_document, change, protected=self._options.protected)
        return Prepared(change, known), self._pool.submit(call)

    def _finish(self, prepared: Prepared, future: "Future[Read | str] | None") -> Prepared:
        if future is None:
            return prepared
        try:
            read = future.result()
        except IsolatedCallError as error:
            read = reason_of(error)
        outcome = judge(read, prepared.known, recipe=self._recipe)
        if outcome.read is None or outcome.decision.action is Action.KEEP:
            return Prepared(prepared.change, prepared.known, outcome)
        try:
            chunks = self._target.cut(outcome.read.document)
        except Exception as error:  # noqa: BLE001 - one that can't be cut must not stop the others
            refused = Decision(Action.SET_ASIDE, reason_of(error))
            return Prepared(prepared.change, prepared.known, Outcome(refused, None, attempted=True))
        return Prepared(prepared.change, prepared.known, outcome, tuple(chunks))

    def _put(self, found: "Prepared | BaseException | None") -> None:
        while not self._stopped.is_set():
            try:
                self._queue.put(found, timeout=0.1)
            except queue.Full:
                continue
            return
