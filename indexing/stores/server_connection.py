"""A connection to a Qdrant server: made from settings, and every call through one door."""

import logging
import ssl
import warnings
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version as package_version
from pathlib import Path
from typing import Any, Self, TypeVar

from qdrant_client import QdrantClient

from indexing.errors import IndexingError, StoreError
from indexing.stores.retries import RetryPolicy, status_of
from indexing.stores.server_settings import ServerSettings

Result = TypeVar("Result")

SEARCH_DEADLINE_SECONDS = 15.0
"""Somebody waits for a search: it is tried again, but not for minutes."""

HINTS = {
    401: "set `api_key` in [index], or the variable ARGOT_INDEX__API_KEY",
    403: "the key must be allowed to do that; a read-only key can only search",
    404: "is `url` in [index] the server's, and `collection_prefix` the project's?",
    413: "the server's `max_request_size_mb` is too small for a point this large",
    507: "the server's disk is full",
    "UNAUTHENTICATED": "set `api_key` in [index], or the variable ARGOT_INDEX__API_KEY",
    "PERMISSION_DENIED": "the key must be allowed to do that; a read-only key can only search",
}

logger = logging.getLogger(__name__)


class Connection:
    """A client with its settings; closing twice is fine."""

    def __init__(
        self,
        client: QdrantClient,
        *,
        settings: ServerSettings | None = None,
        retries: RetryPolicy | None = None,
    ) -> None:
        self.client = client
        self.settings = settings or ServerSettings()
        self.retries = retries or RetryPolicy()

    def call(self, action: Callable[[], Result], *, what: str, collection: str) -> Result:
        """Call what has the same effect twice, and so may be repeated; StoreError if it fails."""
        return self._attempt(action, self.retries, what, collection)

    def call_soon(self, action: Callable[[], Result], *, what: str, collection: str) -> Result:
        """As `call`, for a search: with a deadline that suits somebody who waits."""
        deadline = min(SEARCH_DEADLINE_SECONDS, self.retries.deadline_seconds)
        policy = replace(self.retries, deadline_seconds=deadline)
        return self._attempt(action, policy, what, collection)

    def call_once(self, action: Callable[[], Result], *, what: str, collection: str) -> Result:
        """Call what must not, or need not, be repeated; StoreError if it fails."""
        return self._attempt(action, replace(self.retries, attempts=1), what, collection)

    def _attempt(
        self, action: Callable[[], Result], policy: RetryPolicy, what: str, collection: str
    ) -> Result:
        try:
            return policy.run(action, what=f"{what} in collection {collection}")
        except IndexingError:
            raise
        except Exception as exc:
            raise StoreError(
                f"collection {collection!r}: the server could not {what}: "
                f"{type(exc).__name__}: {exc}\nhint: {_hint(exc)}"
            ) from exc

    def close(self) -> None:
        """Let the connection go."""
        self.client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def connect(settings: ServerSettings, *, retries: RetryPolicy | None = None) -> Connection:
    """Make a connection; nothing is sent yet.

    Args:
        settings: With a ``url``.
        retries: How calls are repeated.

    Returns:
        The connection; close it.

    Raises:
        StoreError: the certificate of the authority can't be read.
    """
    if settings.sends_key_in_clear:
        logger.warning(
            "`url` in [index] is http:// and not this machine: the key and all texts cross the "
            "network unencrypted; use https://"
        )
    options = _tls(settings) if settings.ca_file else {}
    with warnings.catch_warnings():
        # Ours is above, and knows a loopback address.
        warnings.filterwarnings("ignore", message="Api key is used with an insecure connection")
        client = QdrantClient(
            url=settings.url,
            api_key=settings.api_key or None,
            timeout=settings.timeout_seconds,
            prefer_grpc=settings.prefer_grpc,
            grpc_port=settings.grpc_port,
            # It warns from a thread of its own; `argot doctor` compares the versions.
            check_compatibility=False,
            **options,
        )
    return Connection(client, settings=settings, retries=retries)


def check_server(connection: Connection) -> str:
    """Ask a server which version it is, and whether the key is right.

    Args:
        connection: To the server.

    Returns:
        Its version.

    Raises:
        StoreError: it does not answer, refuses the key, or is too far from the client's version.
    """
    client = connection.client
    found = connection.call_once(client.info, what="tell its version", collection="any").version
    connection.call_once(client.get_collections, what="list collections", collection="any")
    ours = package_version("qdrant-client")
    if abs(_minor(ours) - _minor(found)) > 1:
        raise StoreError(
            f"client and server must be at most one minor version apart; qdrant-client is {ours}, "
            f"the server {found}\nhint: bring the older one up, one minor version at a time"
        )
    return found


def _minor(version: str) -> int:
    """Number a version by major and minor, so that neighbours differ by one."""
    major, minor = version.split(".")[:2]
    return 1000 * int(major) + int(minor)


def _tls(settings: ServerSettings) -> dict[str, Any]:
    """Trust one authority only, over HTTP and over gRPC."""
    try:
        context = ssl.create_default_context(cafile=settings.ca_file)
        certificate = Path(settings.ca_file).read_bytes()
    except (OSError, ssl.SSLError) as exc:
        raise StoreError(
            f"`ca_file` in [index] must be a PEM file of certificates; {settings.ca_file}: {exc}"
        ) from exc
    return {"verify": context, "grpc_options": {"root_certificates": certificate}}


def _hint(error: Exception) -> str:
    status = status_of(error)
    known = HINTS.get(status if isinstance(status, int) else getattr(status, "name", ""))
    return known or "is it running, and are `url` and `api_key` in [index] right?"
