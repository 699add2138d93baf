"""Read training text from folders, text files and JSON lines."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from adapters_training.errors import TrainingTextError
from adapters_training.text.documents import TrainingText

SUFFIXES = (".txt", ".md", ".jsonl")


def read_texts(paths: Iterable[Path]) -> Iterator[TrainingText]:
    """Read the texts of files, and of the files below folders, in the order of their names.

    What is hidden in a folder (a leading dot, such as a project's ``.argot``) is passed over.

    A ``.txt`` or ``.md`` file is one text; its folder is its source. A line of a ``.jsonl`` file is
    one text, with its ``title``, ``headings`` (a list) and ``source`` where it has them; else the
    file is its source.

    Args:
        paths: Files and folders.

    Yields:
        Texts as they stand in the files.

    Raises:
        TrainingTextError: a path does not exist, is no kind of file listed here, or can't be read.
    """
    for path in paths:
        for file in _files(path):
            if file.suffix == ".jsonl":
                yield from _read_jsonl(file)
            else:
                yield TrainingText(text=_read_text(file), source=file.parent.name)


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


def _read_jsonl(path: Path) -> Iterator[TrainingText]:
    try:
        with path.open(encoding="utf-8-sig") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield _parse_line(line, where=f"{path}:{number}", source=path.stem)
    except (OSError, UnicodeDecodeError) as exc:
        raise TrainingTextError(f"training text {path} can't be read: {exc}") from exc


def _parse_line(line: str, *, where: str, source: str) -> TrainingText:
    try:
        record = json.loads(line)
    except ValueError as exc:
        raise TrainingTextError(f"{where}: must be a JSON object; {exc}") from exc
    if not isinstance(record, dict) or not isinstance(record.get("text"), str):
        raise TrainingTextError(
            f'{where}: must be an object with "text", a string; got {line[:80]!r}'
        )
    title, headings = record.get("title"), record.get("headings")
    return TrainingText(
        text=record["text"],
        title=title if isinstance(title, str) else "",
        headings=tuple(map(str, headings)) if isinstance(headings, list) else (),
        source=str(record.get("source") or source),
    )
