"""How well the rule that refuses questions tells a collection's own questions from others'.

A question is answered if one of its best five hits by words holds a given share of the question's
words (`min_term_share` in `[ask]`). Each collection is asked 60 of its own judged queries, which it
should answer, and 60 of each other collection, which it should refuse. Prints a JSON line for each
pair, then the mean shares that are answered.

    python benchmarks/refusals.py COLLECTION COLLECTION...
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import numpy as np

from adapters_training.ranking import WordRanker
from encoder.bm25 import Bm25Encoder
from retriever.answering.relevance import relevance
from retriever.evaluation.judgements import read_beir
from retriever.results import Hit

SHARES = (0.34, 0.4, 0.5, 0.6, 0.67, 0.75)
QUESTIONS, DOCUMENTS, HITS = 60, 6000, 5


@dataclass(frozen=True)
class Collection:
    """A judged collection in BEIR's layout."""

    name: str
    texts: list[str]
    questions: list[str]


def main() -> None:
    """Ask every collection its own questions and the others'."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("collections", type=Path, nargs="+")
    collections = [read_collection(path) for path in parser.parse_args().collections]
    own: list[dict[float, float]] = []
    foreign: list[dict[float, float]] = []
    for collection in collections:
        ranker = WordRanker(collection.texts)
        for asked in collections:
            answered = shares_answered(collection, ranker, asked.questions)
            (own if asked is collection else foreign).append(answered)
            line = {"collection": collection.name, "questions of": asked.name}
            print(json.dumps({**line, "answered": answered}), flush=True)
    for name, found in (("own", own), ("others'", foreign)):
        means = {share: round(fmean(one[share] for one in found), 3) for share in SHARES}
        print(json.dumps({"questions": name, "answered": means}))


def read_collection(folder: Path) -> Collection:
    """Read texts and some test queries, the same ones every time."""
    lines = (folder / "corpus.jsonl").read_text(encoding="utf-8").splitlines()[:DOCUMENTS]
    records = [json.loads(line) for line in lines]
    texts = ["\n".join(filter(None, (one.get("title", ""), one["text"]))) for one in records]
    questions = list(read_beir(folder).queries.values())
    drawn = np.random.default_rng(0).permutation(len(questions))[:QUESTIONS].tolist()
    return Collection(folder.resolve().name, texts, [questions[place] for place in drawn])


def shares_answered(
    collection: Collection, ranker: WordRanker, questions: list[str]
) -> dict[float, float]:
    """Say which share of the questions would be answered, by `min_term_share`."""
    sparse = Bm25Encoder()
    best: list[float] = []
    for question, row in zip(questions, ranker.rank(questions, k=HITS).positions, strict=True):
        terms = sparse.terms(question)
        hits = [as_hit(collection.texts[place]) for place in row.tolist() if place >= 0]
        shares = [relevance(hit, terms=terms, sparse=sparse).term_share for hit in hits]
        best.append(max(shares, default=0.0))
    return {share: round(float(np.mean(np.array(best) >= share)), 3) for share in SHARES}


def as_hit(text: str) -> Hit:
    """Wrap a text as a search would give it."""
    return Hit(id="", source="", document_id="", text=text, score=0.0, dense=None, sparse=None)


if __name__ == "__main__":
    main()
