"""The copies of an index version that readers read, so that readers and a writer never meet.

``VERSION/shard`` is the writer's alone. ``VERSION/published/7`` is a copy of it that never changes;
the highest number is the newest. ``VERSION/readers`` holds a lease for each reader, and
``VERSION/unpublished`` is there while the shard holds more than the newest copy. Copies can be
deleted at any time when nobody reads them: they are made again from the shard.
"""

import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from indexing.errors import StoreError
from indexing.files.copying import copy_folder, sync_folder
from indexing.files.disk import DiskGuard, allocated_bytes
from indexing.files.lock import HeldLock
from indexing.published.leases import living_leases, take_lease
from indexing.stores.base import VectorStore
from indexing.stores.edge_copies import left_out, settle_copy

logger = logging.getLogger(__name__)

TURN_SECONDS = 600
"""A writer waits so long for a reader that makes up for a copy that is missing."""


class PublishedCopies:
    """The copies of one index version."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._folder = directory / "published"
        self._readers = directory / "readers"
        self._marker = directory / "unpublished"

    def newest(self) -> int | None:
        """Return the number of the newest copy; None before there is one."""
        try:
            names = os.listdir(self._folder)  # noqa: PTH208 - on the way of every query
        except FileNotFoundError:
            return None
        return max((int(name) for name in names if name.isdecimal()), default=None)

    def folder_of(self, number: int) -> Path:
        """Where a copy is."""
        return self._folder / str(number)

    def is_behind(self) -> bool:
        """Tell whether the shard may hold more than the newest copy."""
        return self._marker.exists() or self.newest() is None

    def mark_behind(self) -> None:
        """Note, before the shard is changed, that a copy is due; a crash does not undo it."""
        self._marker.touch()
        sync_folder(self.directory)

    def publish(self, store: VectorStore, *, disk: DiskGuard) -> None:
        """Copy the shard for readers.

        Args:
            store: The shard's, open for writing. It is flushed first: what opening it replayed from
                the log is in no file before, and a copy without it would have halves of points.
            disk: Guards the disk.

        Raises:
            StoreError: The copy is not like the shard.
            DiskFullError: There is no room for it.
        """
        shard = self.directory / "shard"
        store.flush()
        points = store.count()
        disk.require(allocated_bytes(shard), purpose="publish a copy for readers")
        self._folder.mkdir(exist_ok=True)
        number = (self.newest() or 0) + 1
        unfinished = self._folder / f"{number}.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        try:
            copy_folder(shard, unfinished / "shard", leave_out=left_out)
            found = settle_copy(unfinished / "shard", spec=store.spec)
            if found != points:
                raise StoreError(f"the copy {unfinished} must have {points} points; got {found}")
            sync_folder(unfinished)
            unfinished.rename(self.folder_of(number))
            sync_folder(self._folder)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
        self._marker.unlink(missing_ok=True)
        logger.info("published copy %d of index %s", number, self.directory.name)
        self.remove_unread()

    def take_newest(self) -> tuple[int, HeldLock] | None:
        """Take a lease of the newest copy: it stays until the lease is released.

        Returns:
            Its number and the lease; None before there is a copy.
        """
        while (number := self.newest()) is not None:
            lease = take_lease(self._readers, number)
            # Older copies are removed only after a newer one is there, and leases are looked at
            # after that: if this is the newest still, whoever removes it will see the lease.
            if self.newest() == number:
                return number, lease
            lease.release()
        return None

    def remove_unread(self) -> None:
        """Remove the copies that are not the newest and that no living process reads."""
        newest = self.newest()
        read = {number for number, _ in living_leases(self._readers)}
        for folder in self._folder.glob("*"):
            name, _, state = folder.name.partition(".")
            old = name.isdecimal() and newest is not None and int(name) < newest
            if old and state == "" and int(name) not in read:
                removed = folder.with_name(f"{name}.removed")
                # At once, so that nobody finds half of it; another reader may have been faster.
                with suppress(OSError):
                    folder.rename(removed)
                shutil.rmtree(removed, ignore_errors=True)
            elif old and state:
                shutil.rmtree(folder, ignore_errors=True)  # left by one that was killed

    def readers(self) -> list[str]:
        """Say who reads this version, of whatever copy: a sentence for each open reader."""
        return [sentence for _, sentence in living_leases(self._readers)]

    @contextmanager
    def turn(self, *, wait: bool) -> Iterator[bool]:
        """Open the shard within this, so that readers that make up for a copy wait, not refuse.

        Args:
            wait: For up to ``TURN_SECONDS``.

        Yields:
            Whether it is this process's turn.
        """
        lock = FileLock(self.directory / "turn.lock", thread_local=False)
        try:
            lock.acquire(timeout=TURN_SECONDS if wait else 0)
        except Timeout:
            yield False
            return
        try:
            yield True
        finally:
            lock.release()


def readers_of(indexes: Path, name: str) -> list[str]:
    """Say who reads an index version: a sentence for each open reader, none if nobody does.

    To remove a version safely: make sure that it is not the live one, then ask this.

    Args:
        indexes: The folder of all versions.
        name: The version's name.

    Returns:
        Sentences that name the processes.
    """
    return PublishedCopies(indexes / name).readers()
