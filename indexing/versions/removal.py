"""Remove index versions that nobody needs, so that a crash leaves no half of one."""

import logging
import shutil
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from indexing.catalog.catalog import Catalog
from indexing.errors import IndexLockedError
from indexing.files.disk import allocated_bytes
from indexing.files.lock import hold_lock
from indexing.published.copies import readers_of
from indexing.stores.server_settings import ServerSettings
from indexing.versions.description import live_record, previous_version, read_version, version_names
from indexing.versions.placement import EMBEDDED, remove_store, remove_unfinished

logger = logging.getLogger(__name__)


class Keep(StrEnum):
    """Why a version stays."""

    LIVE = "live"
    PREVIOUS = "the way back"
    WAITING = "waiting to be promoted"
    IN_USE = "in use"


@dataclass(frozen=True, slots=True)
class Leftover:
    """A version on disk or in the catalog, and what becomes of it."""

    name: str
    size: int
    """Bytes on disk; 0 where only the catalog still knows of it."""

    kept: Keep | None
    """None: it is to be removed."""


def survey(indexes: Path, catalog: Catalog, *, waiting: bool = False) -> list[Leftover]:
    """Look at every version, and decide; nothing is changed.

    Args:
        indexes: The folder of all versions.
        catalog: Knows what each holds.
        waiting: Remove versions too that were made after the live one and never answered.
    """
    folders = _folders(indexes)
    known = _known_before(indexes, catalog.versions() - folders.keys())
    return [
        *(
            Leftover(name, allocated_bytes(folder), _reason(indexes, name, waiting=waiting))
            for name, folder in folders.items()
        ),
        *(Leftover(name, 0, None) for name in known),
    ]


def remove_versions(
    indexes: Path, catalog: Catalog, names: Iterable[str], *, server: ServerSettings = EMBEDDED
) -> list[str]:
    """Remove versions from disk, server and catalog.

    Args:
        indexes: The folder of all versions.
        catalog: Knows what each holds.
        names: Some of those that ``survey`` would not keep.
        server: Where versions are that are not embedded.

    Returns:
        Those that are removed; what has come into use since is not.
    """
    return [name for name in names if _remove(indexes, catalog, name, server=server)]


def _remove(indexes: Path, catalog: Catalog, name: str, *, server: ServerSettings) -> bool:
    try:
        # The lock file stays: its number is not given to another version.
        with hold_lock(indexes / f"{name}.lock", what=f"index {name}"):
            if readers_of(indexes, name):
                logger.warning("index %s has come into use and stays", name)
                return False
            if name in version_names(indexes):
                remove_store(read_version(indexes, name), server=server)
            else:
                remove_unfinished(indexes, name, server=server)
            # First, so that what is half removed no longer counts as a version.
            (indexes / name / "version.json").unlink(missing_ok=True)
            if (indexes / name).is_dir():
                shutil.rmtree(indexes / name)
            catalog.forget_version(name)
    except IndexLockedError:
        logger.warning("index %s has come into use and stays", name)
        return False
    return True


def _folders(indexes: Path) -> dict[str, Path]:
    """Every version, those included that were never finished."""
    if not indexes.is_dir():
        return {}
    found = (path for path in sorted(indexes.iterdir()) if path.is_dir())
    return {path.name: path for path in found if (indexes / f"{path.name}.lock").exists()}


def _known_before(indexes: Path, versions: Collection[str]) -> list[str]:
    # Only those that were once here: a catalog may serve more than this folder.
    return sorted(name for name in versions if (indexes / f"{name}.lock").exists())


def _reason(indexes: Path, name: str, *, waiting: bool) -> Keep | None:
    live = live_record(indexes)
    if live is not None and name == live.name:
        return Keep.LIVE
    if name == previous_version(indexes):
        return Keep.PREVIOUS
    if in_use(indexes, name):
        return Keep.IN_USE
    finished = name in version_names(indexes)
    newer = live is None or (name > live.name and name not in live.before)
    return Keep.WAITING if finished and newer and not waiting else None


def in_use(indexes: Path, name: str) -> bool:
    """Tell whether a process has a version open, to write or to read."""
    if readers_of(indexes, name):
        return True
    try:
        hold_lock(indexes / f"{name}.lock", what=f"index {name}").release()
    except IndexLockedError:
        return True
    return False
