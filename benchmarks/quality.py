"""Retrieval quality of encoders on judged collections, beside BM25 and fused with it.

Every document is one text. Weight and constant of the fusion are chosen on each collection's train
split (``dev`` where there is no train), the figures are of its test split. Prints a JSON line for
each collection and ranking, then a table.

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

from adapters_training.ranking import VectorRanker, WordRanker
from encoder.base import DenseEncoder, FloatArray
from encoder.llm2vec import LLM2VecEncoder
from encoder.sentence_encoder import SentenceEncoder
from retriever.evaluation import EvaluationReport, compare, evaluate
from retriever.fusion import reciprocal_rank_fusion
from retriever.judgements import Judgements, read_beir

DEPTH = 100
RRF_K = (5, 10, 20, 60, 100)
DENSE_SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
METRICS = ("ndcg@10", "recall@100")

Ranked = list[list[str]]
"""Ids of each query, best first."""


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
        report = measure(c, options.split, words[c.name])
        show(c, "BM25", report, scores)
    for chosen in options.encoder:
        name, _, folder = chosen.rpartition("=")
        encoder = load(Path(folder))
        for c in collections:
            measured = dense_and_hybrid(c, encoder, words[c.name], options)
            baseline = measure(c, options.split, words[c.name])
            for kind, (report, details) in measured.items():
                show(c, f"{name or Path(folder).name} {kind}", report, scores, baseline, details)
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
    return {
        split: named(collection, ranker.rank(list(judged.queries.values()), k=DEPTH).positions)
        for split, judged in splits(collection)
    }


def dense_and_hybrid(
    collection: Collection,
    encoder: DenseEncoder,
    words: Mapping[str, Ranked],
    options: argparse.Namespace,
) -> dict[str, tuple[EvaluationReport, dict[str, float]]]:
    """Measure an encoder alone, fused with equal weights, and fused as the train split likes."""
    vectors = cached_vectors(collection, encoder, options.cache)
    kept = vectors[:, : options.dimensions]
    ranker = VectorRanker(
        kept / np.linalg.norm(kept, axis=1, keepdims=True),
        lambda texts: encoder.encode_queries(texts, dimensions=options.dimensions),
    )
    dense = {
        split: named(collection, ranker.rank(list(judged.queries.values()), k=DEPTH).positions)
        for split, judged in splits(collection)
    }
    share, k = tuned(collection, dense["train"], words["train"])
    split = options.split
    equal = fuse(dense[split], words[split], share=0.5, k=60)
    best = fuse(dense[split], words[split], share=share, k=k)
    return {
        "dense": (measure(collection, split, dense), {}),
        "hybrid": (measure(collection, split, {split: equal}), {}),
        "hybrid, tuned": (measure(collection, split, {split: best}), {"share": share, "k": k}),
    }


def tuned(collection: Collection, dense: Ranked, words: Ranked) -> tuple[float, int]:
    """Choose the dense side's share and the constant with the best nDCG@10 on the train split."""
    grid = [(share, k) for k in RRF_K for share in DENSE_SHARES]

    def quality(choice: tuple[float, int]) -> float:
        fused = fuse(dense, words, share=choice[0], k=choice[1])
        return measure(collection, "train", {"train": fused}).metrics["ndcg@10"].value

    return max(grid, key=quality)


def fuse(dense: Ranked, words: Ranked, *, share: float, k: int) -> Ranked:
    """Fuse two rankings of each query."""
    weights = {"dense": share, "words": 1 - share}
    return [
        [id_ for id_, _ in reciprocal_rank_fusion({"dense": a, "words": b}, k=k, weights=weights)]
        for a, b in zip(dense, words, strict=True)
    ]


def measure(collection: Collection, split: str, ranked: Mapping[str, Ranked]) -> EvaluationReport:
    """Compare rankings with the judgements of a split."""
    judged = dict(splits(collection))[split]
    # The metrics sort by score: count down from the first.
    scored = [[(id_, -float(i)) for i, id_ in enumerate(ids)] for ids in ranked[split]]
    rng = np.random.default_rng(0)
    of_query = dict(zip(judged.queries.values(), scored, strict=False))
    return evaluate(
        lambda texts: [of_query[text] for text in texts], judged, rng=rng, metrics=METRICS
    )


def splits(collection: Collection) -> Iterator[tuple[str, Judgements]]:
    """Both splits by name."""
    yield "test", collection.test
    yield "train", collection.train


def named(collection: Collection, positions: Sequence[Sequence[int]]) -> Ranked:
    """Positions to ids."""
    return [[collection.ids[i] for i in row if i >= 0] for row in positions]


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
    details: Mapping[str, float] | None = None,
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
