"""A query and the passage that answers it: the value, and reading them from files."""

import dataclasses
import difflib
import gzip
import hashlib
import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapters_training.errors import TrainingPairsError

logger = logging.getLogger(__name__)

ORIGINS = ("labelled", "structural", "synthetic")
FIELDS = ("query", "positive", "negatives", "instruction", "set")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One example of the contrastive stage."""

    query: str
    positive: str
    """A passage that answers the query, as it is indexed."""

    negatives: tuple[str, ...] = ()
    """Passages that look like an answer and are none, the hardest first."""

    instruction: str | None = None
    """Read before the query and not pooled; None: the encoder's."""

    set: str = ""
    """Name of the set; a batch is drawn from one set."""

    origin: str = "labelled"
    """``labelled``, ``structural`` or ``synthetic``."""


def read_pairs(paths: Iterable[Path]) -> Iterator[Pair]:
    """Read labelled pairs from JSON lines, also gzipped ones.

    A line holds ``query`` and ``positive``, and may hold ``negatives`` (a list), ``instruction``
    and ``set``; without ``set`` the file's name is the set's. Other fields are ignored, unless they
    look like one of these misspelt. A pair with an empty side is left out, and the log names it.

    Args:
        paths: Of ``.jsonl`` or ``.jsonl.gz`` files.

    Raises:
        TrainingPairsError: a file can't be read, holds no pair, or a line is no pair; it names file
            and line.
    """
    for path in paths:
        name = path.name.removesuffix(".gz").removesuffix(".jsonl")
        opener = gzip.open if path.suffix == ".gz" else open
        found = False
        try:
            with opener(path, "rt", encoding="utf-8-sig") as lines:
                for number, line in enumerate(lines, start=1):
                    if not line.strip():
                        continue
                    pair = parse_pair(line, where=f"{path}:{number}", default_set=name)
                    if pair.query and pair.positive:
                        found = True
                        yield pair
                    else:
                        logger.warning("%s:%d is left out: a side of it is empty", path, number)
        except (OSError, EOFError, UnicodeDecodeError) as exc:
            raise TrainingPairsError(f"the pairs file {path} can't be read: {exc}") from exc
        if not found:
            raise TrainingPairsError(
                f"a pairs file must hold a pair; {path} holds none\nhint: leave the file out"
            )


def parse_pair(line: str, *, where: str, default_set: str = "") -> Pair:
    """Read one line.

    Raises:
        TrainingPairsError: it is no pair.
    """
    try:
        record = json.loads(line)
    except ValueError as exc:
        raise TrainingPairsError(f"{where}: a pair must be a JSON object; {exc}") from exc
    if not isinstance(record, dict):
        raise TrainingPairsError(f"{where}: a pair must be a JSON object; got {line[:80]!r}")
    for field in sorted(record.keys() - set(FIELDS)):
        for meant in difflib.get_close_matches(field, FIELDS, n=1, cutoff=0.75):
            raise TrainingPairsError(
                f"{where}: a pair has {', '.join(FIELDS)}; got {field!r}\n"
                f"hint: did you mean {meant!r}? Fields with other names are ignored"
            )
    for name in ("query", "positive"):
        _require_text(record.get(name), name, where=where)
    negatives = record.get("negatives") or []
    if not isinstance(negatives, list):
        raise TrainingPairsError(f"{where}: `negatives` must be a list; got {negatives!r}"[:300])
    for negative in negatives:
        _require_text(negative, "negatives", where=where)
    for name in ("instruction", "set"):
        if not isinstance(record.get(name), str | None):
            raise TrainingPairsError(
                f"{where}: `{name}` must be a text; got {record[name]!r}"[:300]
            )
    return Pair(
        query=record["query"].strip(),
        positive=record["positive"].strip(),
        negatives=tuple(text for text in map(str.strip, negatives) if text),
        instruction=record.get("instruction"),
        set=record.get("set") or default_set,
    )


def pair_to_dict(pair: Pair) -> dict[str, Any]:
    """Turn a pair into JSON values."""
    return {**dataclasses.asdict(pair), "negatives": list(pair.negatives)}


def pair_from_dict(values: Mapping[str, Any]) -> Pair:
    """Make the pair that `pair_to_dict` described."""
    return Pair(**{**values, "negatives": tuple(values["negatives"])})


def digest_pairs(pairs: Iterable[Pair]) -> str:
    """Compute the SHA-256 of pairs in their order."""
    digest = hashlib.sha256()
    for pair in pairs:
        line = json.dumps(pair_to_dict(pair), ensure_ascii=True, sort_keys=True)
        digest.update(line.encode() + b"\n")
    return digest.hexdigest()


def _require_text(value: Any, name: str, *, where: str) -> None:  # noqa: ANN401 - a JSON value
    if not isinstance(value, str):
        raise TrainingPairsError(f"{where}: `{name}` must be text; got {value!r}"[:300])
