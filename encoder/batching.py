"""Group texts so that little of a batch is padding.

Shapes: B batch · T tokens.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt


def batches_by_length(lengths: Sequence[int], *, token_budget: int) -> Iterator[list[int]]:
    """Group texts of like length, the longest first, each batch within a budget of padded tokens.

    The longest come first so that too large a budget shows at once and not at the end.

    Args:
        lengths: Tokens of each text, each at least 1.
        token_budget: Rows times longest row of a batch, at most; a text beyond it is a batch of
            its own.

    Yields:
        Positions in ``lengths``; each position once.
    """
    batch: list[int] = []
    width = 0
    for position in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        if batch and width * (len(batch) + 1) > token_budget:
            yield batch
            batch = []
        if not batch:
            width = lengths[position]
        batch.append(position)
    if batch:
        yield batch


def pad(
    rows: Sequence[Sequence[int]], *, fill: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Pad rows of token ids on the right.

    Args:
        rows: Token ids of each text.
        fill: The id to pad with.

    Returns:
        ids ``[B, T]`` and mask ``[B, T]``, True = a token of the text.
    """
    width = max(len(row) for row in rows)
    ids = np.full((len(rows), width), fill, dtype=np.int64)
    mask = np.zeros((len(rows), width), dtype=np.bool_)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = row
        mask[i, : len(row)] = True
    return ids, mask
