"""Fewer dimensions of a vector, at unit norm."""

import numpy as np

from encoder.base import FloatArray


def truncate(vectors: FloatArray, dimensions: int | None) -> FloatArray:
    """Keep the first ``dimensions`` of each vector and scale it to unit norm again.

    Args:
        vectors: ``[N, D]``.
        dimensions: In [1, D]; None keeps all.

    Returns:
        ``[N, dimensions]`` float32, unit norm; a vector that is zero there stays zero.

    Raises:
        ValueError: more dimensions than there are, or fewer than 1.

    Source:
        Kusupati et al. 2022, Matryoshka Representation Learning, arXiv:2205.13147. Without its
        training a truncated vector loses more.
    """
    check_dimensions(dimensions, width=vectors.shape[1])
    kept = vectors[:, :dimensions]
    norms = np.linalg.norm(kept, axis=1, keepdims=True)
    return (kept / np.where(norms > 0, norms, 1)).astype(np.float32)


def check_dimensions(dimensions: int | None, *, width: int) -> None:
    """Refuse a width that vectors of ``width`` can't be cut to; None keeps all.

    Raises:
        ValueError: it is not in [1, ``width``].
    """
    if dimensions is not None and not 1 <= dimensions <= width:
        raise ValueError(f"`dimensions` must be in [1, {width}]; got {dimensions}")
