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

PROCESSOR_CHUNK_TOKENS = 512
"""Padded tokens of one chunk on a CPU: what its matrix products work on stays in its caches."""

ACCELERATOR_CHUNK_TOKENS = 8192
"""Padded tokens of one chunk elsewhere: enough to keep an accelerator busy."""


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
    rows: Sequence[TokenizedText], *, pad_id: int, device: torch.device
) -> list[TextChunk]:
    """Group texts by length for a model on ``device``; each of ``rows`` stands in one chunk."""
    on_cpu = device.type == "cpu"
    budget = PROCESSOR_CHUNK_TOKENS if on_cpu else ACCELERATOR_CHUNK_TOKENS
    chunks = []
    for batch in batches_by_length([len(row.ids) for row in rows], token_budget=budget):
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


def device_of(model: nn.Module) -> torch.device:
    """Name where a model computes."""
    return next(model.parameters()).device


def encode_chunk(model: nn.Module, chunk: TextChunk, *, pooling: str) -> Tensor:
    """Encode a chunk's texts: ``[B, D]`` float32, unit norm, in the order of its positions."""
    device = device_of(model)
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
    chunks = chunk_texts(rows, pad_id=pad_id, device=device_of(model))
    vectors = torch.cat([encode_chunk(model, chunk, pooling=pooling).cpu() for chunk in chunks])
    order = np.argsort([position for chunk in chunks for position in chunk.positions])
    found: npt.NDArray[np.float32] = vectors.numpy()[order]
    return found
