"""Which tokens of a sequence are to be predicted, and what the model sees in their place.

Shapes: B batch · T tokens · N tokens to predict.
Source: Devlin et al. 2018, BERT, arXiv:1810.04805 (80 % hidden, 10 % random, 10 % left); the mask
token ``_`` and hiding all are LLM2Vec's, arXiv:2404.05961.
"""

from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class MaskedTokens:
    """A batch for masked prediction."""

    input_ids: Tensor
    """What the model sees, ``[B, T]`` int64."""

    selected: Tensor
    """What it has to predict, ``[B, T]`` bool; never the first position, whose prediction would
    come from a position before the text."""

    original_ids: Tensor
    """What stood there, ``[B, T]`` int64."""

    @property
    def labels(self) -> Tensor:
        """The tokens to predict, row by row, ``[N]`` int64."""
        return self.original_ids[self.selected]

    def rows(self, start: int, stop: int) -> Self:
        """Take some rows of the batch."""
        return replace(
            self,
            input_ids=self.input_ids[start:stop],
            selected=self.selected[start:stop],
            original_ids=self.original_ids[start:stop],
        )


def mask_tokens(
    input_ids: Tensor,
    maskable: Tensor,
    *,
    probability: float,
    masking: str,
    mask_id: int,
    replacement_ids: Tensor,
    generator: torch.Generator,
) -> MaskedTokens:
    """Choose tokens to predict and hide them; the input is left as it was.

    Args:
        input_ids: ``[B, T]`` int64.
        maskable: ``[B, T]`` bool, True = an ordinary token, neither padding nor special.
        probability: Of each maskable token to be chosen, in (0, 1). A row where none was gets one.
        masking: ``bert`` or ``all_mask``.
        mask_id: Stands for a hidden token.
        replacement_ids: Ordinary token ids, ``[R]``, to draw random replacements from.
        generator: On the CPU, as the tensors.
    """
    allowed = maskable.clone()
    allowed[:, 0] = False
    draws = torch.rand(input_ids.shape, generator=generator)
    selected = allowed & (draws < probability)
    # The smallest draw of a row is its first choice, so a row with no token chosen gets that one.
    first = draws.masked_fill(~allowed, 2.0).argmin(dim=1, keepdim=True)
    selected |= torch.zeros_like(allowed).scatter_(1, first, value=True) & allowed
    seen = input_ids.masked_fill(selected, mask_id)
    if masking == "bert":
        kinds = torch.rand(input_ids.shape, generator=generator)
        picks = torch.randint(len(replacement_ids), input_ids.shape, generator=generator)
        seen = torch.where(selected & (kinds >= 0.8), replacement_ids[picks], seen)
        seen = torch.where(selected & (kinds >= 0.9), input_ids, seen)
    return MaskedTokens(input_ids=seen, selected=selected, original_ids=input_ids)
