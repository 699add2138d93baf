"""An engine's shard while it is open: who may still call it, and what a failed write means."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import qdrant_edge as engine

from indexing.errors import IndexingError, StoreError
from indexing.files.lock import HeldLock
from indexing.forks import call_in_children
from indexing.stores.edge_forms import engine_errors

_inherited: list[engine.EdgeShard] = []
"""In a forked child: kept, for freeing a shard there would touch its parent's."""


class OpenShard:
    """Gives the shard to those that may call it, until it is closed.

    Args:
        shard: The engine's.
        directory: What messages name.
        lock: Released when the shard is closed.
    """

    def __init__(self, shard: engine.EdgeShard, *, directory: Path, lock: HeldLock) -> None:
        self._shard = shard
        self._directory = directory
        self._lock = lock
        self._unusable = ""
        self._unflushed = self._failed = False
        call_in_children(self.disown)

    @property
    def is_usable(self) -> bool:
        """Whether it is open, in the process that opened it."""
        return not self._unusable

    @property
    def needs_flush(self) -> bool:
        """Whether something was written since the last flush, and could be flushed."""
        return self._unflushed and not self._failed

    @contextmanager
    def calling(self, action: str) -> Iterator[engine.EdgeShard]:
        """Read; the engine's errors become ours, which name the action."""
        if self._unusable:
            raise StoreError(f"cannot {action} in {self._directory}: {self._unusable}")
        with engine_errors(action, self._directory):
            yield self._shard

    @contextmanager
    def writing(self, action: str) -> Iterator[engine.EdgeShard]:
        """Write; an error ends the writing, for the engine keeps half of what it refused."""
        if self._failed:
            raise StoreError(
                f"cannot {action} in {self._directory}: an earlier write failed\n"
                "hint: close the collection and open it again; its log is then replayed"
            )
        try:
            with self.calling(action) as shard:
                self._unflushed = True
                yield shard
        except IndexingError:
            self._failed = not self._unusable
            raise

    def flush(self) -> None:
        """Make everything written so far durable."""
        with self.writing("flush") as shard:
            shard.flush()
        self._unflushed = False

    def close(self) -> None:
        """Let the engine and the lock go; nothing is flushed."""
        self._unusable = "it is closed"
        try:
            self._shard.close()
        finally:
            self._lock.release()

    def disown(self) -> None:
        """Stop a forked child from using, closing or freeing what belongs to its parent."""
        _inherited.append(self._shard)
        self._unusable = (
            "it was opened before a fork, and the engine's threads are not in the child\n"
            'hint: open it after the fork, or start the process with "spawn"'
        )
