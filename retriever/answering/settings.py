"""How a question is answered unless the caller says otherwise."""

import math
from dataclasses import dataclass

from retriever.settings import check_count


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerSettings:
    """Table ``[ask]``: what is answered from, and how much is written.

    A hit is shown to the model only if it is relevant: it holds enough of the question's words, or
    it is close enough to the question. With none, no answer is given.
    """

    k: int = 5
    """Hits the model may read, >= 1."""

    min_term_share: float = 0.5
    """Share of the question's words, stop words left out, that a relevant hit holds, in [0, 1].
    Six judged collections answer 97 % of their own questions at a half, and 28 % of those of the
    other five; at 0.6 84 % and 12 % (``benchmarks/refusals.py``)."""

    min_cosine: float | None = None
    """Cosine from which a hit is relevant whatever its words, in [-1, 1]; None: words alone
    decide. Cosines of two encoders can't be compared, so no default would suit yours."""

    max_new_tokens: int = 256
    """Length of an answer, at most; >= 1."""

    def __post_init__(self) -> None:
        check_count("k", self.k, least=1)
        check_count("max_new_tokens", self.max_new_tokens, least=1)
        _check_range("min_term_share", self.min_term_share, low=0)
        if self.min_cosine is not None:
            _check_range("min_cosine", self.min_cosine, low=-1)


def _check_range(name: str, value: float, *, low: int) -> None:
    if not (math.isfinite(value) and low <= value <= 1):
        raise ValueError(f"`{name}` must be in [{low}, 1]; got {value}")
