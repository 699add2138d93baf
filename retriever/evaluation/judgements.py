"""Queries and the documents judged relevant to them, read from BEIR and TREC files."""

import gzip
import json
import logging
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from retriever.errors import JudgementsError

logger = logging.getLogger(__name__)

_SCORE_HEADINGS = {"score", "relevance", "rel", "grade", "label", "judgement", "judgment"}


@dataclass(frozen=True, slots=True)
class Judgements:
    """Queries that have been judged, with the grades of their documents."""

    queries: Mapping[str, str]
    """Text by query id, in the order of the file."""

    grades: Mapping[str, Mapping[str, int]]
    """Grade by document id, by query id; the same keys as `queries`. Above 0 is relevant."""


def read_beir(folder: Path, *, split: str = "test") -> Judgements:
    """Read the judged queries of one split of a folder in BEIR's layout.

    The qrels are the first there is of ``qrels/SPLIT.tsv`` and ``qrels_SPLIT.tsv``; in a folder
    that has no splits, ``qrels.tsv``. Each file may also end in ``.gz``.

    Args:
        folder: Holds ``queries.jsonl`` and the qrels.
        split: Usually ``train``, ``dev`` or ``test``.

    Returns:
        Queries with a judgement in that split.

    Raises:
        JudgementsError: a file is missing or can't be read, or nothing in it fits together.
    """
    queries = _existing(folder / "queries.jsonl")
    if queries is None:
        raise JudgementsError(f"{folder} holds no queries.jsonl, nor queries.jsonl.gz")
    return read_judgements(queries=queries, qrels=_qrels_file(folder, split=split))


def read_judgements(*, queries: Path, qrels: Path) -> Judgements:
    """Read queries and their qrels.

    Args:
        queries: JSON lines with ``_id`` and ``text``. Often holds the queries of all splits.
        qrels: Lines ``query document grade``, with or without headings, or TREC's four fields.

    Returns:
        The queries that are in both; judgements of queries that are not are left out with a
        warning.

    Raises:
        JudgementsError: a file can't be read, they share no query, or nothing is relevant.
    """
    texts = _read_queries(queries)
    grades = _read_qrels(qrels)
    unknown = [id_ for id_ in grades if id_ not in texts]
    if len(unknown) == len(grades):
        raise JudgementsError(
            f"no query of {queries} is judged in {qrels}\n"
            f"hint: the ids must agree; the qrels start with {next(iter(grades), 'nothing')!r}"
        )
    if unknown:
        logger.warning(
            "%s judges %d queries that %s does not hold, such as %r; they are left out",
            *(qrels, len(unknown), queries, unknown[0]),
        )
    judged = {id_: text for id_, text in texts.items() if id_ in grades}
    if all(grade <= 0 for id_ in judged for grade in grades[id_].values()):
        raise JudgementsError(
            f"{qrels} must grade a document above 0, which is relevant, for a query of {queries}; "
            "all its grades are 0"
        )
    return Judgements(judged, {id_: grades[id_] for id_ in judged})


def _qrels_file(folder: Path, *, split: str) -> Path:
    for name in (f"qrels/{split}.tsv", f"qrels_{split}.tsv"):
        if found := _existing(folder / name):
            return found
    splits = sorted(
        {path.name.split(".")[0] for path in folder.glob("qrels/*.tsv*")}
        | {path.name.split(".")[0].removeprefix("qrels_") for path in folder.glob("qrels_*.tsv*")}
    )
    if splits:
        raise JudgementsError(
            f"{folder} has no qrels of the split {split!r}; it has {', '.join(splits)}"
        )
    if whole := _existing(folder / "qrels.tsv"):
        return whole
    raise JudgementsError(
        f"{folder} holds no qrels; looked for qrels/{split}.tsv, qrels_{split}.tsv and qrels.tsv"
    )


def _existing(path: Path) -> Path | None:
    zipped = path.with_name(path.name + ".gz")
    return path if path.is_file() else zipped if zipped.is_file() else None


def _read_queries(path: Path) -> dict[str, str]:
    texts: dict[str, str] = {}
    for number, line in _lines(path):
        try:
            record = json.loads(line)
        except json.JSONDecodeError as exc:
            raise JudgementsError(
                f"{path}:{number}: a line must be one JSON object; {exc}"
            ) from exc
        if not isinstance(record, dict):
            _refuse(path, number, "a line must be a JSON object", got=record)
        id_, text = record.get("_id"), record.get("text")
        if not isinstance(id_, str | int) or isinstance(id_, bool):
            _refuse(path, number, '"_id" must be a string', got=id_)
        if not isinstance(text, str):
            _refuse(path, number, '"text" must be a string', got=text)
        if str(id_) in texts:
            _refuse(path, number, "a query id may occur once", got=id_)
        texts[str(id_)] = text
    return texts


def _read_qrels(path: Path) -> dict[str, dict[str, int]]:
    grades: dict[str, dict[str, int]] = {}
    first = True
    for number, line in _lines(path):
        fields = line.split("\t") if "\t" in line else line.split()
        fields = [field.strip() for field in fields]
        heading, first = first and fields[-1].lower() in _SCORE_HEADINGS, False
        if heading:
            continue
        if len(fields) not in (3, 4):
            _refuse(path, number, "a line must hold 3 fields, or TREC's 4", got=line)
        # TREC: query, iteration, document, grade
        query, document, grade = fields[0], fields[-2], _grade(path, number, fields[-1])
        if grades.setdefault(query, {}).setdefault(document, grade) != grade:
            _refuse(path, number, f"{document!r} has another grade for {query!r} above", got=grade)
    return grades


def _grade(path: Path, number: int, field: str) -> int:
    try:
        return int(field)
    except ValueError:
        _refuse(path, number, "the grade, the last field, must be a whole number", got=field)


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines that are not blank, with their numbers from 1."""
    try:
        # utf-8-sig: some editors put a byte order mark before the first id
        opened = gzip.open if path.suffix == ".gz" else open
        with opened(path, "rt", encoding="utf-8-sig") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield number, line.rstrip("\r\n")
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as exc:
        raise JudgementsError(f"{path} can't be read: {exc}") from exc


def _refuse(path: Path, number: int, what: str, *, got: object) -> NoReturn:
    raise JudgementsError(f"{path}:{number}: {what}; got {got!r}")
