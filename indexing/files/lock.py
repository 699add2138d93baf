"""Locks between processes; the operating system releases one when its holder dies.

A second open of a live shard destroys it (measured: the owner can no longer flush, and the shard
no longer loads), so whatever opens one must hold such a lock first.
"""

import contextlib
import fcntl
import os
import socket
import threading
import time
from pathlib import Path
from typing import Self

from filelock import FileLock, Timeout

from indexing.errors import IndexingError, IndexLockedError
from indexing.forks import free_in_children

# On a network filesystem a lock may count per process, so a second holder of this one would get it.
_held: dict[Path, int] = {}  # lock file -> process id
_held_guard = free_in_children(threading.Lock())

RETRY_SECONDS = 0.02


class HeldLock:
    """A lock that is held until ``release`` or the end of the ``with`` block."""

    def __init__(self, path: Path, lock: "FileLock | _SharedLock") -> None:
        self.path = path
        self._lock = lock
        self._pid = os.getpid()

    def release(self) -> None:
        """Let the lock go; once more is fine. A forked child leaves it to its parent."""
        if self._pid != os.getpid() or not self._lock.is_locked:
            return
        _owner_file(self.path).unlink(missing_ok=True)
        self._lock.release()
        with _held_guard:
            _held.pop(self.path, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


class _SharedLock:
    """What several may hold, and nobody while `FileLock` holds the same file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None

    @property
    def is_locked(self) -> bool:
        return self._file is not None

    def acquire(self, *, blocking: bool) -> None:
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(file, fcntl.LOCK_SH | (0 if blocking else fcntl.LOCK_NB))
        except BlockingIOError:
            os.close(file)
            raise Timeout(str(self._path)) from None
        self._file = file

    def release(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


def hold_lock(
    path: Path,
    *,
    what: str,
    shared: bool = False,
    wait_seconds: float = 0.0,
    given_up: threading.Event | None = None,
) -> HeldLock:
    """Take a lock.

    Args:
        path: The lock file. It is made and then stays: removing it would let two holders in.
        what: What the lock protects, for the message, such as ``index version docs-0001``.
        shared: Other processes may hold it too, as long as they share it as well.
        wait_seconds: How long to wait for whoever holds it, >= 0.
        given_up: Once it is set, nothing is waited for any more.

    Returns:
        The held lock; release it, or use it in a ``with`` statement.

    Raises:
        IndexLockedError: Another process, or another part of this one, holds it.
        IndexingError: The lock file can't be written.
    """
    until = time.monotonic() + wait_seconds
    given_up = given_up or threading.Event()
    while True:
        try:
            return _taken_at_once(path, what=what, shared=shared)
        except IndexLockedError:
            if time.monotonic() >= until or given_up.wait(RETRY_SECONDS):
                raise


def _taken_at_once(path: Path, *, what: str, shared: bool) -> HeldLock:
    path = path.parent.resolve() / path.name
    lock = _SharedLock(path) if shared else FileLock(path, thread_local=False)
    with _held_guard:
        if _held.get(path) == os.getpid():
            raise IndexLockedError(_refusal(path, what))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock.acquire(blocking=False)
        except Timeout:
            raise IndexLockedError(_refusal(path, what)) from None
        except OSError as exc:
            raise IndexingError(f"the lock file {path} must be writable; got: {exc}") from exc
        _held[path] = os.getpid()
    # Beside the lock, not in it: some versions of filelock empty the lock file when they try it.
    with contextlib.suppress(OSError):
        _owner_file(path).unlink(missing_ok=True)
        if not shared:  # else it would name one of several
            _owner_file(path).write_text(
                f"{os.getpid()} {socket.gethostname()}\n", encoding="utf-8"
            )
    return HeldLock(path, lock)


def _refusal(path: Path, what: str) -> str:
    owner, hint = "another process", "try again when it has ended, or end it"
    # Whoever holds the lock may not have written its name yet.
    with contextlib.suppress(OSError, ValueError):
        pid, host = _owner_file(path).read_text(encoding="utf-8").split()
        owner = f"process {pid} on {host}"
        if (pid, host) == (str(os.getpid()), socket.gethostname()):
            owner = f"this process ({pid}), which has it open already"
            hint = "wait until it has written, or `close()` what has it open, such as a session"
    return f"{what} is in use by {owner} (lock {path})\nhint: {hint}"


def _owner_file(path: Path) -> Path:
    return path.with_name(f"{path.name}.owner")
