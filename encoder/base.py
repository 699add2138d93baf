"""What the other packages ask of an encoder: plain types, no torch.

Shapes: N texts, D dimensions, T tokens.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class SparseVector:
    """Term weights of one text."""

    indices: tuple[int, ...]
    """Term ids, each at most once."""

    values: tuple[float, ...]
    """Weights, finite, one per index."""

    def __post_init__(self) -> None:
        if len(self.indices) != len(self.values):
            raise ValueError(
                "`indices` and `values` must have one length; "
                f"got {len(self.indices)} and {len(self.values)}"
            )
        if len(set(self.indices)) != len(self.indices):
            raise ValueError("`indices` must be unique; an engine would count a repeated one twice")


class DenseEncoder(Protocol):
    """Turns texts into unit-norm vectors."""

    @property
    def fingerprint(self) -> str:
        """Hex digest of everything that decides a vector, the compute dtype excepted."""

    @property
    def dimensions(self) -> int:
        """Full width of a vector."""

    def encode_documents(
        self, texts: Sequence[str], *, dimensions: int | None = None
    ) -> FloatArray:
        """Encode texts to be searched: ``[N, D]`` float32, unit norm, in the given order."""

    def encode_queries(self, texts: Sequence[str], *, dimensions: int | None = None) -> FloatArray:
        """Encode what is searched for: ``[N, D]`` float32, unit norm, in the given order."""


class SparseEncoder(Protocol):
    """Turns texts into term weights."""

    def encode_documents(self, texts: Sequence[str]) -> list[SparseVector]:
        """Weigh the terms of texts to be searched; a text without terms gives an empty vector."""

    def encode_queries(self, texts: Sequence[str]) -> list[SparseVector]:
        """Weigh the terms of what is searched for."""

    def terms(self, text: str) -> dict[int, str]:
        """Map each term id of ``text`` to a word of it that has this id, for explanations."""


class TextTokenizer(Protocol):
    """Counts and locates the tokens of a text."""

    def token_spans(self, text: str) -> list[tuple[int, int]]:
        """Locate each token as a half-open range of code points, in order, specials left out."""
