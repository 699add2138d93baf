"""Where the points of an index version are: in its own folder, or on a server.

A version says itself where it is, so that a change of settings never makes another collection
answer under its name. The client of the server is imported when a version is on one.
"""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from indexing.errors import IndexingError, NoIndexError, StoreError
from indexing.files.disk import DiskGuard
from indexing.files.lock import hold_lock
from indexing.published.writer import PublishingStore
from indexing.stores.base import CollectionSpec, VectorStore
from indexing.stores.server_settings import ServerSettings
from indexing.versions.description import IndexVersion, version_from, version_record

if TYPE_CHECKING:
    from indexing.stores.server_connection import Connection

EMBEDDED = ServerSettings()
"""No server."""

MARK = "mark"
"""File in a version's folder and key of its collection's description: they belong together."""

IDENTITY = ("name", "created", "encoder", "dimensions")
"""What a version's description and its collection's must agree in."""


def create_store(
    indexes: Path,
    version: IndexVersion,
    *,
    spec: CollectionSpec,
    server: ServerSettings = EMBEDDED,
    disk: DiskGuard | None = None,
) -> VectorStore:
    """Make the empty collection of a version, where the version says that it is.

    Args:
        indexes: The folder of all versions.
        version: Its ``collection`` is a name on the server, or empty.
        spec: What the collection holds.
        server: The server.
        disk: Guards the disk of an embedded version.

    Returns:
        The open store.
    """
    if not version.collection:
        return PublishingStore.create(indexes / version.name, spec=spec, disk=disk)
    from indexing.stores.server import ServerStore

    mark = _take_name(indexes, version.name)
    connection = connect_to(server, purpose=f"make index {version.name}")
    try:
        return ServerStore.create(
            connection,
            collection=version.collection,
            spec=spec,
            description={**version_record(version), MARK: mark},
        )
    except BaseException:
        connection.close()
        raise


def open_store(
    indexes: Path,
    version: IndexVersion,
    *,
    spec: CollectionSpec,
    server: ServerSettings = EMBEDDED,
    disk: DiskGuard | None = None,
) -> VectorStore:
    """Open the collection of a version, where the version says that it is.

    Args:
        indexes: The folder of all versions.
        version: The version.
        spec: What the collection holds.
        server: The server.
        disk: Guards the disk of an embedded version.

    Returns:
        The open store.

    Raises:
        IndexingError: the collection is that of another version. Also what opening raises:
            NoIndexError, IndexLockedError, DiskFullError, StoreError.
    """
    if not version.collection:
        return PublishingStore.open(indexes / version.name, spec=spec, disk=disk)
    from indexing.stores.server import ServerStore
    from indexing.stores.server_collections import read_description

    connection = connect_to(server, purpose=f"open index {version.name}")
    try:
        store = ServerStore.open(connection, collection=version.collection, spec=spec)
        _check_same(version, read_description(connection, version.collection))
    except BaseException:
        connection.close()
        raise
    return store


def remove_store(version: IndexVersion, *, server: ServerSettings = EMBEDDED) -> None:
    """Remove what a version has on a server; nothing of one that is embedded."""
    if version.collection:
        from indexing.stores.server_collections import delete_collection

        with connect_to(server, purpose=f"remove index {version.name}") as connection:
            delete_collection(connection, version.collection)


def remove_unfinished(indexes: Path, name: str, *, server: ServerSettings = EMBEDDED) -> None:
    """Remove what a version that was never finished left on a server."""
    noted = indexes / name / MARK
    if not server.url or not noted.is_file():
        return
    from indexing.stores.server_collections import delete_collection, exists, read_description

    collection = server.collection_of(name)
    with connect_to(server, purpose=f"remove index {name}") as connection:
        # Another project's collection may have the name; only this one's has the mark.
        if exists(connection, collection):
            found = read_description(connection, collection).get(MARK)
            if found == noted.read_text(encoding="ascii"):
                delete_collection(connection, collection)


def publish(version: IndexVersion, *, server: ServerSettings = EMBEDDED) -> None:
    """Let the server's alias name the version that answers; nothing for one that is embedded."""
    if version.collection:
        from indexing.stores.server_collections import point_alias

        with connect_to(server, purpose=f"publish index {version.name}") as connection:
            point_alias(connection, server.live_alias, collection=version.collection)


def published_version(server: ServerSettings) -> IndexVersion:
    """Read from the server which version answers: for a machine that only searches.

    Args:
        server: With a ``url``.

    Raises:
        NoIndexError: no version is published there.
        IndexingError: it needs a file that only the machine that ingests has.
    """
    from indexing.stores.server_collections import alias_target, read_description

    with connect_to(server, purpose="find the live index") as connection:
        collection = alias_target(connection, server.live_alias)
        if collection is None:
            raise NoIndexError(
                f"nothing is indexed yet: the server has no alias {server.live_alias!r}\n"
                "hint: run `argot ingest`, or set the `collection_prefix` that it was run with"
            )
        record = {**read_description(connection, collection)}
    record.pop(MARK, None)
    version = version_from(record, where=f"collection {collection}")
    if version.reduction.projection != "none":
        raise IndexingError(
            f"index {version.name} needs its projection, which is not on the server\n"
            "hint: copy .argot/indexes from the machine that ingests"
        )
    return version


def connect_to(server: ServerSettings, *, purpose: str) -> "Connection":
    """Connect to the configured server.

    Args:
        server: With a ``url``.
        purpose: For the message, such as ``open index docs-0001``.

    Raises:
        StoreError: no server is configured, or its client is not installed.
    """
    if not server.url:
        raise StoreError(
            f"to {purpose}, which is on a server, `url` must be set in [index]; it is not\n"
            "hint: set it, or the variable ARGOT_INDEX__URL, to the server's URL"
        )
    if find_spec("qdrant_client") is None or find_spec("tenacity") is None:
        raise StoreError(
            f"to {purpose} on a server, its client must be installed; it is not\n"
            "hint: pip install 'argot-search[server]'"
        )
    from indexing.stores.server_connection import connect

    return connect(server)


def _take_name(indexes: Path, name: str) -> str:
    """Keep a name from other versions, whatever becomes of this one; return what proves it ours."""
    mark = uuid4().hex
    (indexes / name).mkdir(parents=True, exist_ok=True)
    hold_lock(indexes / f"{name}.lock", what=f"index {name}").release()
    (indexes / name / MARK).write_text(mark, encoding="ascii")
    return mark


def _check_same(version: IndexVersion, found: Mapping[str, Any]) -> None:
    wanted = version_record(version)
    other = [name for name in IDENTITY if found.get(name) != wanted.get(name)]
    if other:
        raise IndexingError(
            f"collection {version.collection!r} must be that of index {version.name}; its "
            f"description has another {', '.join(other)}\n"
            "hint: another project may use this server; give each its own `collection_prefix`"
        )
