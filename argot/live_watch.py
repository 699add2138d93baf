"""Which index version is live, asked before every search."""

from collections.abc import Callable
from pathlib import Path
from time import monotonic

from indexing.stores.server_settings import ServerSettings
from indexing.versions.description import live_version
from indexing.versions.placement import published_version

ASK_SERVER_SECONDS = 5.0
"""A machine that only searches asks the server so often which version is live, at most."""


class LiveWatch:
    """Tells whether a version is live.

    The project's own record is read each time, which takes some 30 microseconds. A folder without
    one, on a machine that only searches, asks the server.

    Args:
        indexes: The folder of all versions.
        server: Where versions are that are not embedded.
        clock: Seconds that never go back.
    """

    def __init__(
        self, indexes: Path, *, server: ServerSettings, clock: Callable[[], float] = monotonic
    ) -> None:
        self._indexes = indexes
        self._server = server
        self._clock = clock
        self._answer: str | None = None
        self._asked: float | None = None

    def is_live(self, name: str) -> bool:
        """Tell whether searches are answered by this version; False too where none is live."""
        live = live_version(self._indexes)
        if live is None and self._server.url:
            live = self._named_by_server()
        return live == name

    def forget(self) -> None:
        """Ask the server the next time, however short ago it was asked."""
        self._asked = None

    def _named_by_server(self) -> str | None:
        now = self._clock()
        if self._asked is None or now - self._asked >= ASK_SERVER_SECONDS:
            self._asked = now  # of a server that doesn't answer, too: each question takes seconds
            self._answer = published_version(self._server).name
        return self._answer
