"""Index versions on disk: what each was built with, and which one answers queries.

``indexes/NAME/version.json`` describes a version, and is written last: a folder without it was
never finished and does not count. ``indexes/LIVE`` names the version that answers on its first
line; on the second it keeps which versions answered before, so that one rename changes all at once.
"""

import json
import logging
import os
import re
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from indexing.errors import IndexingError, NoIndexError
from indexing.reduction.settings import ReductionSettings

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

    reduction: ReductionSettings = ReductionSettings()  # noqa: RUF009 - frozen
    """How the vectors were made smaller."""

    projection_digest: str | None = None
    """SHA-256 of the projection's file; None: the version has none."""

    collection: str = ""
    """Its name on the server; empty: the version is embedded, in its own folder."""

    canaries: tuple[Canary, ...] = ()
    encoder_settings: Mapping[str, Any] = field(default_factory=dict)
    """What was said about the encoder when the version was made, so that it can be loaded again
    whatever is said today; empty where nothing was."""

    built_from: str | None = None
    """Name of the version whose chunks it was built from; None: from the sources."""

    def __post_init__(self) -> None:
        _check_name(self.name)


def next_version_name(indexes: Path, *, encoder: str | None, known: Collection[str] = ()) -> str:
    """Return a name no version has, such as ``docs-0002-3f9a2c`` for the encoder 3f9a2c….

    Args:
        indexes: The folder of all versions.
        encoder: Fingerprint; None: words only.
        known: Versions that the catalog knows; their folders may be gone, their rows are not.
    """
    folders = [folder.name for folder in indexes.iterdir()] if indexes.is_dir() else []
    names = [*folders, *known]
    numbers = [int(match.group(1)) for name in names if (match := _NUMBER.match(name))]
    return f"docs-{max(numbers, default=0) + 1:04d}-{encoder[:6] if encoder else 'words'}"


def write_version(indexes: Path, version: IndexVersion) -> None:
    """Record a version whose folder and collection are complete: from now on it counts."""
    text = json.dumps(version_record(version), indent=1) + "\n"
    _replace(indexes / version.name / "version.json", text)


def version_record(version: IndexVersion) -> dict[str, Any]:
    """Describe a version in plain JSON; see `version_from`."""
    return {"schema_version": SCHEMA_VERSION, **asdict(version)}


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
    except FileNotFoundError:
        known = ", ".join(version_names(indexes)) or "none"
        raise NoIndexError(
            f"there must be an index version {name!r}; found {known}\n"
            "hint: `argot ingest --rebuild` makes a new one"
        ) from None
    except ValueError as exc:
        raise IndexingError(_damaged(str(path), exc)) from exc
    return version_from(record, where=str(path))


def version_from(record: Any, *, where: str) -> IndexVersion:  # noqa: ANN401 - any JSON may be read
    """Read a version's description.

    Args:
        record: As `version_record` gave it.
        where: Its place, for messages.

    Raises:
        IndexingError: It is damaged, or of another release.
    """
    try:
        fields = dict(record)
        schema_version = fields.pop("schema_version")
        if schema_version == SCHEMA_VERSION:
            canaries = [Canary(c["text"], tuple(c["vector"])) for c in fields.pop("canaries")]
            reduction = _reduction(fields)
            return IndexVersion(**fields, reduction=reduction, canaries=tuple(canaries))
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise IndexingError(_damaged(where, exc)) from exc
    raise IndexingError(
        f"{where} must have schema_version {SCHEMA_VERSION}; got {schema_version}\n"
        "hint: use the release of Argot that wrote it, or build the index again"
    )


def _damaged(where: str, error: Exception) -> str:
    return (
        f"{where} must describe an index version; got: {type(error).__name__}: {error}\n"
        "hint: build the index again"
    )


def _reduction(record: dict[str, Any]) -> ReductionSettings:
    # A version of a release before 0.2 says nothing of it; truncation was all there was.
    whole = record["dimensions"] == record["full_dimensions"]
    before = {"dimensions": None if whole else record["dimensions"]}
    return ReductionSettings(**record.pop("reduction", before))


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


@dataclass(frozen=True, slots=True)
class LiveRecord:
    """Which version answers queries, and what a switch to it noted."""

    name: str
    before: tuple[str, ...] = ()
    """Versions that answered before, the last one first, each once."""

    configured: Mapping[str, Any] | None = None
    """What the project said about its encoder when it switched to this version; None: nothing was
    noted, and the project's encoder is the version's."""


def live_record(indexes: Path) -> LiveRecord | None:
    """Read which version answers; None before there is one.

    Args:
        indexes: The folder of all versions.

    Raises:
        IndexingError: The file is damaged.
    """
    path = indexes / "LIVE"
    try:
        name, _, rest = path.read_text(encoding="utf-8").partition("\n")
    except FileNotFoundError:
        return None
    _check_name(name.strip())
    try:
        noted = json.loads(rest) if rest.strip() else {}
        before, configured = noted.get("before", ()), noted.get("configured")
        return LiveRecord(name.strip(), tuple(map(str, before)), configured)
    except (ValueError, TypeError, AttributeError) as exc:
        raise IndexingError(
            f"{path} must name a version, and on its second line hold JSON or nothing; got: {exc}\n"
            "hint: delete the second line"
        ) from exc


def live_version(indexes: Path) -> str | None:
    """Return the name of the version that answers queries; None before there is one."""
    record = live_record(indexes)
    return None if record is None else record.name


def previous_version(indexes: Path) -> str | None:
    """Return the version that answered before the live one and is still there; None if none."""
    record = live_record(indexes)
    there = set(version_names(indexes))
    return next((name for name in record.before if name in there), None) if record else None


def set_live(indexes: Path, name: str, *, configured: Mapping[str, Any] | None = None) -> None:
    """Let a finished version answer from now on, at once and for good; NoIndexError if none.

    Args:
        indexes: The folder of all versions.
        name: The version.
        configured: See ``LiveRecord.configured``.
    """
    read_version(indexes, name)
    old = live_record(indexes)
    left = [old.name, *old.before] if old else []
    there = set(version_names(indexes))
    before = [other for other in dict.fromkeys(left) if other != name and other in there]
    noted = {"before": before, "configured": None if configured is None else dict(configured)}
    _replace(indexes / "LIVE", f"{name}\n{json.dumps(noted)}\n")


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
