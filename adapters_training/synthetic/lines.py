"""What a model wrote, kept on disk as it is written, so that a restart need not write it again."""

import hashlib
import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path

from adapters_training.errors import TrainingPairsError

Lines = tuple[str | None, ...]
"""Continuations of one prompt; None: one that hadn't ended."""

logger = logging.getLogger(__name__)


class WrittenLines:
    """A JSONL file of prompts' digests and what was written behind them.

    One writer at a time. A line that a crash tore is passed over, and its prompt written again.
    """

    def __init__(self, path: Path) -> None:
        """Read what is there; the file and its folder are made when something is added.

        Raises:
            TrainingPairsError: it can't be read.
        """
        self._path = path
        self._found: dict[str, Lines] = {}
        try:
            text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
        except OSError as exc:
            raise TrainingPairsError(f"the written queries {path} can't be read: {exc}") from exc
        records = [_parse(line) for line in text.split("\n") if line]
        for record in records:
            self._found.update(record or {})
        if None in records:
            torn = records.count(None)
            logger.warning("%s: %d lines can't be read; these are written again", path, torn)

    def get(self, key: str) -> Lines | None:
        """Look up what was written; None: nothing yet."""
        return self._found.get(key)

    def add(self, records: Mapping[str, Lines]) -> None:
        """Append what was written, and wait until it is on the disk.

        Raises:
            TrainingPairsError: it could not be written.
        """
        text = "".join(
            json.dumps({"key": key, "lines": lines}) + "\n" for key, lines in records.items()
        )
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as file:
                file.write("\n" * _is_torn(self._path) + text)
                file.flush()
                os.fsync(file.fileno())
        except OSError as exc:
            raise TrainingPairsError(
                f"written queries must be kept in {self._path}: {exc}\n"
                "hint: free some space and resume; what is there is not lost"
            ) from exc
        self._found.update(records)


def digest(*parts: str) -> str:
    """SHA-256 of texts in their order."""
    whole = hashlib.sha256()
    for part in parts:
        encoded = part.encode("utf-8", "replace")
        whole.update(len(encoded).to_bytes(8, "big") + encoded)
    return whole.hexdigest()


def _parse(line: str) -> dict[str, Lines] | None:
    try:
        record = json.loads(line)
        key, lines = record["key"], tuple(record["lines"])
    except (ValueError, KeyError, TypeError):
        return None
    fits = isinstance(key, str) and all(isinstance(text, str | None) for text in lines)
    return {key: lines} if fits else None


def _is_torn(path: Path) -> bool:
    if path.stat().st_size == 0:
        return False
    with path.open("rb") as written:
        written.seek(-1, os.SEEK_END)
        return written.read(1) != b"\n"
