"""What is in a folder: a deterministic walk that never leaves it.

Hidden files (a leading dot, or the `~$` of Office's lock files) are passed over without a word.
A link to a file inside the root counts as a file; links to folders, and links out of the root, are
not followed.
"""

import os
import stat
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from connectors.errors import SourceError
from connectors.globs import PathPatterns

LINK = "link"
SPECIAL = "special file"
_HIDDEN_PREFIXES = (".", "~$")


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundFile:
    """A regular file of the source."""

    path: Path
    document_id: str
    size: int
    """Bytes."""

    mtime_ns: int


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Something that is there and can't be looked at."""

    document_id: str
    reason: str
    hides_documents: bool = False
    """A folder: what is in it can't be named."""


@dataclass(frozen=True, slots=True)
class Ignored:
    """A file that no pattern excludes and that the source still does not take."""

    kind: str
    """Its extension in lower case, `LINK` or `SPECIAL`."""


Entry = FoundFile | Unreadable | Ignored


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderListing:
    """A folder and which of its files are wanted."""

    root: Path
    """Absolute and free of links."""

    include: PathPatterns
    """No pattern: everything."""

    exclude: PathPatterns
    extensions: frozenset[str]
    """In lower case, with their dots."""

    def entries(self) -> Iterator[Entry]:
        """List files by folder, each folder's own files first, all sorted by name.

        Raises:
            SourceError: the root can't be listed, or is another folder at the end.
        """
        before = _identity(self.root)
        named: set[str] = set()
        pending = [self.root]
        while pending:
            folder = pending.pop()
            try:
                with os.scandir(folder) as scanned:
                    children = sorted(scanned, key=lambda child: child.name)
            except OSError as exc:
                yield self._unlisted(folder, exc)
                continue
            folders: list[Path] = []
            for child in filter(self._is_open_to_us, children):
                if child.is_dir(follow_symlinks=False):
                    folders.append(Path(child.path))
                else:
                    yield from self._file(child, named=named)
            pending.extend(reversed(folders))
        if _identity(self.root) != before:
            raise SourceError(f"{self.root} was replaced while it was listed; run again")

    def _unlisted(self, folder: Path, error: OSError) -> Unreadable:
        if folder == self.root:
            raise SourceError(
                f"can't list the source folder {self.root}: {error.strerror}; "
                "check that it is mounted and readable"
            ) from error
        return Unreadable(
            _readable(self._relative(folder)),
            f"the folder can't be listed: {error.strerror}; nothing is deleted until it can",
            hides_documents=True,
        )

    def _is_open_to_us(self, child: os.DirEntry[str]) -> bool:
        if child.name.startswith(_HIDDEN_PREFIXES):
            return False
        return not self.exclude.match(self._relative(Path(child.path)))

    def _file(self, child: os.DirEntry[str], *, named: set[str]) -> Iterator[Entry]:
        path = Path(child.path)
        relative = self._relative(path)
        if self.include.compiled and not self.include.match(relative):
            return
        if child.is_symlink() and not self._is_inside(path):
            yield Ignored(LINK)
        elif path.suffix.lower() not in self.extensions:
            yield Ignored(path.suffix.lower() or "no extension")
        else:
            yield from _look_at(path, document_id=relative, named=named)

    def _is_inside(self, link: Path) -> bool:
        """Whether a link leads to a file inside the root that is not hidden."""
        try:
            target = Path(os.path.realpath(link, strict=True))
        except OSError:
            return False
        if not target.is_relative_to(self.root) or not target.is_file():
            return False
        return not any(
            part.startswith(_HIDDEN_PREFIXES) for part in target.relative_to(self.root).parts
        )

    def _relative(self, path: Path) -> str:
        return unicodedata.normalize("NFC", path.relative_to(self.root).as_posix())


def _look_at(path: Path, *, document_id: str, named: set[str]) -> Iterator[Entry]:
    if not _is_utf8(document_id):
        yield Unreadable(_readable(document_id), "the file name is not UTF-8; rename the file")
        return
    if document_id in named:
        reason = f"the same name as {document_id!r} in other code points; rename one of the two"
        yield Unreadable(f"{document_id} (spelled {path.name!a})", reason)
        return
    try:
        status = path.stat()
    except FileNotFoundError:
        return
    except OSError as exc:
        yield Unreadable(document_id, f"the file can't be looked at: {exc.strerror}")
        return
    named.add(document_id)
    if stat.S_ISREG(status.st_mode):
        yield FoundFile(
            path=path,
            document_id=document_id,
            size=status.st_size,
            mtime_ns=status.st_mtime_ns,
        )
    else:
        yield Ignored(SPECIAL)


def _identity(root: Path) -> tuple[int, int]:
    """Device and inode: another pair is another folder, as after an unmount."""
    try:
        status = root.stat()
    except OSError as exc:
        raise SourceError(
            f"the source folder {root} can't be reached: {exc.strerror}; check its path and mount"
        ) from exc
    if not stat.S_ISDIR(status.st_mode):
        raise SourceError(f"a folder source needs a folder; {root} is a file")
    return status.st_dev, status.st_ino


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _readable(name: str) -> str:
    """A path that can be shown and stored, whatever its bytes are."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
