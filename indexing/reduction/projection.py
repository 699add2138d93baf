"""A linear map of vectors onto fewer dimensions, fitted on a sample of the corpus.

Shapes: N vectors, D dimensions of the encoder, W dimensions kept.
"""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from encoder.base import FloatArray
from encoder.truncation import truncate
from indexing.errors import IndexingError
from indexing.reduction.settings import ProjectionKind

FILE = "reduction.safetensors"

SMALLEST_VARIANCE = 1e-12
"""Of vectors of unit norm, whose rounding is about 1e-7."""

SPREAD_FLOOR = 1e-6
"""Of the largest variance: whitening does not blow up what is only rounding."""


@dataclass(frozen=True, slots=True, eq=False)
class Projection:
    """Subtracts a mean, turns, and scales to unit norm; the same for documents and queries."""

    mean: FloatArray
    """``[D]``."""

    directions: FloatArray
    """``[W, D]``, the most telling first."""

    def apply(self, vectors: FloatArray) -> FloatArray:
        """Project ``[N, D]`` to ``[N, W]`` of unit norm; what is at the mean stays zero."""
        turned = (vectors - self.mean) @ self.directions.T
        return truncate(turned.astype(np.float32, copy=False), None)


def fit_projection(
    sample: FloatArray, *, kind: ProjectionKind, dimensions: int | None
) -> Projection:
    """Find the directions in which a sample varies most; the same sample gives the same ones.

    Args:
        sample: Vectors of the corpus, ``[N, D]``.
        kind: ``svd``, ``pca`` or ``whitening``; the first leaves the mean where it is, so that of
            all maps to W dimensions it loses the least of the sample's inner products.
        dimensions: W, in [1, D]; None: D.

    Returns:
        The projection.

    Raises:
        IndexingError: the sample has too few vectors to tell so many directions.

    Source:
        Su et al. 2021, Whitening Sentence Representations, arXiv:2103.15316, with W as its k. Two
        differences: the vectors are scaled to unit norm afterwards, and ``pca`` leaves the spread.
        ``svd``: Eckart and Young 1936.
    """
    count, full = sample.shape
    width = full if dimensions is None else dimensions
    if count <= width:
        raise IndexingError(
            f"`projection` {kind!r} to {width} dimensions must be fitted on more than {width} "
            f"chunks; got {count}\n"
            'hint: set fewer `dimensions` in [index], or `projection = "none"` until the corpus '
            "has grown"
        )
    mean = sample.mean(axis=0, dtype=np.float64)
    if kind == "svd":
        mean = np.zeros_like(mean)
    centred = sample - mean
    variances, columns = np.linalg.eigh(centred.T @ centred / count)  # ascending
    variances, rows = variances[::-1][:width], columns.T[::-1][:width]
    # A direction's sign is free: fixed here, so that it does not depend on the linear algebra.
    largest = np.take_along_axis(rows, np.abs(rows).argmax(axis=1, keepdims=True), axis=1)
    rows = rows * np.sign(largest)
    if kind == "whitening":
        floor = max(SPREAD_FLOOR * variances[0], SMALLEST_VARIANCE)
        rows = rows / np.sqrt(np.maximum(variances, floor))[:, None]
    return Projection(mean.astype(np.float32), np.ascontiguousarray(rows, dtype=np.float32))


def write_projection(folder: Path, projection: Projection) -> str:
    """Write a projection into a version's folder, durably; return the digest of the file."""
    content = save({"mean": projection.mean, "directions": projection.directions})
    with (folder / FILE).open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return hashlib.sha256(content).hexdigest()


def read_projection(folder: Path, *, digest: str | None, full: int, width: int) -> Projection:
    """Read the projection of a version.

    Args:
        folder: The version's.
        digest: What `write_projection` returned.
        full: D.
        width: W.

    Raises:
        IndexingError: it is missing, was changed, or does not fit the version.
    """
    path = folder / FILE
    try:
        content = path.read_bytes()
        found = hashlib.sha256(content).hexdigest()
        if found != digest:
            raise IndexingError(
                f"{path} must have the digest {(digest or 'none')[:12]} that version.json names; "
                f"got {found[:12]}\nhint: bring the file back from a backup, or build the index "
                "again"
            )
        tensors = load(content)
        mean, directions = tensors["mean"], tensors["directions"]
    except (OSError, KeyError, SafetensorError) as exc:
        raise IndexingError(
            f"{path} must hold the projection of the index; got: {type(exc).__name__}: {exc}\n"
            "hint: bring the file back from a backup, or build the index again"
        ) from exc
    if mean.shape != (full,) or directions.shape != (width, full):
        raise IndexingError(
            f"{path} must project {full} dimensions to {width}; got shapes {mean.shape} and "
            f"{directions.shape}\nhint: build the index again"
        )
    return Projection(mean, directions)
