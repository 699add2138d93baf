"""An index version that is open: its description, its store, and the check of its encoder."""

import logging
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version as package_version
from pathlib import Path
from typing import Any, Self

from encoder.base import DenseEncoder, FloatArray
from encoder.truncation import truncate
from indexing.errors import NoIndexError, WrongEncoderError
from indexing.files.disk import DiskGuard
from indexing.reduction.projection import (
    Projection,
    fit_projection,
    read_projection,
    write_projection,
)
from indexing.reduction.reduced_encoder import ReducedEncoder
from indexing.reduction.settings import ReductionSettings
from indexing.stores.base import CollectionSpec, VectorStore
from indexing.stores.server_settings import ServerSettings
from indexing.versions.canaries import check_canaries, make_canaries
from indexing.versions.description import (
    IndexVersion,
    live_version,
    next_version_name,
    read_version,
    write_version,
)
from indexing.versions.placement import EMBEDDED, create_store, open_store, published_version

KEEP_EVERYTHING = ReductionSettings()

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class OpenIndex:
    """An index version and its store; ``close`` it, or use it in a ``with`` statement."""

    version: IndexVersion
    store: VectorStore
    projection: Projection | None = None
    """Of a version whose vectors are projected."""

    def __post_init__(self) -> None:
        if (self.projection is None) != (self.version.projection_digest is None):
            raise ValueError(
                f"`projection` must be given when, and only when, index {self.version.name} has one"
            )

    def encoder_for(self, dense: DenseEncoder) -> DenseEncoder:
        """Wrap the version's encoder so that it gives vectors as they are stored and searched.

        Whatever encodes documents or queries for this version does it through this.
        """
        if self.projection is None or isinstance(dense, ReducedEncoder):
            return dense
        return ReducedEncoder(dense, self.projection)

    def vector_as_stored(self, vector: FloatArray) -> FloatArray:
        """Reduce a vector ``[D]`` of the encoder as the version's are: ``[W]``, unit norm.

        One that is reduced already is fine, if D is not W.

        Raises:
            ValueError: it is of another width.
        """
        widths = (self.version.full_dimensions, self.version.dimensions)
        if len(vector) not in widths:
            wanted = " or ".join(dict.fromkeys(str(width or 0) for width in widths))
            raise ValueError(
                f"a vector for index {self.version.name} must have {wanted} dimensions; "
                f"got {len(vector)}"
            )
        if self.projection is not None and len(vector) == widths[0]:
            vector = self.projection.apply(vector[None])[0]
        reduced: FloatArray = truncate(vector[None], self.version.dimensions)[0]
        return reduced

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
                "hint: configure that encoder, or build a version with this one: "
                "`argot index build`, then `argot index promote`"
            )
        check_canaries(self.version, self.encoder_for(dense))

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
    reduction: ReductionSettings = KEEP_EVERYTHING,
    sample: Sequence[str] = (),
    chunker: Mapping[str, Any],
    bm25: Mapping[str, Any],
    encoder_settings: Mapping[str, Any] | None = None,
    built_from: str | None = None,
    known: Collection[str] = (),
    server: ServerSettings = EMBEDDED,
    disk: DiskGuard | None = None,
) -> OpenIndex:
    """Make an empty index version, which is not live yet.

    Args:
        indexes: The folder of all versions; made where it is missing.
        dense: The encoder that the version is bound to; None: words only.
        reduction: How the vectors are made smaller; of no effect without an encoder.
        sample: Texts of chunks, as they are encoded, that a projection is fitted on.
        chunker: Settings that the documents are split with, plain JSON.
        bm25: Settings that the terms are weighed with, plain JSON.
        encoder_settings: What was said about the encoder, plain JSON; None: nothing.
        built_from: Name of the version whose chunks it will hold; None: those of the sources.
        known: Versions that the catalog knows, whose names are taken.
        server: Where the version is made; without a ``url``, it is embedded.
        disk: Guards the disk; None: the usual reserve.

    Returns:
        The open version.

    Raises:
        ValueError: The encoder has too few dimensions for the reduction.
        IndexingError: The sample is too small for the projection; or what making a store raises.
    """
    if dense is None:
        reduction = KEEP_EVERYTHING
    width = reduction.width(dense.dimensions) if dense else None
    projection = _fit(dense, sample, reduction=reduction) if dense else None
    reduced = ReducedEncoder(dense, projection) if dense and projection else dense
    # Fitting takes its time; a version that another process made meanwhile has its name.
    fingerprint = dense.fingerprint if dense else None
    name = next_version_name(indexes, encoder=fingerprint, known=known)
    version = IndexVersion(
        name=name,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        encoder=fingerprint,
        dimensions=width,
        full_dimensions=dense.dimensions if dense else None,
        chunker=chunker,
        bm25=bm25,
        engine=engine_name(server),
        reduction=reduction,
        canaries=make_canaries(reduced, width) if reduced else (),
        encoder_settings=dict(encoder_settings or {}),
        built_from=built_from,
        collection=server.collection_of(name) if server.url else "",
    )
    with ExitStack() as undo:
        spec = spec_of(version)
        made = create_store(indexes, version, spec=spec, server=server, disk=disk)
        store = undo.enter_context(closing(made))
        if projection is not None:
            digest = write_projection(indexes / name, projection)
            version = replace(version, projection_digest=digest)
        write_version(indexes, version)
        undo.pop_all()
    return OpenIndex(version, store, projection)


def open_index(
    indexes: Path,
    *,
    version: str | None = None,
    server: ServerSettings = EMBEDDED,
    disk: DiskGuard | None = None,
) -> OpenIndex:
    """Open a version: an embedded one for this process alone, one on a server for any number.

    Args:
        indexes: The folder of all versions.
        version: Its name; None: the live one, of which a folder that knows none asks the server.
        server: Where versions are that are not embedded.
        disk: Guards the disk; None: the usual reserve.

    Returns:
        The open version.

    Raises:
        NoIndexError: No version is live, or none has this name.
        IndexingError: Its description or its projection is damaged. Also what opening the store
            raises: IndexLockedError, DiskFullError, StoreError.
    """
    described = _described(indexes, version, server)
    projection = projection_of(indexes, described)
    store = open_store(indexes, described, spec=spec_of(described), server=server, disk=disk)
    return OpenIndex(described, store, projection)


def engine_name(server: ServerSettings) -> str:
    """Name what makes the collection of a new version."""
    embedded = f"qdrant-edge-py {package_version('qdrant-edge-py')}"
    return "Qdrant server" if server.url else embedded


def _described(indexes: Path, version: str | None, server: ServerSettings) -> IndexVersion:
    name = version or live_version(indexes)
    if name is not None:
        return read_version(indexes, name)
    if server.url:
        return published_version(server)
    raise NoIndexError(f"nothing is indexed yet in {indexes}\nhint: run `argot ingest`")


def spec_of(version: IndexVersion) -> CollectionSpec:
    """Return what the collection of a version holds, for any engine."""
    reduction = version.reduction
    return CollectionSpec(
        dimensions=version.dimensions,
        storage=reduction.storage,
        quantization=reduction.quantization,
        oversampling=reduction.oversampling,
        small_dimensions=reduction.two_stage,
    )


def projection_of(indexes: Path, version: IndexVersion) -> Projection | None:
    """Read a version's projection, from its file in ``indexes/NAME``; None if it has none.

    Raises:
        IndexingError: The file is missing or damaged.
    """
    full, width = version.full_dimensions, version.dimensions
    if version.reduction.projection == "none" or full is None or width is None:
        return None
    folder, digest = indexes / version.name, version.projection_digest
    return read_projection(folder, digest=digest, full=full, width=width)


def _fit(
    dense: DenseEncoder, sample: Sequence[str], *, reduction: ReductionSettings
) -> Projection | None:
    if reduction.projection == "none":
        return None
    logger.info("fitting the projection %s on %d chunks", reduction.projection, len(sample))
    vectors = dense.encode_documents(sample)
    return fit_projection(vectors, kind=reduction.projection, dimensions=reduction.dimensions)
