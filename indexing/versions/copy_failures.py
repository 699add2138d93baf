"""How long a reader goes on with the copy at hand while a newer one can't be opened."""

from collections.abc import Callable
from dataclasses import dataclass

from indexing.errors import StoreError

RETRY_SECONDS = 5.0
"""A newer copy that can't be opened is tried again so often, at most."""

GIVE_UP_SECONDS = 60.0
"""After so long without the newest copy the one at hand is no answer any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Failure:
    copy: int
    since: float
    tried: float
    error: Exception


class CopyFailures:
    """What became of opening newer copies of an index.

    Args:
        clock: Seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._last: _Failure | None = None

    def is_due(self, newest: int) -> bool:
        """Tell whether to try a copy; at once where it is newer than the one that failed."""
        last = self._last
        return last is None or newest != last.copy or self._clock() - last.tried >= RETRY_SECONDS

    def note(self, newest: int, error: Exception) -> None:
        """Remember that a copy could not be opened."""
        now = self._clock()
        since = now if self._last is None else self._last.since
        self._last = _Failure(copy=newest, since=since, tried=now, error=error)

    def forget(self) -> None:
        """Note that the newest copy is open."""
        self._last = None

    def check_recent(self, name: str) -> None:
        """Refuse to go on with an old copy for longer than ``GIVE_UP_SECONDS``.

        Args:
            name: Of the index version.

        Raises:
            StoreError: naming the copy, and why it can't be opened.
        """
        last = self._last
        if last is not None and self._clock() - last.since >= GIVE_UP_SECONDS:
            reason = str(last.error).partition("\n")[0]
            raise StoreError(
                f"index {name} must be read from its newest copy, {last.copy}; for "
                f"{GIVE_UP_SECONDS:.0f} seconds it could not be opened: {reason}\n"
                "hint: call `refresh()`, or start the program again: a damaged copy is made anew"
            ) from last.error
