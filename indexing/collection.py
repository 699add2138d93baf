"""An index version that is open: its description, its store, and the check of its encoder."""

import logging
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version as package_version
from pathlib import Path
from typing import Any, Self

import numpy as np

from encoder.base import DenseEncoder, FloatArray
from indexing.disk import DiskGuard
from indexing.errors import NoIndexError, WrongEncoderError
from indexing.stores.base import CollectionSpec, VectorStore
from indexing.stores.edge import EdgeStore
from indexing.versions import (
    Canary,
    IndexVersion,
    live_version,
    next_version_name,
    read_version,
    write_version,
)

CANARY_TEXTS = (
    "Employees may take twenty-five days of paid leave per calendar year.",
    "def read(path: str) -> bytes: return open(path, 'rb').read()",
    "Die Lieferung erfolgt innerhalb von 14 Werktagen; 退货需在三十天内办理。",
    "Invoice E-4031: 20 screws M8 x 60, DIN 933; EUR 12.50",
)
"""Encoded again whenever a version is opened: prose, code, other scripts, numbers."""

MIN_CANARY_COSINE = 0.99
"""Leaves room for the rounding of another compute dtype, which is not in the fingerprint."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class OpenIndex:
    """An index version and its store; ``close`` it, or use it in a ``with`` statement."""

    version: IndexVersion
    store: VectorStore

    def check_encoder(self, dense: DenseEncoder | None) -> None:
        """Refuse an encoder whose vectors are not those of the index.

        Args:
            dense: The encoder that queries or documents will be encoded with.

        Raises:
            WrongEncoderError: It is another one, it computes other vectors, or there is none.
        """
        built = self.version.encoder
        if built is None:
            logger.info("index %s has no vectors: it is searched by words", self.version.name)
            return
        got = None if dense is None else dense.fingerprint
        if dense is None or got != built:
            raise WrongEncoderError(
                f"index {self.version.name} was built by encoder {built[:12]}; "
                f"this one is {got[:12] if got else 'none'}\n"
                "hint: configure that encoder, or build the index again with this one"
            )
        cosines = _canary_cosines(self.version, dense)
        if cosines.min() < MIN_CANARY_COSINE:
            raise WrongEncoderError(
                f"encoder {built[:12]} must give the vectors it gave when index "
                f"{self.version.name} was built; the cosine of a test text is "
                f"{cosines.min():.4f}, below {MIN_CANARY_COSINE}\n"
                "hint: its files or the libraries it runs on have changed; build the index again"
            )

    def close(self) -> None:
        """Flush the store and let its lock go; once more is fine."""
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def create_index(
    indexes: Path,
    *,
    dense: DenseEncoder | None,
    dimensions: int | None = None,
    chunker: Mapping[str, Any],
    bm25: Mapping[str, Any],
    disk: DiskGuard | None = None,
) -> OpenIndex:
    """Make an empty index version, which is not live yet.

    Args:
        indexes: The folder of all versions; made where it is missing.
        dense: The encoder that the version is bound to; None: words only.
        dimensions: Width of the vectors to store; None: all of the encoder's.
        chunker: Settings that the documents are split with, plain JSON.
        bm25: Settings that the terms are weighed with, plain JSON.
        disk: Guards the disk; None: the usual reserve.

    Returns:
        The open version.
    """
    name = next_version_name(indexes, encoder=dense.fingerprint if dense else None)
    width = (dimensions or dense.dimensions) if dense else None
    version = IndexVersion(
        name=name,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        encoder=dense.fingerprint if dense else None,
        dimensions=width,
        full_dimensions=dense.dimensions if dense else None,
        chunker=chunker,
        bm25=bm25,
        engine=f"qdrant-edge-py {package_version('qdrant-edge-py')}",
        canaries=_canaries(dense, width) if dense else (),
    )
    spec = CollectionSpec(dimensions=width)
    with ExitStack() as undo:
        store = undo.enter_context(EdgeStore.create(indexes / name, spec=spec, disk=disk))
        write_version(indexes, version)
        undo.pop_all()
    return OpenIndex(version, store)


def open_index(
    indexes: Path, *, version: str | None = None, disk: DiskGuard | None = None
) -> OpenIndex:
    """Open a version, for this process alone.

    Args:
        indexes: The folder of all versions.
        version: Its name; None: the live one.
        disk: Guards the disk; None: the usual reserve.

    Returns:
        The open version.

    Raises:
        NoIndexError: No version is live, or none has this name. Also what opening the store
            raises: IndexLockedError, DiskFullError, StoreError.
    """
    name = version or live_version(indexes)
    if name is None:
        raise NoIndexError(f"nothing is indexed yet in {indexes}\nhint: run `argot ingest`")
    described = read_version(indexes, name)
    spec = CollectionSpec(dimensions=described.dimensions)
    return OpenIndex(described, EdgeStore.open(indexes / name, spec=spec, disk=disk))


def _canaries(dense: DenseEncoder, dimensions: int | None) -> tuple[Canary, ...]:
    vectors = dense.encode_documents(CANARY_TEXTS, dimensions=dimensions)
    rounded = [tuple(float(f"{x:.6g}") for x in vector) for vector in vectors.tolist()]
    return tuple(Canary(*pair) for pair in zip(CANARY_TEXTS, rounded, strict=True))


def _canary_cosines(version: IndexVersion, dense: DenseEncoder) -> FloatArray:
    texts = [canary.text for canary in version.canaries]
    now = dense.encode_documents(texts, dimensions=version.dimensions)
    then = np.asarray([canary.vector for canary in version.canaries], dtype=np.float32)
    # Of unit vectors; two that truncation left at zero agree as well.
    return np.asarray(1 - ((now - then) ** 2).sum(axis=1) / 2, dtype=np.float32)
