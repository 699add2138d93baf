"""Index versions on disk: what each was built with, and which one answers queries.

``indexes/NAME/version.json`` describes a version, and is written last: a folder without it was
never finished and does not count. ``indexes/LIVE`` names the version that answers.
"""

import json
import logging
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from indexing.errors import IndexingError, NoIndexError

logger = logging.getLogger(__name__)

SCHEMA_VERSION = 1

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_NUMBER = re.compile(r"docs-(\d{4,})-")


@dataclass(frozen=True, slots=True)
class Canary:
    """A text and the vector it had when the version was made."""

    text: str
    vector: tuple[float, ...]
    """Unit norm, as wide as the version's vectors, to six digits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexVersion:
    """What an index was built with; never changed afterwards."""

    name: str
    created: str
    """ISO 8601, UTC."""

    encoder: str | None
    """Fingerprint of the dense encoder; None: the version has no dense vectors."""

    dimensions: int | None
    """Width of the stored vectors."""

    full_dimensions: int | None
    """Width of the encoder's vectors; more than ``dimensions`` where they are truncated."""

    chunker: Mapping[str, Any]
    """Settings that the documents are split with."""

    bm25: Mapping[str, Any]
    """Settings that the terms are weighed with: language, k1, b, avg_len."""

    engine: str
    """Name and version of the engine that made the collection."""

    canaries: tuple[Canary, ...] = ()

    def __post_init__(self) -> None:
        _check_name(self.name)


def next_version_name(indexes: Path, *, encoder: str | None) -> str:
    """Return a name no version has, such as ``docs-0002-3f9a2c`` for the encoder 3f9a2c…."""
    folders = [folder.name for folder in indexes.iterdir()] if indexes.is_dir() else []
    numbers = [int(match.group(1)) for name in folders if (match := _NUMBER.match(name))]
    return f"docs-{max(numbers, default=0) + 1:04d}-{encoder[:6] if encoder else 'words'}"


def write_version(indexes: Path, version: IndexVersion) -> None:
    """Record a version whose folder and collection are complete: from now on it counts."""
    record = {"schema_version": SCHEMA_VERSION, **asdict(version)}
    _replace(indexes / version.name / "version.json", json.dumps(record, indent=1) + "\n")


def read_version(indexes: Path, name: str) -> IndexVersion:
    """Read what a version was built with.

    Args:
        indexes: The folder of all versions.
        name: The version's name.

    Returns:
        The version.

    Raises:
        NoIndexError: There is no finished version of this name.
        IndexingError: Its description is damaged, or of another release.
    """
    _check_name(name)
    path = indexes / name / "version.json"
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        schema_version = record.pop("schema_version")
        if schema_version == SCHEMA_VERSION:
            canaries = [Canary(c["text"], tuple(c["vector"])) for c in record.pop("canaries")]
            return IndexVersion(**record, canaries=tuple(canaries))
    except FileNotFoundError:
        known = ", ".join(version_names(indexes)) or "none"
        raise NoIndexError(
            f"there must be an index version {name!r}; found {known}\n"
            "hint: `argot ingest --rebuild` makes a new one"
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise IndexingError(
            f"{path} must describe an index version; got: {type(exc).__name__}: {exc}\n"
            "hint: build the index again"
        ) from exc
    raise IndexingError(
        f"{path} must have schema_version {SCHEMA_VERSION}; got {schema_version}\n"
        "hint: use the release of Argot that wrote it, or build the index again"
    )


def version_names(indexes: Path) -> list[str]:
    """Return the names of the finished versions, oldest first."""
    return sorted(
        path.parent.name
        for path in indexes.glob("*/version.json")
        if _NAME.fullmatch(path.parent.name)
    )


def list_versions(indexes: Path) -> list[IndexVersion]:
    """Read every finished version, oldest first; a damaged one is passed over with a warning."""
    found: list[IndexVersion] = []
    for name in version_names(indexes):
        try:
            found.append(read_version(indexes, name))
        except IndexingError as error:
            logger.warning("%s", error)
    return found


def live_version(indexes: Path) -> str | None:
    """Return the name of the version that answers queries; None before there is one."""
    try:
        name = (indexes / "LIVE").read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None
    _check_name(name)
    return name


def set_live(indexes: Path, name: str) -> None:
    """Let a finished version answer from now on, at once and for good; NoIndexError if none."""
    read_version(indexes, name)
    _replace(indexes / "LIVE", f"{name}\n")


def _check_name(name: str) -> None:
    # A name is a folder's: one such as `../x` must not lead out of the folder of versions.
    if not _NAME.fullmatch(name):
        raise IndexingError(
            f"a version's name must be lower-case letters, digits and hyphens; got {name!r}"
        )


def _replace(path: Path, text: str) -> None:
    """Replace a file so that a reader, and a machine that loses power, has the old or the new."""
    unfinished = path.with_name(f"{path.name}.unfinished")
    with unfinished.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
