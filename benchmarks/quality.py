"""Retrieval quality of encoders on judged collections, beside BM25 and fused with it.

Every document is one text. How the fusion is done (method, share of the dense side, constant) is
chosen on each collection's train split (``dev`` where there is no train); for a company without
judged queries it is chosen on the train splits of the other collections. The figures are of the
test split. Prints a JSON line for each collection and ranking, then a table.

    python benchmarks/quality.py COLLECTION... --encoder [NAME=]FOLDER... [--cache DIR]
        [--split test|train] [--dimensions N]
"""

import argparse
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import numpy as np

from adapters_training.ranking import Ranking, VectorRanker, WordRanker
from encoder.base import DenseEncoder, FloatArray
from encoder.llm2vec import LLM2VecEncoder
from encoder.sentence_encoder import SentenceEncoder
from retriever.candidates import fuse
from retriever.evaluation.evaluation import EvaluationReport, compare, evaluate
from retriever.evaluation.judgements import Judgements, read_beir
from retriever.settings import FUSIONS, SearchSettings

DEPTH = 100
RRF_K = (5, 20, 60)
DENSE_SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
CHOICES = tuple(
    SearchSettings(fusion=fusion, rrf_k=k, dense_weight=share, sparse_weight=1 - share)
    for fusion in FUSIONS
    for k in (RRF_K if fusion == "rrf" else (60,))
    for share in DENSE_SHARES
)
METRICS = ("ndcg@10", "recall@100")

Ranked = list[list[tuple[str, float]]]
"""Ids of each query with their scores, best first."""


@dataclass(frozen=True)
class Collection:
    """A judged collection in BEIR's layout."""

    name: str
    ids: list[str]
    texts: list[str]
    test: Judgements
    train: Judgements


def main() -> None:
    """Measure every encoder on every collection."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("collections", type=Path, nargs="+")
    parser.add_argument("--encoder", action="append", default=[], metavar="[NAME=]FOLDER")
    parser.add_argument("--cache", type=Path, default=Path("vectors"))
    parser.add_argument("--split", choices=("test", "train"), default="test")
    parser.add_argument("--dimensions", type=int)
    options = parser.parse_args()
    options.cache.mkdir(parents=True, exist_ok=True)
    collections = [read_collection(path) for path in options.collections]
    scores: dict[str, list[float]] = {}
    words = {c.name: rank_words(c) for c in collections}
    for c in collections:
        show(c, "BM25", measure(c, options.split, words[c.name][options.split]), scores)
    for chosen in options.encoder:
        name, _, folder = chosen.rpartition("=")
        encoder = load(Path(folder))
        dense = {c.name: rank_vectors(c, encoder, options) for c in collections}
        show_encoder(
            name or Path(folder).name, collections, dense, words, scores, split=options.split
        )
    print("| ranking | " + " | ".join(c.name for c in collections) + " | mean |")
    print("|---" * (len(collections) + 2) + "|")
    for name, values in scores.items():
        cells = " | ".join(f"{value:.3f}" for value in [*values, fmean(values)])
        print(f"| {name} | {cells} |")


def read_collection(folder: Path) -> Collection:
    """Read the texts and both splits."""
    lines = (folder / "corpus.jsonl").read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    train = "train" if (folder / "qrels_train.tsv").exists() else "dev"
    return Collection(
        name=folder.resolve().name,
        ids=[record["_id"] for record in records],
        texts=["\n".join(filter(None, (r.get("title", ""), r["text"]))) for r in records],
        test=read_beir(folder, split="test"),
        train=read_beir(folder, split=train),
    )


def load(folder: Path) -> DenseEncoder:
    """Load an Argot encoder, a decoder, or a sentence-transformers folder."""
    ours = (folder / "encoder.json").exists() or not (folder / "modules.json").exists()
    return LLM2VecEncoder.load(folder) if ours else SentenceEncoder.load(folder)


def rank_words(collection: Collection) -> dict[str, Ranked]:
    """Rank by BM25, for both splits."""
    ranker = WordRanker(collection.texts)
    found = {
        split: named(collection, ranker.rank(list(judged.queries.values()), k=DEPTH))
        for split, judged in splits(collection)
    }
    # As in an index, a document without any word of the query is not found.
    return {
        split: [[(id_, score) for id_, score in row if score > 0] for row in rows]
        for split, rows in found.items()
    }


def rank_vectors(
    collection: Collection, encoder: DenseEncoder, options: argparse.Namespace
) -> dict[str, Ranked]:
    """Rank by an encoder's vectors, for both splits."""
    vectors = cached_vectors(collection, encoder, options.cache)
    kept = vectors[:, : options.dimensions]
    ranker = VectorRanker(
        kept / np.linalg.norm(kept, axis=1, keepdims=True),
        lambda texts: encoder.encode_queries(texts, dimensions=options.dimensions),
    )
    return {
        split: named(collection, ranker.rank(list(judged.queries.values()), k=DEPTH))
        for split, judged in splits(collection)
    }


def show_encoder(
    name: str,
    collections: Sequence[Collection],
    dense: Mapping[str, Mapping[str, Ranked]],
    words: Mapping[str, Mapping[str, Ranked]],
    scores: dict[str, list[float]],
    *,
    split: str,
) -> None:
    """Print an encoder alone, fused at equal weights, and fused as other queries like it best."""
    quality = {
        c.name: [
            measure(c, "train", fused(dense[c.name]["train"], words[c.name]["train"], choice))
            .metrics["ndcg@10"]
            .value
            for choice in CHOICES
        ]
        for c in collections
    }
    for c in collections:
        baseline = measure(c, split, words[c.name][split])
        sides = dense[c.name][split], words[c.name][split]
        show(c, f"{name} dense", measure(c, split, sides[0]), scores, baseline)
        others = [values for other, values in quality.items() if other != c.name]
        for kind, values in (
            ("equal weights", None),
            ("tuned on train", quality[c.name]),
            ("tuned on the others", np.mean(others, axis=0).tolist() if others else None),
        ):
            choice = CHOICES[int(np.argmax(values))] if values else SearchSettings()
            report = measure(c, split, fused(*sides, choice))
            show(c, f"{name} hybrid, {kind}", report, scores, baseline, described(choice))


def fused(dense: Ranked, words: Ranked, settings: SearchSettings) -> Ranked:
    """Fuse two rankings of each query as a search does."""
    return [
        fuse({"dense": a, "sparse": b}, settings=settings)
        for a, b in zip(dense, words, strict=True)
    ]


def described(choice: SearchSettings) -> dict[str, object]:
    """Name what was chosen."""
    constant = {"k": choice.rrf_k} if choice.fusion == "rrf" else {}
    return {"fusion": choice.fusion, "share": choice.dense_weight, **constant}


def measure(collection: Collection, split: str, ranked: Ranked) -> EvaluationReport:
    """Compare rankings with the judgements of a split."""
    judged = dict(splits(collection))[split]
    of_query = dict(zip(judged.queries.values(), ranked, strict=True))
    return evaluate(
        lambda texts: [of_query[text] for text in texts],
        judged,
        rng=np.random.default_rng(0),
        metrics=METRICS,
    )


def splits(collection: Collection) -> Iterator[tuple[str, Judgements]]:
    """Both splits by name."""
    yield "test", collection.test
    yield "train", collection.train


def named(collection: Collection, ranking: Ranking) -> Ranked:
    """Positions to ids; a score that nothing stands for is left out."""
    return [
        [(collection.ids[i], score) for i, score in zip(*row, strict=True) if i >= 0]
        for row in zip(ranking.positions.tolist(), ranking.scores.tolist(), strict=True)
    ]


def cached_vectors(collection: Collection, encoder: DenseEncoder, cache: Path) -> FloatArray:
    """Encode the documents, once for each encoder."""
    key = hashlib.sha256("\0".join([encoder.fingerprint, *collection.texts]).encode()).hexdigest()
    path = cache / f"{key[:32]}.npy"
    if not path.exists():
        np.save(path, encoder.encode_documents(collection.texts))
    vectors: FloatArray = np.load(path)
    return vectors


def show(
    collection: Collection,
    name: str,
    report: EvaluationReport,
    scores: dict[str, list[float]],
    baseline: EvaluationReport | None = None,
    details: Mapping[str, object] | None = None,
) -> None:
    """Print a ranking's figures."""
    line: dict[str, object] = {"collection": collection.name, "ranking": name, **(details or {})}
    for metric, interval in report.metrics.items():
        line[metric] = [round(v, 4) for v in (interval.value, interval.low, interval.high)]
    if baseline is not None:
        difference = compare(report, baseline, rng=np.random.default_rng(0))["ndcg@10"]
        line["against BM25"] = {
            "difference": round(difference.difference, 4),
            "p": round(difference.p_value, 4),
        }
    print(json.dumps(line), flush=True)
    scores.setdefault(name, []).append(report.metrics["ndcg@10"].value)


if __name__ == "__main__":
    main()
