"""The texts of a step as chunks of like length that are read one after another.

Shapes: B texts of a chunk · N texts in all · T tokens · D width.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from encoder.batching import batches_by_length, pad
from encoder.instructions import TokenizedText
from encoder.pooling import pool

CHUNK_TOKENS = 2048
"""Padded tokens of one chunk: enough for a processor's matrix products, little padding."""


@dataclass(frozen=True, slots=True)
class TextChunk:
    """Texts that go through the model together."""

    positions: tuple[int, ...]
    """Of its texts among the step's."""

    input_ids: Tensor
    """``[B, T]``."""

    attention_mask: Tensor
    """``[B, T]`` bool."""

    pooled: Tensor
    """``[B, T]`` bool, True = counts in the text's vector."""


def chunk_texts(
    rows: Sequence[TokenizedText], *, pad_id: int, chunk_tokens: int | None = None
) -> list[TextChunk]:
    """Group texts by length; each position of ``rows`` stands in one chunk."""
    chunks = []
    for batch in batches_by_length(
        [len(row.ids) for row in rows], token_budget=chunk_tokens or CHUNK_TOKENS
    ):
        ids, present = pad([rows[i].ids for i in batch], fill=pad_id)
        mask = torch.from_numpy(present)
        starts = torch.tensor([rows[i].pooled_from for i in batch])
        chunks.append(
            TextChunk(
                positions=tuple(batch),
                input_ids=torch.from_numpy(ids),
                attention_mask=mask,
                pooled=mask & (torch.arange(mask.shape[1]) >= starts[:, None]),
            )
        )
    return chunks


def encode_chunk(model: nn.Module, chunk: TextChunk, *, pooling: str) -> Tensor:
    """Encode a chunk's texts: ``[B, D]`` float32, unit norm, in the order of its positions."""
    device = next(model.parameters()).device
    mask = None if chunk.attention_mask.all() else chunk.attention_mask.to(device)
    output = model(input_ids=chunk.input_ids.to(device), attention_mask=mask, use_cache=False)
    hidden: Tensor = output.last_hidden_state
    # Under autocast the sum over tokens would be rounded to bf16, and near passages would tie.
    with torch.autocast(hidden.device.type, enabled=False):
        return functional.normalize(pool(hidden, chunk.pooled.to(device), pooling))


def encode_texts(
    model: nn.Module, rows: Sequence[TokenizedText], *, pad_id: int, pooling: str
) -> npt.NDArray[np.float32]:
    """Encode texts chunk by chunk: ``[N, D]`` float32, unit norm, in the order of ``rows``.

    The caller sets evaluation mode, and leaves gradients out.
    """
    chunks = chunk_texts(rows, pad_id=pad_id)
    vectors = torch.cat([encode_chunk(model, chunk, pooling=pooling).cpu() for chunk in chunks])
    order = np.argsort([position for chunk in chunks for position in chunk.positions])
    found: npt.NDArray[np.float32] = vectors.numpy()[order]
    return found
