"""Late interaction: each token of a query finds the token of a text that is most like it.

Shapes: N texts · Q tokens of the query · T tokens of a text · D width.
"""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from encoder.base import FloatArray

AT_ONCE = 16
"""Texts whose token vectors are in memory together: 16 of 512 tokens in 4,096 dimensions take
134 MB."""

NOTHING_ALIKE = -1.0
"""The lowest cosine: the score of a text without tokens."""


@runtime_checkable
class TokenEncoder(Protocol):
    """Encodes each token of a text, as `LLM2VecEncoder` does."""

    def query_token_vectors(self, texts: Sequence[str]) -> list[FloatArray]:
        """Encode the tokens of queries: ``[Q, D]`` each, unit norm, no special tokens."""

    def document_token_vectors(self, texts: Sequence[str]) -> list[FloatArray]:
        """Encode the tokens of texts: ``[T, D]`` each, unit norm, no special tokens."""


class LateInteraction:
    """A `Reranker` by the encoder's own token vectors; needs no model beside it.

    Source:
        Khattab and Zaharia 2020, ColBERT, arXiv:2004.12832, MaxSim. Their model is trained for it
        and pads queries with mask tokens; ours takes the encoder as it is, real tokens alone, and
        divides by their number.
    """

    name = "late-interaction"

    def __init__(self, encoder: TokenEncoder) -> None:
        """Take the encoder whose tokens are compared."""
        self._encoder = encoder

    def scores(self, query: str, texts: Sequence[str]) -> list[float]:
        """Score texts: mean over the query's tokens of the best cosine in the text, in [-1, 1].

        A query without tokens scores every text 0, a text without tokens is scored -1.

        Raises:
            ValueError: ``texts`` is one string.
        """
        if isinstance(texts, str):
            raise ValueError("`texts` must be a list of strings; got one string")  # noqa: TRY004
        if not texts:
            return []
        (tokens,) = self._encoder.query_token_vectors([query])
        return [
            max_similarity(tokens, vectors)
            for start in range(0, len(texts), AT_ONCE)
            for vectors in self._encoder.document_token_vectors(texts[start : start + AT_ONCE])
        ]


def max_similarity(query: FloatArray, text: FloatArray) -> float:
    """Mean over the query's tokens of the best cosine among the text's.

    Args:
        query: ``[Q, D]``, unit norm.
        text: ``[T, D]``, unit norm.

    Returns:
        In [-1, 1]; 0 without query tokens, else -1 without text tokens.
    """
    if not len(query):
        return 0.0
    if not len(text):
        return NOTHING_ALIKE
    return float((query @ text.T).max(axis=1).mean(dtype=np.float64))
