"""One vector from the states of a text's tokens.

Shapes: B batch · T tokens · D width.
Source: arXiv:2404.05961, pooling methods of its Table 5 (EOS, mean, weighted mean); weighted mean
is SGPT's, Muennighoff 2022, arXiv:2202.08904.
"""

from collections.abc import Callable

import torch
from torch import Tensor

Pooling = Callable[[Tensor, Tensor], Tensor]


def mean(hidden: Tensor, mask: Tensor) -> Tensor:
    """Average the kept states."""
    weights = mask.to(hidden.dtype)
    return weighted(hidden, weights)


def weighted_mean(hidden: Tensor, mask: Tensor) -> Tensor:
    """Average the kept states, each with its position in the row, from 1, as its weight.

    Positions count the instruction, as sentence-transformers does; LLM2Vec counts from the text.
    """
    positions = torch.arange(1, mask.shape[1] + 1, device=mask.device)
    return weighted(hidden, (positions * mask).to(hidden.dtype))


def last_token(hidden: Tensor, mask: Tensor) -> Tensor:
    """Take the last kept state."""
    positions = torch.arange(mask.shape[1], device=mask.device)
    last = (positions * mask).argmax(dim=1)  # [B]
    return hidden[torch.arange(hidden.shape[0], device=hidden.device), last]


def weighted(hidden: Tensor, weights: Tensor) -> Tensor:
    """Average states ``[B, T, D]`` with weights ``[B, T]``: ``[B, D]``."""
    total = torch.bmm(weights.unsqueeze(1), hidden).squeeze(1)
    return total / weights.sum(dim=1, keepdim=True)


POOLINGS: dict[str, Pooling] = {
    "mean": mean,
    "weighted_mean": weighted_mean,
    "last_token": last_token,
}


def pool(hidden: Tensor, mask: Tensor, method: str) -> Tensor:
    """Pool the states of each text in fp32.

    Args:
        hidden: ``[B, T, D]``.
        mask: ``[B, T]`` bool, True = keep; at least one True in each row, padding on the right.
        method: ``mean``, ``weighted_mean`` or ``last_token``.

    Returns:
        ``[B, D]`` float32, not normalised.

    Raises:
        ValueError: an unknown method.
    """
    if method not in POOLINGS:
        raise ValueError(f"`pooling` must be one of {', '.join(POOLINGS)}; got {method!r}")
    # Padding may hold NaN in some backends, and 0 * NaN is NaN.
    kept = hidden.float().masked_fill(~mask.unsqueeze(-1), 0.0)
    return POOLINGS[method](kept, mask)
