"""An encoder that looks first whether another index version holds the vector already."""

from collections.abc import Sequence

import numpy as np

from encoder.base import DenseEncoder, FloatArray
from encoder.truncation import truncate
from indexing.catalog.source import SourceRecords
from indexing.identity import text_hash
from indexing.sync.target import Target


class StoredVectors:
    """A ``DenseEncoder`` that encodes only what a version does not hold.

    Args:
        dense: The version's encoder.
        stored: The version, open; it must store what the encoder gives, whole and unrounded.
        records: What the catalog knows of all its sources.
    """

    def __init__(self, dense: DenseEncoder, *, stored: Target, records: SourceRecords) -> None:
        self._dense = dense
        self._stored = stored
        self._records = records
        self.reused = 0
        """Texts that were not encoded."""

    @property
    def fingerprint(self) -> str:
        """Of the encoder."""
        return self._dense.fingerprint

    @property
    def dimensions(self) -> int:
        """Of the encoder."""
        return self._dense.dimensions

    def encode_documents(
        self, texts: Sequence[str], *, dimensions: int | None = None
    ) -> FloatArray:
        """Look up or encode texts to be searched: ``[N, D]`` float32, unit norm, in their order."""
        known = self._known(texts)
        unknown = [text for text in dict.fromkeys(texts) if text not in known]
        if unknown:
            encoded = self._dense.encode_documents(unknown)
            known.update(zip(unknown, encoded, strict=True))
        vectors = np.empty((len(texts), self.dimensions), dtype=np.float32)
        for row, text in enumerate(texts):
            vectors[row] = known[text]
        return truncate(vectors, dimensions)

    def encode_queries(self, texts: Sequence[str], *, dimensions: int | None = None) -> FloatArray:
        """Encode what is searched for: ``[N, D]`` float32, unit norm, in the given order."""
        return self._dense.encode_queries(texts, dimensions=dimensions)

    def _known(self, texts: Sequence[str]) -> dict[str, FloatArray]:
        hashes = {text_hash(text): text for text in texts}
        points = self._records.points_by_text(list(hashes), encoder=self._stored.recipe.encoder)
        stored = {point.id: point for point in self._stored.store.read(sorted(points.values()))}
        known = {
            hashes[digest]: dense
            for digest, point in points.items()
            if point in stored and (dense := stored[point].dense) is not None
        }
        self.reused += len(known)
        return known
