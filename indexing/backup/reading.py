"""Read a backup: every member is checked before any is believed."""

import hashlib
import io
import json
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from encoder.base import FloatArray, SparseVector
from indexing.backup.writing import FORMAT, MANIFEST
from indexing.catalog.transfer import Row
from indexing.errors import IndexingError
from indexing.stores.base import Point
from indexing.versions.description import IndexVersion, version_from

MAX_MEMBER_BYTES = 1 << 30
"""A part of 1,024 points stays far below."""


@dataclass(frozen=True, slots=True)
class Backup:
    """A file whose checksums are right; ``close`` it, or use it in a ``with``."""

    file: Path
    version: IndexVersion
    count: int
    """Points."""

    row_count: int
    """Rows of the catalog."""

    _tar: tarfile.TarFile
    _members: tuple[str, ...]

    @classmethod
    def open(cls, file: Path) -> Self:
        """Open a backup and check all of it.

        Args:
            file: As `write_backup` wrote it.

        Raises:
            IndexingError: it is none, is damaged, or is of a newer release.
        """
        try:
            tar = tarfile.open(file, mode="r:")  # noqa: SIM115 - closed by `close`
        except (OSError, tarfile.TarError) as exc:
            raise IndexingError(f"{file} must be a backup of an index; got: {exc}") from exc
        try:
            manifest = _manifest(tar, file)
            for name, digest in manifest["members"].items():
                _check(tar, file, name, digest)
            version = version_from(manifest["version"], where=f"{file}: {MANIFEST}")
            names = tuple(sorted(manifest["members"]))
            return cls(file, version, manifest["points"], manifest["rows"], tar, names)
        except BaseException:
            tar.close()
            raise

    def points(self) -> Iterator[list[Point]]:
        """Read the points, in order of id, in pages.

        Raises:
            IndexingError: what a member holds are no points.
        """
        for name in self._named("points/", ".jsonl"):
            try:
                page = [_point(*pair) for pair in zip(*self._part(name), strict=True)]
            except (ValueError, KeyError, TypeError) as exc:
                raise IndexingError(f"{self.file}: {name} must hold points; got: {exc!r}") from exc
            yield page

    def _part(self, name: str) -> tuple[list[Any], Sequence[FloatArray | None]]:
        """Read the records of a part, and the vectors that belong to them."""
        records = self._lines(name)
        if self.version.dimensions is None:
            return records, [None] * len(records)
        content = self.member(name.removesuffix(".jsonl") + ".npy")
        return records, list(np.load(io.BytesIO(content), allow_pickle=False))

    def rows(self) -> Iterator[Row]:
        """Read the rows of the catalog, in the order that they were written in."""
        for name in self._named("catalog/", ".jsonl"):
            yield from ((table, values) for table, values in self._lines(name))

    def member(self, name: str) -> bytes:
        """Read a member as it is."""
        return _content(self._tar, self.file, name)

    def close(self) -> None:
        """Let the file go."""
        self._tar.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _named(self, start: str, end: str) -> list[str]:
        return [name for name in self._members if name.startswith(start) and name.endswith(end)]

    def _lines(self, name: str) -> list[Any]:
        return [json.loads(line) for line in self.member(name).splitlines()]


def _manifest(tar: tarfile.TarFile, file: Path) -> Mapping[str, Any]:
    try:
        manifest = json.loads(_content(tar, file, MANIFEST))
        known = (manifest["format"], manifest["members"].items(), manifest["version"])
        counts = (int(manifest["points"]), int(manifest["rows"]))
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise IndexingError(
            f"{file}: {MANIFEST} must describe a backup; got: {type(exc).__name__}: {exc}"
        ) from exc
    if known[0] != FORMAT or min(counts) < 0:
        raise IndexingError(
            f"{file} must be a backup of format {FORMAT}; got {known[0]!r}\n"
            "hint: use the release of Argot that wrote it"
        )
    return dict(manifest)


def _check(tar: tarfile.TarFile, file: Path, name: str, digest: str) -> None:
    found = hashlib.sha256(_content(tar, file, name)).hexdigest()
    if found != digest:
        raise IndexingError(
            f"{file}: {name} must have the checksum {digest[:12]}; got {found[:12]}\n"
            "hint: the file is damaged; use another backup"
        )


def _content(tar: tarfile.TarFile, file: Path, name: str) -> bytes:
    try:
        member = tar.getmember(name)
        if not member.isreg() or member.size > MAX_MEMBER_BYTES:
            raise IndexingError(f"{file}: {name} must be a plain file below 1 GiB")
        stream = tar.extractfile(member)
        content = stream.read() if stream is not None else b""
    except (KeyError, OSError, tarfile.TarError) as exc:
        raise IndexingError(
            f"{file} must be a complete backup; {name} can't be read: {exc}\n"
            "hint: the file is damaged or is no backup; use another"
        ) from exc
    if len(content) != member.size:
        raise IndexingError(f"{file}: {name} is cut off\nhint: use another backup")
    return content


def _point(record: Mapping[str, Any], dense: FloatArray | None) -> Point:
    return Point(
        id=record["id"],
        dense=dense,
        sparse=SparseVector(tuple(record["indices"]), tuple(record["values"])),
        payload=record["payload"],
    )
