"""Bring a collection in step with another, of any engine, and compare the two point for point.

Both are read in order of id, side by side, so that memory stays flat, and what is there already is
not written again: a transfer that was broken off goes on where it was.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from uuid import UUID

import numpy as np

from encoder.base import SparseVector
from indexing.errors import StoreError
from indexing.reduction.settings import Storage
from indexing.stores.base import CollectionSpec, Point, VectorStore

BATCH_POINTS = 256

ROUNDING: dict[Storage, float] = {"f32": 1e-6, "f16": 1e-3, "turbo16": 1e-3, "turbo8": 4e-3}
"""Largest difference of one dimension of a unit vector after it was stored, read and stored again:
four times what was measured, and for ``f32`` what scaling to unit norm leaves."""

Scan = Callable[[], Iterator[list[Point]]]
"""Reads every point in order of id, in pages."""

Pair = tuple[Point | None, Point | None]
"""A point as it should be and as it is; None: it should not be, or is not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferReport:
    """What a transfer did."""

    points: int = 0
    """In both collections now."""

    written: int = 0
    removed: int = 0
    """That the other collection does not have."""


def transfer(
    source: Scan, target: VectorStore, *, tell: Callable[[int], None] | None = None
) -> TransferReport:
    """Make a collection hold the points of another, graph included, and compare the two.

    Args:
        source: Reads the points; they must not change meanwhile.
        target: Gets them.
        tell: Told now and then how many points have been looked at; comparing begins again at 0.

    Returns:
        What was done.

    Raises:
        StoreError: the collections differ afterwards.
    """
    wrong: list[Point] = []
    gone: list[str] = []
    written = removed = 0
    for should, found in _pairs(source, target, tell):
        if should is None and found is not None:
            gone.append(found.id)
        elif should is not None and not _alike(should, found, target):
            wrong.append(should)
        if len(wrong) == BATCH_POINTS:
            target.upsert(wrong)
            written, wrong = written + len(wrong), []
        if len(gone) == BATCH_POINTS:
            target.delete(gone)
            removed, gone = removed + len(gone), []
    target.upsert(wrong)
    target.delete(gone)
    target.flush()
    points = check_equal(source, target, tell=tell)
    target.optimize()
    return TransferReport(points=points, written=written + len(wrong), removed=removed + len(gone))


def check_equal(
    source: Scan, target: VectorStore, *, tell: Callable[[int], None] | None = None
) -> int:
    """Compare two collections point for point: ids, payloads, vectors as far as storing rounds.

    Args:
        source: Reads the points that should be there.
        target: What is there.
        tell: Told now and then how many points have been compared.

    Returns:
        The number of points.

    Raises:
        StoreError: naming the first point that differs, or that the count does.
    """
    points = 0
    for should, found in _pairs(source, target, tell):
        if should is None or not _alike(should, found, target):
            raise StoreError(_difference(should, found))
        points += 1
    counted = target.count()
    if counted != points:
        raise StoreError(f"the collection must count the {points} points it has; got {counted}")
    return points


def same_point(one: Point, other: Point, *, rounding: float) -> bool:
    """Tell whether two points are the same as far as storing rounds their vectors."""
    return (
        one.id == other.id
        and one.payload == other.payload
        and _weights(one.sparse) == _weights(other.sparse)
        and _same_dense(one, other, rounding)
    )


def rounding_of(spec: CollectionSpec) -> float:
    """Return the largest difference that storing twice leaves in one dimension."""
    return ROUNDING[spec.storage]


def _pairs(source: Scan, target: VectorStore, tell: Callable[[int], None] | None) -> Iterator[Pair]:
    there = target.scan(batch_size=BATCH_POINTS)
    for number, pair in enumerate(_side_by_side(_points(source()), _points(there))):
        if tell is not None and number % BATCH_POINTS == 0:
            tell(number)
        yield pair


def _alike(should: Point, found: Point | None, target: VectorStore) -> bool:
    return found is not None and same_point(should, found, rounding=rounding_of(target.spec))


def _difference(should: Point | None, found: Point | None) -> str:
    point = should or found
    how = "differs"
    if found is None:
        how = "is missing"
    elif should is None:
        how = "should not be there"
    return (
        f"the collection must hold what it was filled with; point {point.id if point else ''} "
        f"{how}\nhint: run the same command again: what is right already is left as it is"
    )


def _side_by_side(one: Iterator[Point], other: Iterator[Point]) -> Iterator[Pair]:
    """Pair the points of two streams, both in order of id."""
    left, right = next(one, None), next(other, None)
    while left is not None or right is not None:
        if right is None or (left is not None and UUID(left.id) < UUID(right.id)):
            yield left, None
            left = next(one, None)
        elif left is None or UUID(right.id) < UUID(left.id):
            yield None, right
            right = next(other, None)
        else:
            yield left, right
            left, right = next(one, None), next(other, None)


def _points(pages: Iterator[list[Point]]) -> Iterator[Point]:
    return (point for page in pages for point in page)


def _weights(vector: SparseVector) -> dict[int, float]:
    pairs = zip(vector.indices, vector.values, strict=True)
    return {index: float(np.float32(value)) for index, value in pairs}


def _same_dense(one: Point, other: Point, rounding: float) -> bool:
    if one.dense is None or other.dense is None:
        return one.dense is other.dense
    same_shape = one.dense.shape == other.dense.shape
    return same_shape and bool(np.abs(one.dense - other.dense).max(initial=0) <= rounding)
