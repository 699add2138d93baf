"""One writer of a project after another: threads of this process, and other processes."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from argot.ingestion import INGESTION
from indexing.errors import IndexLockedError
from indexing.files.lock import HeldLock, hold_lock
from indexing.forks import free_in_children
from retriever.own_thread import OwnThread

Result = TypeVar("Result")

WAIT_SECONDS = 30.0
"""For another process, from when a writer began to wait for anybody."""

LOOK_SECONDS = 0.1
"""How often who waits for a thread looks whether it still should."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a writer waits."""

    until: float = field(default_factory=lambda: time.monotonic() + WAIT_SECONDS)
    given_up: threading.Event = field(default_factory=threading.Event)
    """Nobody waits for what it would write any more."""


_patience: ContextVar[Patience | None] = ContextVar("_patience", default=None)
"""Of the writer that is awaited; None: one that nobody can cancel."""


class WriteTurns:
    """Lets one writer of a project at a time.

    Threads that share it take turns for as long as it takes. Other processes are waited for,
    `WAIT_SECONDS` at most.

    Args:
        lock_file: What other processes lock.
    """

    def __init__(self, lock_file: Path) -> None:
        self._lock_file = lock_file
        self._turn = free_in_children(threading.Lock())
        self._thread = OwnThread("argot-write")

    @contextmanager
    def turn(self) -> Iterator[Callable[[bool], HeldLock]]:
        """Wait for other threads; what is given locks out other processes, or all but sharing ones.

        Raises:
            IndexLockedError: another process does not end, or the caller was cancelled.
        """
        patience = _patience.get() or Patience()
        while not self._turn.acquire(timeout=LOOK_SECONDS):
            _check_wanted(patience)

        def lock(shared: bool) -> HeldLock:
            return hold_lock(
                self._lock_file,
                what=INGESTION,
                shared=shared,
                wait_seconds=max(0.0, patience.until - time.monotonic()),
                given_up=patience.given_up,
            )

        try:
            _check_wanted(patience)
            yield lock
        finally:
            self._turn.release()

    async def awaited(self, work: Callable[[], Result]) -> Result:
        """Write in a thread of its own; who is cancelled while waiting for a turn writes nothing.

        What has begun to write goes on to its end.

        Raises:
            asyncio.CancelledError: the caller was cancelled.
        """
        patience = Patience()
        token = _patience.set(patience)
        try:
            return await self._thread.run(work)
        except asyncio.CancelledError:
            patience.given_up.set()
            raise
        finally:
            _patience.reset(token)


def _check_wanted(patience: Patience) -> None:
    if patience.given_up.is_set():
        raise IndexLockedError("who waited to write was cancelled; nothing was written")
