"""A JSONL file of documents as a source, plain or gzipped, read line by line.

A line whose id can't be read fails under the name ``file:line``, and the run does not end with
`Complete`: the document that used to be on it must not be deleted.
"""

import gzip
import hashlib
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO, cast

from connectors.base import Change, Complete, Failed, Upsert
from connectors.errors import DocumentError, SourceError
from connectors.jsonl_record import document_id_of, read_document, read_record

MAX_LINE_BYTES = 50_000_000

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class JsonlConnector:
    """Lists the documents of a JSONL file such as BEIR's ``corpus.jsonl``.

    Args:
        name: The source's name in the project.
        path: The file, first touched by `changes`; ``.gz`` at the end means gzip.
        max_line_bytes: Longer lines are reported, not read; at least 1.

    Raises:
        ValueError: ``max_line_bytes`` is below 1.
    """

    def __init__(
        self, name: str, path: Path | str, *, max_line_bytes: int = MAX_LINE_BYTES
    ) -> None:
        if max_line_bytes < 1:
            raise ValueError(f"`max_line_bytes` must be at least 1; got {max_line_bytes}")
        self._name = name
        self._path = Path(path)
        self._max_line_bytes = max_line_bytes

    @property
    def name(self) -> str:
        """The source's name in the project."""
        return self._name

    def changes(self, cursor: str | None) -> Iterator[Change]:
        """List the whole file; ``cursor`` is not used.

        Raises:
            SourceError: the file can't be opened, or breaks off while it is read.
        """
        del cursor
        named: set[str] = set()
        all_named = True
        try:
            with _open(self._path) as stream:
                for number, line in _lines(stream, max_bytes=self._max_line_bytes):
                    try:
                        upsert = _upsert_of(line, max_bytes=self._max_line_bytes)
                    except DocumentError as exc:
                        all_named = False
                        yield self._failed(number, str(exc))
                        continue
                    if upsert.document_id in named:
                        reason = f'"_id" {upsert.document_id!r} is on an earlier line too'
                        yield self._failed(number, reason)
                        continue
                    named.add(upsert.document_id)
                    yield upsert
        except (OSError, EOFError, zlib.error) as exc:
            raise SourceError(f"can't read {self._path} to its end: {exc}") from exc
        if all_named:
            yield Complete()

    def _failed(self, number: int, reason: str) -> Failed:
        place = f"{self._path.name}:{number}"
        return Failed(place, f"{place}: {reason}")


def _upsert_of(line: bytes, *, max_bytes: int) -> Upsert:
    if len(line) > max_bytes:
        raise DocumentError(f"longer than this source's `max_line_bytes` of {max_bytes}")
    document_id = document_id_of(read_record(line))
    revision = hashlib.blake2b(line, digest_size=16).hexdigest()
    return Upsert(document_id, revision, partial(read_document, line))


def _open(path: Path) -> BinaryIO:
    return cast(BinaryIO, gzip.open(path, "rb")) if path.suffix == ".gz" else path.open("rb")


def _lines(stream: BinaryIO, *, max_bytes: int) -> Iterator[tuple[int, bytes]]:
    """Number, from 1, and content of each line that is not blank; of longer lines, a beginning."""
    number = 0
    while line := stream.readline(max_bytes + 2):
        number += 1
        rest = line
        while rest and not rest.endswith(b"\n"):
            rest = stream.readline(max_bytes)
        content = line.removeprefix(_BYTE_ORDER_MARK) if number == 1 else line
        if content.strip():
            yield number, content.rstrip(b"\r\n")
