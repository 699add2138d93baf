"""Read training text from folders, text files and JSON lines."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from adapters_training.errors import TrainingTextError

SUFFIXES = (".txt", ".md", ".jsonl")


def read_texts(paths: Iterable[Path]) -> Iterator[str]:
    """Read the texts of files, and of the files below folders, in the order of their names.

    What is hidden in a folder (a leading dot, such as a project's ``.argot``) is passed over.

    A ``.txt`` or ``.md`` file is one text. A line of a ``.jsonl`` file is one text: its ``title``,
    where it has one, then its ``text``.

    Args:
        paths: Files and folders.

    Yields:
        Texts as they stand in the files.

    Raises:
        TrainingTextError: a path does not exist, is no kind of file listed here, or can't be read.
    """
    for path in paths:
        for file in _files(path):
            yield from _read_jsonl(file) if file.suffix == ".jsonl" else [_read_text(file)]


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        found = sorted(file for file in path.rglob("*") if _is_text(file, below=path))
        if not found:
            raise TrainingTextError(
                f"a folder of training text must hold {', '.join(SUFFIXES)} files; "
                f"{path} holds none"
            )
        return found
    if path.suffix not in SUFFIXES:
        raise TrainingTextError(
            f"training text must be a folder or a {', '.join(SUFFIXES)} file; got {path}"
        )
    return [path]


def _is_text(file: Path, *, below: Path) -> bool:
    hidden = any(part.startswith(".") for part in file.relative_to(below).parts)
    return file.suffix in SUFFIXES and not hidden and file.is_file()


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig", errors="replace")
    except OSError as exc:
        raise TrainingTextError(f"training text can't be read: {exc}") from exc


def _read_jsonl(path: Path) -> Iterator[str]:
    try:
        with path.open(encoding="utf-8-sig") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield _parse_line(line, where=f"{path}:{number}")
    except (OSError, UnicodeDecodeError) as exc:
        raise TrainingTextError(f"training text {path} can't be read: {exc}") from exc


def _parse_line(line: str, *, where: str) -> str:
    try:
        record = json.loads(line)
    except ValueError as exc:
        raise TrainingTextError(f"{where}: must be a JSON object; {exc}") from exc
    if not isinstance(record, dict) or not isinstance(record.get("text"), str):
        raise TrainingTextError(
            f'{where}: must be an object with "text", a string; got {line[:80]!r}'
        )
    title = record.get("title")
    return f"{title}\n\n{record['text']}" if isinstance(title, str) and title else record["text"]
