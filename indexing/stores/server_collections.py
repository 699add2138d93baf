"""A collection of a server as a whole: made, described, indexed, named by an alias, removed.

A collection is filled without a search graph, and ``build_graph`` builds it once all is there:
building it while points arrive costs the server several times the work and the memory.
"""

import logging
from collections.abc import Mapping
from functools import partial
from typing import Any

from qdrant_client import models

from indexing.errors import NoIndexError, StoreError
from indexing.stores.base import CollectionSpec
from indexing.stores.server_connection import Connection
from indexing.stores.server_forms import SPARSE, check_kind, dense_config

DESCRIPTION = "argot"
"""Key of our description in a collection's metadata."""

GRAPH = models.HnswConfigDiff(m=16, ef_construct=100)
"""Links for each point, and candidates while building; where a vector does not say."""

FIRST_POLL_SECONDS, LONGEST_POLL_SECONDS, SAY_EVERY_SECONDS = 0.1, 5.0, 10.0

logger = logging.getLogger(__name__)


def create_collection(
    connection: Connection,
    collection: str,
    *,
    spec: CollectionSpec,
    description: Mapping[str, Any] | None = None,
) -> None:
    """Make an empty collection, indexes of the payload included; StoreError if there is one."""
    client, settings = connection.client, connection.settings
    if exists(connection, collection):
        raise StoreError(
            f"a new collection needs an unused name; {collection!r} exists\n"
            "hint: another project may use this server; give each its own `collection_prefix`"
        )
    without_graph = {
        name: params.model_copy(update={"hnsw_config": models.HnswConfigDiff(m=0)})
        for name, params in dense_config(spec).items()
    }
    connection.call_once(
        lambda: client.create_collection(
            collection,
            vectors_config=without_graph,
            sparse_vectors_config={SPARSE: models.SparseVectorParams(modifier=models.Modifier.IDF)},
            shard_number=settings.shard_number,
            replication_factor=settings.replication_factor,
            write_consistency_factor=settings.write_consistency_factor,
            metadata={DESCRIPTION: dict(description)} if description else None,
        ),
        what="create it",
        collection=collection,
    )
    try:
        _index_payload(connection, collection, spec)
    except StoreError:
        delete_collection(connection, collection)  # nothing is in it, and nothing names it
        raise


def exists(connection: Connection, collection: str) -> bool:
    """Tell whether there is a collection of this name."""
    client = connection.client
    return connection.call(
        lambda: client.collection_exists(collection),
        what="tell whether it exists",
        collection=collection,
    )


def check_collection(connection: Connection, collection: str, *, spec: CollectionSpec) -> None:
    """Refuse to open what is not there, NoIndexError, or of another kind, StoreError."""
    if not exists(connection, collection):
        raise NoIndexError(
            f"there must be a collection {collection!r}; found none\n"
            "hint: is `url` in [index] the server's that the index was built on?"
        )
    check_kind(_info(connection, collection).config.params, collection=collection, spec=spec)


def read_description(connection: Connection, collection: str) -> Mapping[str, Any]:
    """Return what the collection was described with; empty where another program made it."""
    metadata = _info(connection, collection).config.metadata or {}
    found = metadata.get(DESCRIPTION)
    return found if isinstance(found, dict) else {}


def build_graph(connection: Connection, collection: str, *, spec: CollectionSpec) -> None:
    """Let the server build what makes searching fast, and wait until it has; StoreError if not."""
    wanted = {name: params.hnsw_config or GRAPH for name, params in dense_config(spec).items()}
    vectors = _info(connection, collection).config.params.vectors
    present = vectors if isinstance(vectors, dict) else {}
    deferred = {
        name: models.VectorParamsDiff(hnsw_config=graph)
        for name, graph in wanted.items()
        if graph.m != 0 and _links(present.get(name)) == 0
    }
    if deferred:
        connection.call(
            lambda: connection.client.update_collection(collection, vectors_config=deferred),
            what="begin to build its graph",
            collection=collection,
        )
    _wait_until_green(connection, collection)


def point_alias(connection: Connection, alias: str, *, collection: str) -> None:
    """Let an alias name a collection from now on, at once, whatever it named before."""
    # Creating it moves it; one that is there need not be deleted first.
    create = models.CreateAliasOperation(
        create_alias=models.CreateAlias(collection_name=collection, alias_name=alias)
    )
    connection.call(
        lambda: connection.client.update_collection_aliases([create]),
        what=f"set the alias {alias!r}",
        collection=collection,
    )


def alias_target(connection: Connection, alias: str) -> str | None:
    """Return the collection that an alias names; None where there is no such alias."""
    aliases = connection.call_soon(
        connection.client.get_aliases, what="list the aliases", collection=alias
    ).aliases
    return next((each.collection_name for each in aliases if each.alias_name == alias), None)


def delete_collection(connection: Connection, collection: str) -> None:
    """Remove a collection and everything in it; one that is not there is no error."""
    client = connection.client
    connection.call(
        lambda: client.delete_collection(collection), what="delete it", collection=collection
    )


def _index_payload(connection: Connection, collection: str, spec: CollectionSpec) -> None:
    # Before any point comes: an index that is made later is not part of the graph.
    client, tenant = connection.client, connection.settings.tenant_field
    keywords = dict.fromkeys((*spec.keyword_fields, *([tenant] if tenant else [])))
    schemas: dict[str, models.PayloadSchemaType | models.KeywordIndexParams] = {
        **dict.fromkeys(keywords, models.PayloadSchemaType.KEYWORD),
        **dict.fromkeys(spec.boolean_fields, models.PayloadSchemaType.BOOL),
    }
    if tenant:
        schemas[tenant] = models.KeywordIndexParams(
            type=models.KeywordIndexType.KEYWORD, is_tenant=True
        )
    for field, schema in schemas.items():
        connection.call(
            partial(client.create_payload_index, collection, field, schema, wait=True),
            what=f"index the payload field {field!r}",
            collection=collection,
        )


def _wait_until_green(connection: Connection, collection: str) -> None:
    """Wait for two green answers in a row: right after a change, the first may be of before."""
    retries, limit = connection.retries, connection.settings.optimize_timeout_seconds
    began = said = retries.now()
    pause, greens, nudged = FIRST_POLL_SECONDS, 0, False
    while True:
        info = _info(connection, collection)
        greens = greens + 1 if info.status == models.CollectionStatus.GREEN else 0
        if greens == 2:
            return
        now = retries.now()
        if info.status == models.CollectionStatus.RED or now - began > limit:
            raise StoreError(
                f"collection {collection!r} must become green within {limit} s; it is "
                f"{info.status.value} after {now - began:.0f} s, optimizer: "
                f"{info.optimizer_status}\nhint: the server's log says why; "
                "`optimize_timeout_seconds` in [index] allows more time"
            )
        if info.status == models.CollectionStatus.GREY and not nudged:
            _nudge(connection, collection)
            nudged = True
        if now - said >= SAY_EVERY_SECONDS:
            said = now
            logger.info("%s: %s", collection, _progress(info))
        retries.sleep(pause)
        pause = min(2 * pause, LONGEST_POLL_SECONDS)


def _nudge(connection: Connection, collection: str) -> None:
    # After a restart the server leaves what is to be optimized until something changes.
    connection.call(
        lambda: connection.client.update_collection(
            collection, optimizers_config=models.OptimizersConfigDiff()
        ),
        what="go on optimizing it",
        collection=collection,
    )


def _progress(info: models.CollectionInfo) -> str:
    indexed, points = info.indexed_vectors_count or 0, info.points_count or 0
    return f"{info.status.value}, {indexed} vectors in the graph, {points} points"


def _info(connection: Connection, collection: str) -> models.CollectionInfo:
    client = connection.client
    return connection.call(
        lambda: client.get_collection(collection), what="describe it", collection=collection
    )


def _links(params: models.VectorParams | None) -> int | None:
    return params.hnsw_config.m if params is not None and params.hnsw_config is not None else None
