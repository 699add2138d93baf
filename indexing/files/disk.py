"""Free disk space, checked before the engine writes.

The engine writes through mapped memory: where the disk is full, the process dies of SIGBUS, with
no exception to catch (measured). So a write is refused while there is still room.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from indexing.errors import DiskFullError

MEBIBYTE = 1 << 20


def free_bytes(path: Path) -> int:
    """Return the bytes that this user may still write on the disk of ``path``."""
    return shutil.disk_usage(path).free


def allocated_bytes(folder: Path) -> int:
    """Return the disk space that the files under ``folder`` take, holes left out."""
    return sum(file.stat().st_blocks * 512 for file in folder.rglob("*") if file.is_file())


@dataclass(frozen=True, slots=True)
class DiskGuard:
    """Refuses a write that could fill the disk."""

    folder: Path
    """An existing folder on the disk that is written to."""

    reserve_bytes: int = 256 * MEBIBYTE
    """What must stay free: the engine grows several files at once, by 32 MiB at a time."""

    measure: Callable[[Path], int] = free_bytes
    """Returns the free bytes on the disk of a folder."""

    def require(self, needed_bytes: int, *, purpose: str) -> None:
        """Refuse a write, with DiskFullError, that could leave less than the reserve.

        ``needed_bytes`` is an upper estimate; ``purpose`` goes into the message, such as
        ``write 64 points``.
        """
        self._require(needed_bytes + self.reserve_bytes, purpose)

    def require_margin(self, *, purpose: str) -> None:
        """Refuse, below a quarter of the reserve, what adds nothing but still needs some room.

        Opening a collection was seen to take 38 MiB, and to die of SIGBUS with less.
        """
        self._require(self.reserve_bytes // 4, purpose)

    def _require(self, needed_bytes: int, purpose: str) -> None:
        free = self.measure(self.folder)
        if free < needed_bytes:
            raise DiskFullError(
                f"to {purpose}, {_mebibytes(needed_bytes)} must be free in {self.folder}; "
                f"got {_mebibytes(free)}\n"
                "hint: free some space and run again; what is written already is kept"
            )


def _mebibytes(count: int) -> str:
    return f"{count / MEBIBYTE:,.1f} MiB"
