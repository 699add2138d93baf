"""Copies of a collection that any number of processes may read at once.

A second load of a live collection destroys it: it repairs files that their owner has open, and
finds the log locked only then. A copy is safe to share because its log is off and because it was
loaded once, alone: later loads find nothing to repair and leave every file as it was (measured, and
tested with the checksums of all files).
"""

import json
from pathlib import Path

import qdrant_edge as engine

from indexing.stores.base import CollectionSpec
from indexing.stores.edge_forms import edge_config, engine_errors


def left_out(name: str) -> bool:
    """Tell what a copy does without: the log, whose content is in the segments after a flush."""
    return name in ("wal", "temp_segments") or name.startswith(".atomicwrite")


def settle_copy(shard: Path, *, spec: CollectionSpec) -> int:
    """Make a copied shard one that may be shared, before anybody else knows of it.

    Args:
        shard: The engine's own folder, copied without what is `left_out`.
        spec: What the collection holds.

    Returns:
        Number of points in it.
    """
    file = shard / "edge_config.json"
    config = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps({**config, "wal_enabled": False}), encoding="utf-8")
    copy = open_copy(shard, spec=spec)
    with engine_errors("read the copy", shard):
        points = copy.count(engine.CountRequest(exact=True))
        copy.close()
    return points


def open_copy(shard: Path, *, spec: CollectionSpec) -> engine.EdgeShard:
    """Open a settled copy; it may only be read."""
    with engine_errors("open the copy", shard):
        return engine.EdgeShard.load(str(shard), edge_config(spec, log=False))
