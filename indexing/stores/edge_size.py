"""How much of the disk the dense vectors of an embedded collection take."""

from pathlib import Path

from indexing.files.disk import allocated_bytes
from indexing.stores.edge_forms import DENSE


def dense_bytes(directory: Path) -> int:
    """Sum the bytes on disk of everything that dense search reads.

    That is the stored vectors, the small ones, the codes and the graphs; not payloads, words or the
    log. Call it when the collection is optimized and closed.
    """
    return sum(
        allocated_bytes(part)
        for segment in (directory / "shard" / "segments").iterdir()
        for part in segment.iterdir()
        if DENSE in part.name
    )
