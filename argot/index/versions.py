"""The versions of a project's index: list them, build one beside the live one, check, clean up."""

import logging
from dataclasses import dataclass

import numpy as np

from argot.project import Project
from argot.version_choice import (
    target_of,
)
from indexing.catalog.catalog import Catalog
from indexing.errors import NoIndexError
from indexing.files.disk import allocated_bytes
from indexing.files.lock import hold_lock
from indexing.sync.verification import Verification, repair, verify
from indexing.versions.collection import open_index
from indexing.versions.description import (
    IndexVersion,
    list_versions,
    live_version,
    previous_version,
    read_version,
)
from indexing.versions.removal import Leftover, remove_versions, survey

logger = logging.getLogger(__name__)

BUILDING = "the building of an index version"


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionSummary:
    """An index version as `argot index list` shows it."""

    version: IndexVersion
    live: bool
    previous: bool
    """It answered before the live one: `rollback` goes back to it."""

    documents: int
    chunks: int
    size: int
    """Bytes on disk."""


def summaries(project: Project) -> list[VersionSummary]:
    """Describe the project's versions, oldest first; nothing is made that is not there."""
    indexes = project.paths.indexes
    live, previous = live_version(indexes), previous_version(indexes)
    versions = list_versions(indexes)
    if not versions:
        return []
    with open_catalog(project) as catalog:
        held = {version.name: catalog.summary(version=version.name) for version in versions}
    return [
        VersionSummary(
            version=version,
            live=version.name == live,
            previous=version.name == previous,
            documents=sum(source.documents for source in held[version.name]),
            chunks=sum(source.chunks for source in held[version.name]),
            size=allocated_bytes(indexes / version.name),
        )
        for version in versions
    ]


def check_version(
    project: Project, *, name: str | None = None, sample: int, mend: bool = False
) -> tuple[Verification, int]:
    """Compare a version with the catalog, point by point.

    Args:
        project: The project.
        name: The version; None: the live one.
        sample: Points to encode again, drawn with a fixed seed.
        mend: Write again what is wrong, and compare once more.

    Returns:
        What is wrong (after mending), and how many points were mended.

    Raises:
        NoIndexError: there is no such version.
        IndexLockedError: another process writes to it.
    """
    version = live_of(project) if name is None else read_version(project.paths.indexes, name)
    dense = project.encoder_of(version)
    with (
        hold_lock(project.paths.ingest_lock, what="ingestion of this project"),
        open_catalog(project) as catalog,
        open_index(
            project.paths.indexes, version=version.name, server=project.settings.server
        ) as index,
    ):
        index.check_encoder(dense)
        target = target_of(index, dense if version.encoder else None)
        found = verify(catalog, target, sample=sample, rng=np.random.default_rng(0))
        if not (mend and found.findings):
            return found, 0
        mended = repair(catalog, target, found.findings)
        return verify(catalog, target, sample=sample, rng=np.random.default_rng(0)), mended


def collect(
    project: Project, *, waiting: bool = False, dry_run: bool = False
) -> tuple[list[Leftover], list[str]]:
    """Remove the versions that nobody needs.

    Args:
        project: The project.
        waiting: Those too that are newer than the live one and never answered.
        dry_run: Remove nothing.

    Returns:
        All versions with what was decided, and the names of those that are removed.

    Raises:
        IndexLockedError: a version is being built.
    """
    with (
        hold_lock(project.paths.build_lock, what=BUILDING),
        open_catalog(project) as catalog,
    ):
        found = survey(project.paths.indexes, catalog, waiting=waiting)
        names = [leftover.name for leftover in found if leftover.kept is None]
        gone = (
            []
            if dry_run
            else remove_versions(
                project.paths.indexes, catalog, names, server=project.settings.server
            )
        )
    return found, gone


def live_of(project: Project) -> IndexVersion:
    """Read the live version.

    Raises:
        NoIndexError: none is live.
    """
    name = live_version(project.paths.indexes)
    if name is None:
        raise NoIndexError("nothing is indexed yet\nhint: run `argot ingest`")
    return read_version(project.paths.indexes, name)


def open_catalog(project: Project) -> Catalog:
    """Open the catalog that knows the project's versions."""
    return Catalog(project.paths.catalog_url(project.settings.catalog.url))
