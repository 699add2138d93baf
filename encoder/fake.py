"""A dense encoder that needs no model and can be computed by hand."""

import hashlib
import re
from collections.abc import Sequence

import numpy as np

from encoder.base import FloatArray
from encoder.truncation import check_dimensions, truncate

WORD = re.compile(r"\w+")


class HashingEncoder:
    """Counts words into ``D`` buckets and scales to unit norm; without words, the first axis.

    The bucket of a word is the first 8 bytes of its SHA-256, modulo ``D``. For tests and first
    steps: it knows words, not meanings.
    """

    def __init__(self, dimensions: int = 64) -> None:
        if dimensions < 1:
            raise ValueError(f"`dimensions` must be at least 1; got {dimensions}")
        self._dimensions = dimensions

    @property
    def fingerprint(self) -> str:
        """Differs with the number of buckets."""
        return hashlib.sha256(f"hashing-{self._dimensions}".encode()).hexdigest()

    @property
    def dimensions(self) -> int:
        """The number of buckets."""
        return self._dimensions

    def encode_documents(
        self, texts: Sequence[str], *, dimensions: int | None = None
    ) -> FloatArray:
        """Count the words of each text: ``[N, D]``.

        Raises:
            ValueError: ``dimensions`` is out of range, or ``texts`` is one string.
        """
        if isinstance(texts, str):
            raise ValueError("`texts` must be a list of strings; got one string")  # noqa: TRY004
        check_dimensions(dimensions, width=self._dimensions)
        vectors = np.zeros((len(texts), self._dimensions), dtype=np.float32)
        for row, text in enumerate(texts):
            for word in WORD.findall(text.lower()) or [""]:
                vectors[row, self._bucket(word)] += 1
        return truncate(vectors, dimensions)

    def encode_queries(self, texts: Sequence[str], *, dimensions: int | None = None) -> FloatArray:
        """The same as for documents."""
        return self.encode_documents(texts, dimensions=dimensions)

    def _bucket(self, word: str) -> int:
        if not word:
            return 0
        digest = hashlib.sha256(word.encode()).digest()
        return int.from_bytes(digest[:8], "big") % self._dimensions
