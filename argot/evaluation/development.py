"""Judged queries of the user's own, as the development set of a training run."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from adapters_training.selection.development import JUDGED, DevelopmentSet, draw_passages
from adapters_training.text.documents import TrainingText
from argot.errors import SettingsError
from retriever.evaluation.judgements import Judgements, read_beir


def read_development_set(
    folder: Path,
    *,
    split: str = "dev",
    query_instruction: str = "",
    max_queries: int,
    max_passages: int,
    seed: int,
) -> DevelopmentSet:
    """Read a folder in BEIR's layout; what is too large to be ranked again and again is drawn from.

    Args:
        folder: ``corpus.jsonl``, ``queries.jsonl`` and qrels; each may end in ``.gz``.
        split: Of the qrels; in a folder without splits ``qrels.tsv`` is read.
        query_instruction: The encoder's.
        max_queries: At most.
        max_passages: At most, unless more are needed as answers.
        seed: Decides which.

    Returns:
        Queries with at least one relevant document; a document counts by its beginning.

    Raises:
        SettingsError: no relevant document is in the corpus.
        JudgementsError: queries or qrels can't be read.
    """
    judgements = read_beir(folder, split=split)
    corpus = dict(read_corpus(folder))
    rng = np.random.default_rng(seed)
    answers = relevant_texts(judgements, corpus)
    if not answers:
        raise SettingsError(
            f"a development set needs queries with a relevant document in its corpus; {folder} "
            f"has none in the split {split!r}"
        )
    drawn = sorted(rng.permutation(len(answers))[:max_queries])
    chosen = [list(answers.items())[i] for i in drawn]
    needed = [text for _, texts in chosen for text in texts]
    passages = draw_passages(needed, corpus.values(), most=max_passages, rng=rng)
    places = {text: place for place, text in enumerate(passages)}
    return DevelopmentSet(
        queries=tuple(judgements.queries[id_] for id_, _ in chosen),
        passages=passages,
        relevant=tuple(frozenset(places[text] for text in texts) for _, texts in chosen),
        origin=JUDGED,
        kinds=("judged",) * len(chosen),
        instructions=(query_instruction,) * len(chosen),
    )


def relevant_texts(judgements: Judgements, corpus: dict[str, str]) -> dict[str, list[str]]:
    """List the relevant documents of each query that are in the corpus; no query without one."""
    found = {
        query: [corpus[id_] for id_, grade in grades.items() if grade > 0 and id_ in corpus]
        for query, grades in judgements.grades.items()
    }
    return {query: texts for query, texts in found.items() if texts}


def read_corpus(folder: Path) -> Iterator[tuple[str, str]]:
    """Read ids and texts, with their titles as an encoder is given them.

    Raises:
        SettingsError: there is no corpus, or a line is no document; it names file and line.
    """
    plain, zipped = folder / "corpus.jsonl", folder / "corpus.jsonl.gz"
    path = plain if plain.is_file() else zipped
    opener = gzip.open if path is zipped else open
    try:
        with opener(path, "rt", encoding="utf-8-sig") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield parse_document(line, where=f"{path}:{number}")
    except (OSError, EOFError, UnicodeDecodeError) as exc:
        raise SettingsError(
            f"a development set needs corpus.jsonl; it can't be read: {exc}"
        ) from exc


def parse_document(line: str, *, where: str) -> tuple[str, str]:
    """Read one line of a corpus.

    Raises:
        SettingsError: it is no document.
    """
    try:
        record = json.loads(line)
    except ValueError as exc:
        raise SettingsError(f"{where}: a document must be a JSON object; {exc}") from exc
    if not (
        isinstance(record, dict)
        and isinstance(record.get("_id"), str | int)
        and isinstance(record.get("text"), str)
    ):
        raise SettingsError(f'{where}: a document must have "_id" and "text"; got {line[:80]!r}')
    title = record.get("title")
    item = TrainingText(text=record["text"], title=title if isinstance(title, str) else "")
    return str(record["_id"]), item.whole
