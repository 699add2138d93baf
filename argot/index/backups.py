"""Keep the live index in one file, and bring one back from it."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from argot.index.versions import live_of, open_catalog
from argot.project import Project
from argot.version_encoder import vector_settings
from indexing.backup.reading import Backup
from indexing.backup.transfer import transfer
from indexing.backup.writing import BackupReport, write_backup
from indexing.errors import IndexingError, LiveIndexError
from indexing.files.lock import hold_lock
from indexing.reduction.projection import FILE as PROJECTION_FILE
from indexing.versions.collection import engine_name, open_index, projection_of, spec_of
from indexing.versions.description import (
    IndexVersion,
    live_version,
    next_version_name,
    read_version,
    write_version,
)
from indexing.versions.placement import create_store
from indexing.versions.switching import go_live

INGESTION = "ingestion of this project"


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreReport:
    """What a restoring did."""

    version: str
    """The new one, live."""

    origin: str
    """The version that the file was made of."""

    before: str | None
    """The version that was live; it stays, as the way back."""

    points: int
    rows: int


def back_up(
    project: Project,
    file: Path,
    *,
    name: str | None = None,
    tell: Callable[[int], None] | None = None,
) -> BackupReport:
    """Write a version, and what the catalog knows of it, into a new file.

    Args:
        project: The project.
        file: Complete or not there, whatever happens.
        name: The version; None: the live one.
        tell: Told now and then how many points are written.

    Returns:
        What the file holds.

    Raises:
        NoIndexError: there is no such version.
        IndexLockedError: an ingestion is running.
    """
    indexes, server = project.paths.indexes, project.settings.server
    version = live_of(project) if name is None else read_version(indexes, name)
    with (
        hold_lock(project.paths.ingest_lock, what=INGESTION),
        open_catalog(project) as catalog,
        open_index(indexes, version=version.name, server=server) as index,
    ):
        rows = catalog.rows(version=version.name).read()
        return write_backup(file, index, folder=indexes / version.name, rows=rows, tell=tell)


def restore(
    project: Project,
    file: Path,
    *,
    force: bool = False,
    tell: Callable[[int], None] | None = None,
) -> RestoreReport:
    """Make a version of a backup, compare every point, and let it answer.

    It is a new version where the settings say, embedded or on a server, whatever the backup was
    made of; nothing that is there is written over.

    Args:
        project: The project; it needs neither sources nor encoder for this.
        file: The backup.
        force: Let it answer in place of a version that is live.
        tell: Told now and then how many points have been looked at; comparing begins again at 0.

    Returns:
        What was done.

    Raises:
        IndexingError: the file is damaged.
        LiveIndexError: a version is live.
        IndexLockedError: an ingestion is running.
    """
    paths = project.paths
    paths.make_state()
    with hold_lock(paths.ingest_lock, what=INGESTION), Backup.open(file) as backup:
        before = live_version(paths.indexes)
        if before is not None and not force:
            raise LiveIndexError(
                f"a backup takes the place of a live index only if told so; {before} is live\n"
                "hint: --force; the present version then stays, and `argot index rollback` returns"
            )
        version = _restored(project, backup, tell)
        configured = vector_settings(project.settings.encoder)
        go_live(paths.indexes, version.name, configured=configured, server=project.settings.server)
    return RestoreReport(
        version=version.name,
        origin=backup.version.name,
        before=before,
        points=backup.count,
        rows=backup.row_count,
    )


def _restored(project: Project, backup: Backup, tell: Callable[[int], None] | None) -> IndexVersion:
    indexes, server = project.paths.indexes, project.settings.server
    with open_catalog(project) as catalog:
        known = catalog.versions()
    name = next_version_name(indexes, encoder=backup.version.encoder, known=known)
    version = replace(
        backup.version,
        name=name,
        collection=server.collection_of(name) if server.url else "",
        engine=engine_name(server),
    )
    spec = spec_of(version)
    with closing(create_store(indexes, version, spec=spec, server=server)) as store:
        if version.projection_digest is not None:
            (indexes / name / PROJECTION_FILE).write_bytes(backup.member(PROJECTION_FILE))
            projection_of(indexes, version)  # checks its digest
        done = transfer(backup.points, store, tell=tell)
    if done.points != backup.count:
        raise IndexingError(
            f"{backup.file} must hold the {backup.count} points that it names; got {done.points}"
        )
    with open_catalog(project) as catalog:
        catalog.rows(version=name).write(backup.rows())
    write_version(indexes, version)
    return version
