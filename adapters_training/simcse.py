"""Stage SimCSE: two dropout views of one text find each other among the other texts of the batch.

Shapes: B texts · T tokens · D width.
Source: Gao et al. 2021, SimCSE, arXiv:2104.08821; attention dropout 0.3 and mean pooling are
LLM2Vec's,
arXiv:2404.05961. We pool what the encoder pools: LLM2Vec's code averages padding too in this stage.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedTokenizerFast

from adapters_training.config import SimcseSettings
from adapters_training.losses import info_nce
from adapters_training.ordering import BatchOrder
from encoder.batching import pad
from encoder.instructions import tokenize
from encoder.pooling import pool


@dataclass(frozen=True, slots=True)
class SimcsePart:
    """A whole step's texts: each is the others' negative, so they are in memory together."""

    input_ids: Tensor
    """``[B, T]``."""

    attention_mask: Tensor
    """``[B, T]`` bool."""

    pooled: Tensor
    """``[B, T]`` bool, True = counts in the text's vector."""

    tokens: int
    """Of both views."""

    weight: float = 1.0


class SimcseStage:
    """Short texts, each read twice."""

    def __init__(
        self,
        texts: Sequence[str],
        tokenizer: PreTrainedTokenizerFast,
        *,
        settings: SimcseSettings,
        seed: int,
    ) -> None:
        """Tokenise the texts as the encoder does.

        Args:
            texts: From `examples.simcse_texts`, all different.
            tokenizer: Of the model.
            settings: Of the stage.
            seed: Of the stage.
        """
        self._settings = settings
        self._pad_id: int = tokenizer.pad_token_id
        self._rows = tokenize(
            tokenizer, texts, instruction=settings.instruction, max_tokens=settings.max_tokens
        )
        self._order = BatchOrder(
            [len(row.ids) for row in self._rows],
            batch_size=settings.batch_size,
            seed=seed,
            like_lengths=True,
        )

    def parts(self, step: int) -> list[SimcsePart]:
        """Make the batch of a step."""
        rows = [self._rows[i] for i in self._order.batch(step)]
        padded, present = pad([row.ids for row in rows], fill=self._pad_id)
        mask = torch.from_numpy(present)
        starts = torch.tensor([row.pooled_from for row in rows])
        return [
            SimcsePart(
                input_ids=torch.from_numpy(padded),
                attention_mask=mask,
                pooled=mask & (torch.arange(mask.shape[1]) >= starts[:, None]),
                tokens=2 * int(mask.sum()),
            )
        ]

    def loss(self, model: nn.Module, part: SimcsePart) -> Tensor:
        """Compute how well each first view finds its second one."""
        first, second = dropout_views(model, part, pooling=self._settings.pooling)
        return info_nce(first, second, temperature=self._settings.temperature)


def dropout_views(model: nn.Module, part: SimcsePart, *, pooling: str) -> tuple[Tensor, Tensor]:
    """Encode each text twice in one pass; dropout makes the vectors differ.

    Returns:
        Two times ``[B, D]`` float32, unit norm.
    """
    device = next(model.parameters()).device
    twice: Any = {
        "input_ids": part.input_ids.repeat(2, 1).to(device),  # [2 * B, T]
        "attention_mask": None
        if part.attention_mask.all()
        else part.attention_mask.repeat(2, 1).to(device),
    }
    hidden = model(**twice, use_cache=False).last_hidden_state
    vectors = functional.normalize(pool(hidden, part.pooled.repeat(2, 1).to(device), pooling))
    first, second = vectors.chunk(2)
    return first, second
