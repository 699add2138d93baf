"""Training text and pairs from judged collections: their corpora and train splits, no test query.

Writes ``OUT/text/NAME.jsonl`` and ``OUT/pairs/NAME.jsonl``, each collection a source and a set. A
pair's negatives are two other passages of its document, such as a site or a manual, where the
documents are in parts; `argot adapt` mines for the rest.

    python benchmarks/quality_data.py COLLECTION... --out OUT
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np

from retriever.evaluation.judgements import Judgements, read_beir

NEGATIVES = 2
MIN_PARTS = 8
"""Parts of a document from which on two of them at random answer the query by accident only."""

Record = dict[str, str]


def main() -> None:
    """Write the files of every collection."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("collections", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    for folder in options.collections:
        lines = (folder / "corpus.jsonl").read_text(encoding="utf-8").splitlines()
        records = {record["_id"]: record for record in map(json.loads, lines)}
        name = f"{folder.resolve().name}.jsonl"
        text = ({"title": r.get("title", ""), "text": r["text"]} for r in records.values())
        write(options.out / "text" / name, text)
        split = "train" if (folder / "qrels_train.tsv").exists() else "dev"
        judged = read_beir(folder, split=split)
        write(options.out / "pairs" / name, make_pairs(records, judged))


def make_pairs(records: Mapping[str, Record], judged: Judgements) -> Iterator[dict[str, object]]:
    """Pair each query with each of its relevant passages."""
    rng = np.random.default_rng(0)
    parts = defaultdict(list)
    for id_, record in records.items():
        if record.get("title"):
            parts[record["title"]].append(id_)
    for query_id, grades in judged.grades.items():
        answers = [id_ for id_, grade in grades.items() if grade > 0]
        for answer in answers:
            others = [id_ for id_ in parts[records[answer].get("title", "")] if id_ not in answers]
            enough = len(others) >= MIN_PARTS
            drawn = rng.choice(others, NEGATIVES, replace=False).tolist() if enough else []
            yield {
                "query": judged.queries[query_id],
                "positive": whole_text(records[answer]),
                "negatives": [whole_text(records[id_]) for id_ in drawn],
            }


def whole_text(record: Record) -> str:
    """Join title and text as they are indexed."""
    return "\n".join(filter(None, (record.get("title", ""), record["text"])))


def write(path: Path, records: Iterable[Mapping[str, object]]) -> None:
    """Write JSON lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


if __name__ == "__main__":
    main()
