"""Let another index version answer, here and on its server."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from indexing.stores.server_settings import ServerSettings
from indexing.versions.description import read_version, set_live
from indexing.versions.placement import EMBEDDED, publish


def go_live(
    indexes: Path,
    name: str,
    *,
    configured: Mapping[str, Any] | None = None,
    server: ServerSettings = EMBEDDED,
) -> None:
    """Let a finished version answer from now on; done again, it completes what was cut off.

    Args:
        indexes: The folder of all versions.
        name: The version; NoIndexError if there is none.
        configured: See ``LiveRecord.configured``.
        server: Where versions are that are not embedded: machines that only search look there.
    """
    version = read_version(indexes, name)
    set_live(indexes, name, configured=configured)
    publish(version, server=server)
