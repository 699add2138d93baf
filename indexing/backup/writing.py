"""An index version in one file, for any engine: points, description, catalog rows, checksums.

A tar of JSON lines and numpy arrays, which other programs can read too; ``manifest.json`` comes
last and names every member with its SHA-256. Nothing is ever unpacked: members are read as streams,
so that no name in the file can lead anywhere, and nothing in it is executed.

``points/N.jsonl`` holds ids, term weights and payloads, ``points/N.npy`` the dense vectors of the
same points, ``[n, D]``, ``catalog/N.jsonl`` rows as ``[table, values]``, and
``reduction.safetensors`` the projection of a version that has one.
"""

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from indexing.catalog.transfer import Row
from indexing.errors import IndexingError, StoreError
from indexing.reduction.projection import FILE as PROJECTION_FILE
from indexing.stores.base import Point
from indexing.versions.collection import OpenIndex
from indexing.versions.description import version_record

FORMAT = 1
MANIFEST = "manifest.json"
PART_POINTS, PART_ROWS = 1024, 4096
FLAGS = os.O_WRONLY | os.O_CREAT | os.O_TRUNC


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupReport:
    """What a file holds."""

    version: str
    points: int
    rows: int
    """Of the catalog."""

    size: int
    """Bytes."""


def write_backup(
    file: Path,
    index: OpenIndex,
    *,
    folder: Path,
    rows: Iterable[Row],
    tell: Callable[[int], None] | None = None,
) -> BackupReport:
    """Write an open version, which must not change meanwhile, into a new file.

    Args:
        file: Made readable for its owner alone, as it holds texts; complete or not there.
        index: The version.
        folder: The version's.
        rows: What the catalog knows of it.
        tell: Told now and then how many points are written.

    Returns:
        What the file holds.

    Raises:
        IndexingError: there is such a file already.
        StoreError: the store gave more or fewer points than it counts.
    """
    if file.exists():
        raise IndexingError(f"a backup is never overwritten; {file} exists\nhint: name another")
    unfinished = file.with_name(f"{file.name}.unfinished")
    index.store.flush()
    with ExitStack() as undo:
        undo.callback(unfinished.unlink, missing_ok=True)
        with os.fdopen(os.open(unfinished, FLAGS, 0o600), "wb") as stream:
            writer = _Writer(stream)
            points = _write_points(writer, index, tell)
            number = _write_rows(writer, rows)
            if index.projection is not None:
                writer.add(PROJECTION_FILE, (folder / PROJECTION_FILE).read_bytes())
            writer.finish(version=version_record(index.version), points=points, rows=number)
            stream.flush()
            os.fsync(stream.fileno())
        counted = index.store.count()
        if counted != points:
            raise StoreError(f"a backup must hold the {counted} points of the index; got {points}")
        unfinished.replace(file)
    size = file.stat().st_size
    return BackupReport(version=index.version.name, points=points, rows=number, size=size)


@dataclass(slots=True)
class _Writer:
    """A tar file that remembers what it holds."""

    stream: BinaryIO
    digests: dict[str, str] = field(default_factory=dict)
    _tar: tarfile.TarFile = field(init=False)

    def __post_init__(self) -> None:
        self._tar = tarfile.TarFile(fileobj=self.stream, mode="w", format=tarfile.PAX_FORMAT)

    def add(self, name: str, content: bytes) -> None:
        member = tarfile.TarInfo(name)
        member.size, member.mode = len(content), 0o600
        member.mtime = int(datetime.now(UTC).timestamp())
        self._tar.addfile(member, io.BytesIO(content))
        self.digests[name] = hashlib.sha256(content).hexdigest()

    def finish(self, *, version: Mapping[str, Any], points: int, rows: int) -> None:
        manifest = {
            "format": FORMAT,
            "made": datetime.now(UTC).isoformat(timespec="seconds"),
            "version": version,
            "points": points,
            "rows": rows,
            "members": dict(self.digests),
        }
        self.add(MANIFEST, json.dumps(manifest, indent=1).encode())
        self._tar.close()


def _write_points(writer: _Writer, index: OpenIndex, tell: Callable[[int], None] | None) -> int:
    count = 0
    for number, page in enumerate(index.store.scan(batch_size=PART_POINTS)):
        writer.add(f"points/{number:06d}.jsonl", _lines(_without_dense(point) for point in page))
        if index.store.spec.dimensions is not None:
            array = io.BytesIO()
            dense = np.stack([np.asarray(point.dense, dtype=np.float32) for point in page])
            np.save(array, dense, allow_pickle=False)
            writer.add(f"points/{number:06d}.npy", array.getvalue())
        count += len(page)
        if tell is not None:
            tell(count)
    return count


def _write_rows(writer: _Writer, rows: Iterable[Row]) -> int:
    waiting, count, number = iter(rows), 0, 0
    while part := list(islice(waiting, PART_ROWS)):
        writer.add(f"catalog/{number:06d}.jsonl", _lines(part))
        count, number = count + len(part), number + 1
    return count


def _without_dense(point: Point) -> dict[str, Any]:
    return {
        "id": point.id,
        "indices": list(point.sparse.indices),
        "values": list(point.sparse.values),
        "payload": dict(point.payload),
    }


def _lines(records: Iterable[Any]) -> bytes:
    return "".join(json.dumps(record, allow_nan=False) + "\n" for record in records).encode()
