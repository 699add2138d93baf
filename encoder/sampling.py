"""Choose the next token, by numbers that are a function of the prompt.

Shapes: R rows that are written · V vocabulary.
"""

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch import Tensor

Draws = npt.NDArray[np.float64]

CANDIDATES = 128
"""Tokens among which one is drawn, at most: sorting a whole vocabulary costs more than it gives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How the next token is chosen."""

    each: int = 1
    """Continuations of each prompt, at least 1."""

    max_new_tokens: int = 48
    """Tokens of one continuation, at most."""

    temperature: float = 0.7
    """Divides the logits; 0: the likeliest token, always."""

    top_p: float = 0.9
    """Draw among the likeliest tokens that have this probability together, in (0, 1]."""

    seed: int = 0
    """With a prompt and the number of its continuation it decides what is drawn."""


def make_draws(prompt: str, *, number: int, sampling: Sampling) -> Draws:
    """Draw the numbers in [0, 1) for one continuation of a prompt, ``[max_new_tokens]``."""
    named = f"str:continuation\0int:{sampling.seed}\0int:{number}\0str:{prompt}"
    seed = int.from_bytes(hashlib.sha256(named.encode()).digest()[:8], "big") >> 1
    return np.random.default_rng(seed).random(sampling.max_new_tokens)


def choose_tokens(logits: Tensor, draws: Tensor, *, sampling: Sampling) -> Tensor:
    """Choose the next token of each row: the likeliest, or one drawn from the nucleus.

    Args:
        logits: ``[R, V]``.
        draws: In [0, 1), ``[R]``; the same draw gives the same token.
        sampling: How.

    Returns:
        Token ids, ``[R]``.

    Source:
        Holtzman et al. 2020, arXiv:1904.09751, nucleus sampling; ours looks at the likeliest
        `CANDIDATES` tokens only.
    """
    if sampling.temperature == 0:
        return logits.argmax(dim=-1)
    scaled = logits.float() / sampling.temperature
    top, ids = scaled.topk(min(CANDIDATES, scaled.shape[-1]))
    likely = (top - scaled.logsumexp(dim=-1, keepdim=True)).exp()
    before = likely.cumsum(dim=-1) - likely
    up_to = (likely * (before < sampling.top_p)).cumsum(dim=-1)
    wanted = draws.to(up_to)[:, None] * up_to[:, -1:]
    rank = (up_to <= wanted).sum(dim=-1, keepdim=True).clamp(max=ids.shape[-1] - 1)
    return ids.gather(-1, rank)[:, 0]
