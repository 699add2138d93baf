"""The gradient of a loss over more texts than fit in memory, or in one process.

Shapes: B texts of a chunk · N texts of a step · D width.
Source: Gao et al. 2021, GradCache, arXiv:2101.06983: vectors first, without a graph; then the
loss's gradient at each vector; then each chunk again, with its graph, to carry that gradient on.
Between the two the vectors go to all processes, so each finds the loss over all of them and carries
its gradient through its own chunks alone.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import torch
from torch import Tensor

from adapters_training.processes import ALONE, Processes
from adapters_training.randomness import derive_seed
from adapters_training.text.chunks import TextChunk

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
    processes: Processes = ALONE,
) -> float:
    """Add this process's share of the gradient of a loss over all chunks to the parameters.

    With and without the cache, and in any number of processes, the loss and the summed gradient
    are the same up to rounding, because each chunk draws its dropout from a seed of its own.

    Args:
        chunks: All texts of a step.
        encode: Gives the vectors of a chunk, ``[B, D]``.
        loss_of: Gives the loss ``[]`` of all vectors ``[N, D]``, in the order of the positions.
        seed: Of the step.
        precision: Context in which the model computes.
        memory_tokens: Up to this many padded tokens the graphs of a process's chunks are all kept;
            above it the cache is used.
        processes: Among which the chunks are dealt out.

    Returns:
        The loss, the same in all processes.
    """

    def vectors_of(number: int) -> Tensor:
        torch.manual_seed(derive_seed(seed, "chunk", number))
        with precision():
            return encode(chunks[number])

    turns = processes.turns(len(chunks))
    tokens = sum(chunks[turn.number].input_ids.numel() for turn in turns)
    keep_graphs = tokens <= memory_tokens or len(turns) == 1
    with torch.set_grad_enabled(keep_graphs):
        own = [vectors_of(turn.number) for turn in turns]
    found = processes.gather(
        [vectors.detach() for vectors in own], [len(chunk.positions) for chunk in chunks]
    )
    leaves = [vectors.requires_grad_() for vectors in found]
    order = torch.tensor([position for chunk in chunks for position in chunk.positions]).argsort()
    loss = loss_of(torch.cat(leaves)[order.to(leaves[0].device)])
    loss.backward()  # type: ignore[no-untyped-call]
    for turn, first in zip(turns, own, strict=True):
        vectors = first if keep_graphs else vectors_of(turn.number)
        gradient = torch.zeros_like(vectors) if turn.spare else leaves[turn.number].grad
        vectors.backward(gradient)  # type: ignore[no-untyped-call]
    return float(loss.detach())
