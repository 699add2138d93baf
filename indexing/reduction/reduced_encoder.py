"""An encoder whose vectors are those that an index version stores."""

from collections.abc import Sequence

from encoder.base import DenseEncoder, FloatArray
from encoder.truncation import truncate
from indexing.reduction.projection import Projection


class ReducedEncoder:
    """A ``DenseEncoder`` that projects what another one computes; its fingerprint stays."""

    def __init__(self, dense: DenseEncoder, projection: Projection) -> None:
        self._dense = dense
        self._projection = projection

    @property
    def fingerprint(self) -> str:
        """Of the encoder alone: the projection belongs to the index version."""
        return self._dense.fingerprint

    @property
    def dimensions(self) -> int:
        """Width of a projected vector."""
        return len(self._projection.directions)

    def encode_documents(
        self, texts: Sequence[str], *, dimensions: int | None = None
    ) -> FloatArray:
        """Encode texts to be searched: ``[N, W]`` float32, unit norm, in the given order."""
        return self._projected(self._dense.encode_documents(texts), dimensions)

    def encode_queries(self, texts: Sequence[str], *, dimensions: int | None = None) -> FloatArray:
        """Encode what is searched for: ``[N, W]`` float32, unit norm, in the given order."""
        return self._projected(self._dense.encode_queries(texts), dimensions)

    def _projected(self, vectors: FloatArray, dimensions: int | None) -> FloatArray:
        return truncate(self._projection.apply(vectors), dimensions)
