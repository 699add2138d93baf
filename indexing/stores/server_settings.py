"""Which Qdrant server holds index versions, and how it is spoken to. No client is imported."""

import ipaddress
import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

_PREFIX = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_FIELD = re.compile(r"[\w-]+(?:\.[\w-]+)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """A Qdrant server or cluster; without ``url``, new index versions are embedded."""

    url: str = ""
    """``https://HOST:6333``; empty: no server."""

    api_key: str = field(default="", repr=False)
    """Better as the variable ``ARGOT_INDEX__API_KEY`` than in a file."""

    ca_file: str = ""
    """PEM file of the authority that signed the server's certificate; empty: the system's."""

    collection_prefix: str = "argot-"
    """Begins the name of every collection; projects that share a server each need their own."""

    prefer_grpc: bool = False
    """Send points and queries over gRPC, which takes fewer bytes and less time."""

    grpc_port: int = 6334
    """The server's port for gRPC."""

    timeout_seconds: int = 60
    """One request may take that long."""

    optimize_timeout_seconds: int = 3600
    """Building the search graph after a bulk load may take that long."""

    replication_factor: int | None = None
    """Copies of each shard; None: as the server is configured."""

    shard_number: int | None = None
    """Shards of a collection; None: as the server is configured."""

    write_consistency_factor: int | None = None
    """Copies that must have a write before it counts; None: as the server is configured."""

    tenant_field: str = ""
    """Payload field, such as ``metadata.customer``, that nearly every search filters by: the
    server then stores the points of one value together. Empty: none."""

    def __post_init__(self) -> None:
        if self.url:
            _check_url(self.url)
        if not _PREFIX.fullmatch(self.collection_prefix):
            raise ValueError(
                "`collection_prefix` must be 1 to 64 letters, digits, `_`, `.` or `-`, the first "
                f"a letter or digit; got {self.collection_prefix!r}"
            )
        for name in ("timeout_seconds", "optimize_timeout_seconds", "grpc_port"):
            _check_positive(name, getattr(self, name))
        for name in ("replication_factor", "shard_number", "write_consistency_factor"):
            if getattr(self, name) is not None:
                _check_positive(name, getattr(self, name))
        needed, copies = self.write_consistency_factor, self.replication_factor
        if needed is not None and copies is not None and needed > copies:
            raise ValueError(
                "`write_consistency_factor` must be at most `replication_factor`; got "
                f"{needed} of {copies}"
            )
        if self.tenant_field and not _FIELD.fullmatch(self.tenant_field):
            raise ValueError(
                "`tenant_field` must be a payload field such as metadata.customer; got "
                f"{self.tenant_field!r}"
            )
        if self.ca_file and not Path(self.ca_file).is_file():
            raise ValueError(f"`ca_file` must be a PEM file; there is none at {self.ca_file}")

    @property
    def sends_key_in_clear(self) -> bool:
        """The key crosses a network unencrypted."""
        address = urlsplit(self.url)
        return bool(self.api_key) and address.scheme == "http" and not _is_loopback(address)

    @property
    def live_alias(self) -> str:
        """Alias of the collection that answers."""
        return f"{self.collection_prefix}live"

    def collection_of(self, version: str) -> str:
        """Name of the collection that holds an index version."""
        return f"{self.collection_prefix}{version}"


def _check_url(url: str) -> None:
    # No message repeats the URL, or a part of it: it may hold a password where it should not.
    if not _is_plain_url(url):
        raise ValueError(
            "`url` must be http:// or https://, a host, and a port where it is not 6333, such as "
            "https://qdrant.example.com:6333"
        )
    if "@" in url:
        raise ValueError("`url` must hold no user or password; the key belongs in `api_key`")


def _is_plain_url(url: str) -> bool:
    try:
        address = urlsplit(url)
        port = address.port
    except ValueError:
        return False
    has_host = address.scheme in ("http", "https") and bool(address.hostname)
    return has_host and port != 0 and not address.query and not address.fragment


def _check_positive(name: str, value: int) -> None:
    if value < 1:
        raise ValueError(f"`{name}` must be at least 1; got {value}")


def _is_loopback(address: SplitResult) -> bool:
    host = address.hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
