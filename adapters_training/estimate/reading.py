"""How long it takes to turn texts into vectors, from a few of them."""

import time
from collections.abc import Callable, Sequence

import numpy as np

TIMED_TEXTS = 32


def reading_seconds(encode: Callable[[Sequence[str]], object], texts: Sequence[str]) -> float:
    """Estimate the time to encode texts: up to 32 of them, at even distances, are encoded.

    Args:
        encode: Encodes texts, with a model that is loaded and warm.
        texts: All there are.
    """
    if not texts:
        return 0.0
    places = np.linspace(0, len(texts) - 1, min(TIMED_TEXTS, len(texts))).astype(int)
    sample = [texts[place] for place in places]
    began = time.monotonic()
    encode(sample)
    return (time.monotonic() - began) * len(texts) / len(sample)
