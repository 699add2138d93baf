"""Who reads which copy of an index: a lock file for each reader.

The operating system lets a lock go when its holder dies, so what no living reader needs can be
told from what one does, whatever became of the others.
"""

from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from indexing.errors import IndexLockedError
from indexing.files.lock import HeldLock, hold_lock


def take_lease(folder: Path, number: int) -> HeldLock:
    """Say that this process reads a copy, until the lease is released or the process ends.

    Args:
        folder: Where the leases of an index version are.
        number: The copy.

    Returns:
        The lease.
    """
    while True:
        path = folder / f"{number}-{uuid4().hex}.lock"
        with suppress(IndexLockedError):  # whoever looks for dead leases was faster: once more
            lease = hold_lock(path, what=f"copy {number} of index {folder.parent.name}")
            if path.exists():
                return lease
            lease.release()


def living_leases(folder: Path) -> list[tuple[int, str]]:
    """Return who holds leases, and remove the files of those who died.

    Args:
        folder: Where the leases of an index version are.

    Returns:
        Number of the copy, and a sentence that names the process.
    """
    found: list[tuple[int, str]] = []
    for path in sorted(folder.glob("*.lock")):
        number = int(path.name.partition("-")[0])
        try:
            with (
                hold_lock(path, what=f"copy {number} of index {folder.parent.name}"),
                suppress(
                    OSError  # Windows removes no file that is open
                ),
            ):
                # While it is locked: a reader that made it just now then sees that it is gone.
                path.unlink()
        except IndexLockedError as held:
            found.append((number, str(held).partition("\n")[0]))
    return found
