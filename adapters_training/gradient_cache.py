"""The gradient of a loss over more texts than fit in memory.

Shapes: B texts of a chunk · N texts of a step · D width.
Source: Gao et al. 2021, GradCache, arXiv:2101.06983: vectors first, without a graph; then the
loss's gradient at each vector; then each chunk again, with its graph, to carry that gradient on.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import torch
from torch import Tensor

from adapters_training.randomness import derive_seed
from adapters_training.text_chunks import TextChunk

Encode = Callable[[TextChunk], Tensor]
LossOfVectors = Callable[[Tensor], Tensor]
Precision = Callable[[], AbstractContextManager[object]]


def backward_over_chunks(
    chunks: Sequence[TextChunk],
    *,
    encode: Encode,
    loss_of: LossOfVectors,
    seed: int,
    precision: Precision,
    memory_tokens: int,
) -> float:
    """Add the gradient of a loss over all chunks' vectors to the model's parameters.

    With and without the cache the loss and the gradient are the same up to rounding, because each
    chunk draws its dropout from a seed of its own.

    Args:
        chunks: All texts of a step.
        encode: Gives the vectors of a chunk, ``[B, D]``.
        loss_of: Gives the loss ``[]`` of all vectors ``[N, D]``, in the order of the positions.
        seed: Of the step.
        precision: Context in which the model computes.
        memory_tokens: Up to this many padded tokens the chunks' graphs are all kept; above it the
            cache is used.

    Returns:
        The loss.
    """

    def vectors_of(number: int) -> Tensor:
        torch.manual_seed(derive_seed(seed, "chunk", number))
        with precision():
            return encode(chunks[number])

    order = torch.tensor([position for chunk in chunks for position in chunk.positions]).argsort()
    if sum(chunk.input_ids.numel() for chunk in chunks) <= memory_tokens or len(chunks) == 1:
        parts = [vectors_of(number) for number in range(len(chunks))]
        loss = loss_of(torch.cat(parts)[order.to(parts[0].device)])
        loss.backward()  # type: ignore[no-untyped-call]
        return float(loss.detach())
    with torch.no_grad():
        parts = [vectors_of(number) for number in range(len(chunks))]
    leaves = [part.requires_grad_() for part in parts]
    loss = loss_of(torch.cat(leaves)[order.to(leaves[0].device)])
    loss.backward()  # type: ignore[no-untyped-call]
    for number, leaf in enumerate(leaves):
        vectors = vectors_of(number)
        vectors.backward(leaf.grad)  # type: ignore[no-untyped-call]
    return float(loss.detach())
