"""Points cut into requests that a server takes well: not too many, and not too many bytes."""

from collections.abc import Iterator, Sequence

from indexing.stores.base import Point
from indexing.stores.validation import check_payloads

MAX_POINTS = 256
MAX_BYTES = 4 << 20
"""Below the 5 MB that Qdrant advises, with room for what the estimate leaves out."""

TEXT_BYTES, BINARY_BYTES = 22, 4
"""Of one number: float32 written as the digits of a double, and as it is."""


def in_requests(points: Sequence[Point], *, binary: bool) -> Iterator[list[Point]]:
    """Cut checked points, in order; one that is too large by itself goes alone.

    Args:
        points: Any number.
        binary: They are sent over gRPC, else as JSON.

    Yields:
        The points of a request.
    """
    part: list[Point] = []
    size = 0
    for point in points:
        more = request_bytes(point, binary=binary)
        if part and (len(part) == MAX_POINTS or size + more > MAX_BYTES):
            yield part
            part, size = [], 0
        part.append(point)
        size += more
    if part:
        yield part


def request_bytes(point: Point, *, binary: bool) -> int:
    """Estimate what a point takes in a request, rather too high."""
    number = BINARY_BYTES if binary else TEXT_BYTES
    dense = 0 if point.dense is None else len(point.dense)
    sparse = 2 * len(point.sparse.indices)  # an index, and a weight
    return number * (dense + sparse) + check_payloads({point.id: point.payload}) + 64
