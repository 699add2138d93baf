"""A folder of documents as a source.

Ids are POSIX paths relative to the folder, in NFC. When a folder inside it can't be listed, the run
names it as failed and does not end with `Complete`: what is indexed from there must not be deleted.
"""

import logging
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType

from connectors.base import Change, Complete, Failed, Upsert
from connectors.document import Document
from connectors.errors import DocumentError
from connectors.folder_listing import FolderListing, FoundFile, Ignored, Unreadable
from connectors.globs import PathPatterns
from connectors.parsing.formats import PARSERS, PARSERS_VERSION, parse_file

MAX_FILE_BYTES = 200_000_000

logger = logging.getLogger(__name__)


class FolderConnector:
    """Lists the documents of a folder and of the folders in it.

    Args:
        name: The source's name in the project.
        root: The folder; it is first touched by `changes`.
        include: Path patterns (see `PathPatterns`); only files that match one. Empty: all.
        exclude: Path patterns; no file or folder that matches one.
        max_file_bytes: Larger files are reported, not read; at least 1.

    Raises:
        ValueError: ``max_file_bytes`` is below 1.
    """

    def __init__(
        self,
        name: str,
        root: Path | str,
        *,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        max_file_bytes: int = MAX_FILE_BYTES,
    ) -> None:
        if max_file_bytes < 1:
            raise ValueError(f"`max_file_bytes` must be at least 1; got {max_file_bytes}")
        self._name = name
        self._max_file_bytes = max_file_bytes
        self._listing = FolderListing(
            root=Path(os.path.realpath(root)),
            include=PathPatterns.compile(include),
            exclude=PathPatterns.compile(exclude),
            extensions=frozenset(PARSERS),
        )
        self._ignored: Mapping[str, int] = MappingProxyType({})

    @property
    def name(self) -> str:
        """The source's name in the project."""
        return self._name

    @property
    def ignored(self) -> Mapping[str, int]:
        """How many files the last run passed over, by extension or `Ignored.kind`, most first."""
        return self._ignored

    def changes(self, cursor: str | None) -> Iterator[Change]:
        """List the whole folder; ``cursor`` is not used.

        `SourceError` when the folder itself can't be listed.
        """
        del cursor
        ignored: Counter[str] = Counter()
        all_named = True
        for entry in self._listing.entries():
            match entry:
                case FoundFile():
                    yield self._upsert(entry)
                case Unreadable():
                    all_named = all_named and not entry.hides_documents
                    yield Failed(entry.document_id, entry.reason)
                case Ignored():
                    ignored[entry.kind] += 1
        self._ignored = MappingProxyType(dict(ignored.most_common()))
        if ignored:
            kinds = ", ".join(f"{count} {kind}" for kind, count in ignored.most_common())
            logger.info("%s: %d files ignored (%s)", self._name, ignored.total(), kinds)
        if all_named:
            yield Complete()

    def _upsert(self, file: FoundFile) -> Upsert:
        load = partial(
            load_file, file, root=self._listing.root, max_file_bytes=self._max_file_bytes
        )
        return Upsert(file.document_id, revision_of(file), load)


def revision_of(file: FoundFile) -> str:
    """Size, time of change, and the version of the parsers, which also change the text."""
    return f"{file.size}-{file.mtime_ns}-p{PARSERS_VERSION}"


def load_file(file: FoundFile, *, root: Path, max_file_bytes: int) -> Document:
    """Read and parse one file as it was when it was listed.

    Args:
        file: What the listing found.
        root: Folder the file must still be in when its links are resolved.
        max_file_bytes: Larger files are refused.

    Returns:
        The document; its title is the file's name where the file has none.

    Raises:
        DocumentError: the file is too large, has changed or gone since, or can't be parsed.
    """
    if file.size > max_file_bytes:
        raise DocumentError(
            f"{file.size} bytes, more than this source's `max_file_bytes` of {max_file_bytes}"
        )
    parsed = parse_file(_read_unchanged(file, root=root), name=file.path.name)
    return Document(
        id=file.document_id,
        text=parsed.text,
        title=parsed.title or file.path.stem,
        uri=file.path.as_uri(),
        metadata={**parsed.metadata, "format": file.path.suffix.lower().removeprefix(".")},
        page_starts=parsed.page_starts,
        headings=parsed.headings,
    )


def _read_unchanged(file: FoundFile, *, root: Path) -> bytes:
    try:
        real = Path(os.path.realpath(file.path, strict=True))
        if not real.is_relative_to(root):
            raise DocumentError("became a link out of the source's folder since it was listed")
        _check_unchanged(file, real.stat())  # before opening, which would wait on a named pipe
        with real.open("rb") as stream:
            content = stream.read(file.size + 1)
            _check_unchanged(file, os.fstat(stream.fileno()))
    except FileNotFoundError as exc:
        raise DocumentError("gone since it was listed; run again") from exc
    except OSError as exc:
        raise DocumentError(f"the file can't be read: {exc.strerror}") from exc
    return content


def _check_unchanged(file: FoundFile, status: os.stat_result) -> None:
    if (status.st_size, status.st_mtime_ns) != (file.size, file.mtime_ns):
        raise DocumentError("changed since it was listed; run again")
