"""Move the live index from its folder to a Qdrant server, without embedding anything again."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace

from argot.errors import SettingsError
from argot.index.versions import live_of, open_catalog
from argot.project import Project
from argot.settings import FILE
from argot.settings_edit import edit_table
from indexing.backup.transfer import TransferReport, transfer
from indexing.errors import NoIndexError
from indexing.files.lock import hold_lock
from indexing.reduction.projection import write_projection
from indexing.stores.base import VectorStore
from indexing.stores.server_settings import ServerSettings
from indexing.versions.collection import engine_name, open_index, spec_of
from indexing.versions.description import IndexVersion, live_record, write_version
from indexing.versions.placement import create_store, open_store
from indexing.versions.switching import go_live

SUFFIX = "-server"
"""Ends the name of a version that was moved: the same one each time, so a move goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GrowReport:
    """What a move did."""

    version: str
    """On the server."""

    before: str
    """In its folder still, as the way back."""

    collection: str
    transfer: TransferReport
    live: bool
    """The version on the server answers now; False: the settings do not name the server."""


def grow(
    project: Project,
    *,
    url: str,
    write: bool = False,
    tell: Callable[[int], None] | None = None,
) -> GrowReport:
    """Copy the live version to a server, compare every point, and let that one answer.

    It answers only where [index] names the server, so that every process finds it. A move that was
    broken off goes on where it was, and one that is done already only takes what has changed since.

    Args:
        project: The project; [index] has the other settings of the server.
        url: The server's.
        write: Write the URL into argot.toml.
        tell: Told now and then how many points have been looked at; comparing begins again at 0.

    Returns:
        What was done.

    Raises:
        SettingsError: the URL is wrong, or the live version is on a server already.
        IndexLockedError: an ingestion is running.
        StoreError: the server failed, or does not hold what it was given.
    """
    server = with_url(project.settings.server, url)
    live = live_of(project)
    if live.collection:
        raise SettingsError(
            f"the index to move must be embedded; {live.name} is on a server, in collection "
            f"{live.collection!r}\nhint: `argot index backup` and `restore` move it anywhere"
        )
    grown = replace(
        live,
        name=f"{live.name}{SUFFIX}",
        collection=server.collection_of(f"{live.name}{SUFFIX}"),
        engine=engine_name(server),
    )
    with hold_lock(project.paths.ingest_lock, what="ingestion of this project"):
        done = _copy(project, grown, live=live, server=server, tell=tell)
        if write:
            edit_table(project.paths.root / FILE, "index", {"url": url})
        named = write or project.settings.server.url == url
        if named:
            record = live_record(project.paths.indexes)
            configured = record.configured if record else None
            go_live(project.paths.indexes, grown.name, configured=configured, server=server)
    return GrowReport(
        version=grown.name,
        before=live.name,
        collection=grown.collection,
        transfer=done,
        live=named,
    )


def with_url(server: ServerSettings, url: str) -> ServerSettings:
    """Name a server in settings.

    Raises:
        SettingsError: the URL is none.
    """
    try:
        chosen = replace(server, url=url)
    except ValueError as exc:
        raise SettingsError(str(exc)) from exc
    if not url:
        raise SettingsError("the URL of the server must not be empty")
    return chosen


def _copy(
    project: Project,
    grown: IndexVersion,
    *,
    live: IndexVersion,
    server: ServerSettings,
    tell: Callable[[int], None] | None,
) -> TransferReport:
    indexes = project.paths.indexes
    with (
        open_index(indexes, version=live.name) as index,
        open_catalog(project) as catalog,
    ):
        (indexes / grown.name).mkdir(parents=True, exist_ok=True)
        if index.projection is not None:
            write_projection(indexes / grown.name, index.projection)
        with closing(_open_or_create(project, grown, server)) as store:
            done = transfer(index.store.scan, store, tell=tell)
        # Last what makes it count: until then, a move that is broken off leaves nothing behind.
        catalog.rows(version=grown.name).copy_from(live.name)
        write_version(indexes, grown)
    return done


def _open_or_create(project: Project, version: IndexVersion, server: ServerSettings) -> VectorStore:
    spec = spec_of(version)
    try:
        return open_store(project.paths.indexes, version, spec=spec, server=server)
    except NoIndexError:
        return create_store(project.paths.indexes, version, spec=spec, server=server)
