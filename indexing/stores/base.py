"""The vector store port: what an engine must do, and the forms it is done in.

An adapter only translates. Vectors are cosine; scores are higher for closer. Every adapter passes
``tests/contracts/test_store.py``.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from encoder.base import FloatArray, SparseVector
from indexing.filters import Condition
from indexing.reduction.settings import Quantization, Storage

Payload = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionSpec:
    """What a collection holds; fixed when it is created."""

    dimensions: int | None
    """Width of the dense vectors; None: no dense vectors."""

    storage: Storage = "f32"
    """Of the dense vectors; all but ``f32`` round them."""

    quantization: Quantization = "none"
    """Codes beside the dense vectors that a search begins with."""

    oversampling: float = 3.0
    """Where a search begins with codes or small vectors: candidates for each hit wanted."""

    small_dimensions: int | None = None
    """A search begins with the first so many dimensions; None: with all. Not with codes."""

    keyword_fields: tuple[str, ...] = ("document_id", "source", "access")
    """Payload fields with an exact-match index."""

    boolean_fields: tuple[str, ...] = ("protected",)
    """Payload fields that are true or false, with an index."""

    @property
    def begins_small(self) -> bool:
        """Whether a search begins with codes or small vectors, so that it can rescore."""
        return self.quantization != "none" or self.small_dimensions is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One chunk as the engine stores it."""

    id: str
    """A UUID."""

    dense: FloatArray | None
    """``[D]``; None in a collection without dense vectors."""

    sparse: SparseVector
    payload: Payload
    """Plain JSON values."""


@dataclass(frozen=True, slots=True)
class ScoredPoint:
    """A search result."""

    id: str
    score: float
    payload: Payload
    """Those of its fields that were asked for."""


class VectorStore(Protocol):
    """An open collection of one engine. Not thread-safe; closing twice is fine."""

    @property
    def spec(self) -> CollectionSpec:
        """What the collection holds."""

    def upsert(self, points: Sequence[Point]) -> None:
        """Write points, replacing those with the same id; all are validated before any is written.

        Raises:
            InvalidPointError: a wrong width, a value that is not finite, an id that is no UUID.
            DiskFullError: too little free space.
            StoreError: the engine failed.
        """

    def set_payload(self, payloads: Mapping[str, Payload]) -> None:
        """Replace whole payloads by point id, vectors untouched; absent ids are passed over.

        Raises:
            InvalidPointError: an id that is no UUID or a payload that is not plain JSON values.
            DiskFullError: too little free space.
            StoreError: the engine failed.
        """

    def delete(self, ids: Sequence[str]) -> None:
        """Remove points; an id that is not there is no error."""

    def existing(self, ids: Sequence[str]) -> set[str]:
        """Return those of ``ids`` that are there."""

    def read(self, ids: Sequence[str]) -> list[Point]:
        """Read points as ``scan`` does, in any order; absent ids are passed over."""

    def search_dense(
        self,
        vector: FloatArray,
        *,
        limit: int,
        where: Condition | None = None,
        rescore: bool = True,
        fields: Sequence[str] | None = None,
    ) -> list[ScoredPoint]:
        """Find the nearest points by cosine, best first, ties by id.

        Where the collection has codes or small vectors, those find the candidates, and the scores
        are of the stored vectors all the same. With `rescore` off, what finds them also scores
        and orders them: a code's score need be no cosine. Elsewhere it changes nothing.

        Of the payloads, `fields` of the top level come with the points; None: all of them. To read
        payloads takes longer than the search: ask for those of the hits, by `payloads_of`.
        """

    def search_sparse(
        self,
        vector: SparseVector,
        *,
        limit: int,
        where: Condition | None = None,
        fields: Sequence[str] | None = None,
    ) -> list[ScoredPoint]:
        """Find the points with the highest IDF-weighted dot product, best first, ties by id.

        `fields` are as for `search_dense`.
        """

    def payloads(self, where: Condition, *, limit: int) -> dict[str, Payload]:
        """Read the payloads of at most `limit` points that match, by point id, in order of id."""

    def payloads_of(
        self, ids: Sequence[str], *, where: Condition | None = None
    ) -> dict[str, Payload]:
        """Read the payloads of those of `ids` that are there and match, by point id."""

    def count(self, where: Condition | None = None) -> int:
        """Count the points, exactly."""

    def scan(self, *, batch_size: int = 256) -> Iterator[list[Point]]:
        """Read every point, vectors included, in order of id.

        Dense vectors have unit norm, and are rounded as the storage rounds; what the collection
        makes of them itself is not read, so a point can be written back as it is.
        """

    def flush(self) -> None:
        """Make everything written so far durable."""

    def optimize(self) -> None:
        """Build what makes searching fast; call after a bulk load."""

    def close(self) -> None:
        """Flush and let the engine go."""
