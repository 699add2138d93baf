"""What `paper_orderings` measures: every pooling of a model on every task, and its words.

Figures are kept with their resamples, so that differences can be judged in pairs.
"""

import argparse
import gc
import json
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from adapters_training.ranking import VectorRanker
from argot.evaluation.searches import evaluate_tagging
from encoder.base import FloatArray
from encoder.llm2vec import LLM2VecEncoder
from encoder.pooling import POOLINGS, pool
from encoder.words import DecoderWordEncoder
from retriever.evaluation.evaluation import evaluate
from retriever.evaluation.judgements import read_beir
from retriever.evaluation.resampling import Measured, Values, draws
from retriever.evaluation.sts import measure_similarity, read_scored_pairs
from retriever.evaluation.tagging import read_conll

TEXTS_AT_ONCE = 256
DEPTH = 100

Figures = dict[str, Measured]
"""By task."""


def measure_model(
    name: str, folder: Path, options: argparse.Namespace, *, causal: bool
) -> dict[str, Figures]:
    """Measure a model: figures by pooling."""
    kept = options.folder / f"figures {name}.npz"
    if not kept.exists():
        encoder = LLM2VecEncoder.load(folder, causal=causal, max_tokens=options.max_tokens)
        figures: dict[str, Values] = {}
        for task, pooling, measured in measure_tasks(encoder, options):
            print(f"{name}, {pooling}, {task}: {measured.value:.3f}", flush=True)
            figures[f"{pooling}|{task}"] = np.array([measured.value, *measured.resamples])
        np.savez(kept, **figures)  # type: ignore[arg-type]
        gc.collect()
    found: dict[str, Figures] = {}
    with np.load(kept) as file:
        for key, values in file.items():
            pooling, task = key.split("|")
            found.setdefault(pooling, {})[task] = Measured(float(values[0]), values[1:])
    return found


def measure_tasks(
    encoder: LLM2VecEncoder, options: argparse.Namespace
) -> Iterator[tuple[str, str, Measured]]:
    """Measure an encoder: task, pooling, figure."""
    pairs = read_scored_pairs(options.sts)
    first, second = pooled(encoder, pairs.first), pooled(encoder, pairs.second)
    for pooling in POOLINGS:
        rng = np.random.default_rng(0)
        yield (
            options.sts.parent.name,
            pooling,
            measure_similarity(first[pooling], second[pooling], pairs.scores, rng=rng),
        )
    for collection in options.beir:
        for pooling, measured in measure_collection(encoder, collection).items():
            yield collection.resolve().name, pooling, measured


def measure_collection(encoder: LLM2VecEncoder, collection: Path) -> dict[str, Measured]:
    """Measure nDCG@10 on a collection's test split, by pooling."""
    lines = (collection / "corpus.jsonl").read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    ids = [record["_id"] for record in records]
    judged = read_beir(collection, split="test")
    asked = list(judged.queries.values())
    documents = pooled(
        encoder, ["\n".join(filter(None, (r.get("title", ""), r["text"]))) for r in records]
    )
    queries = pooled(encoder, asked)
    found = {}
    for pooling in POOLINGS:
        search = partial(
            ranked, ids=ids, asked=asked, documents=documents[pooling], vectors=queries[pooling]
        )
        report = evaluate(search, judged, rng=np.random.default_rng(0), metrics=("ndcg@10",))
        values = [value["ndcg@10"] for value in report.per_query.values()]
        found[pooling] = mean_of(np.array(values))
    return found


def pooled(encoder: LLM2VecEncoder, texts: Sequence[str]) -> dict[str, FloatArray]:
    """Read texts once and pool their states in every way: ``[N, D]`` each, unit norm."""
    parts: dict[str, list[torch.Tensor]] = {pooling: [] for pooling in POOLINGS}
    # Texts of like length share a batch only where they come together.
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    for start in range(0, len(order), TEXTS_AT_ONCE):
        for states in encoder.encode_tokens(
            [texts[i] for i in order[start : start + TEXTS_AT_ONCE]]
        ):
            hidden = torch.from_numpy(states)[None]
            mask = torch.ones(hidden.shape[:2], dtype=torch.bool)
            for pooling, vectors in parts.items():
                vectors.append(functional.normalize(pool(hidden, mask, pooling)))
    back = np.argsort(order)
    return {pooling: torch.cat(vectors).numpy()[back] for pooling, vectors in parts.items()}


def mean_of(values: Values) -> Measured:
    """Take a mean over queries, and resample them."""
    resamples = [values[drawn].mean() for drawn in draws(len(values), rng=np.random.default_rng(0))]
    return Measured(float(values.mean()), np.array(resamples))


def measure_words(name: str, folder: Path, options: argparse.Namespace, *, causal: bool) -> Figures:
    """Measure the linear probe on a model's states of words."""
    kept = options.folder / f"words {name}.npz"
    if not kept.exists():
        train, test = map(read_conll, options.words)
        encoder = DecoderWordEncoder.load(folder, causal=causal)
        report = evaluate_tagging(encoder, train=train, test=test)
        measures = {"accuracy": report.accuracy, **({"F1": report.f1} if report.f1 else {})}
        values = {key: np.array([m.value, *m.resamples]) for key, m in measures.items()}
        np.savez(kept, **values)  # type: ignore[arg-type]
    with np.load(kept) as file:
        return {key: Measured(float(v[0]), v[1:]) for key, v in file.items()}


def ranked(
    texts: Sequence[str],
    *,
    ids: Sequence[str],
    asked: Sequence[str],
    documents: FloatArray,
    vectors: FloatArray,
) -> list[list[tuple[str, float]]]:
    """Rank documents for texts, whose vectors are among those of all that is asked."""

    def encode(texts: Sequence[str]) -> FloatArray:
        return vectors[[asked.index(text) for text in texts]]

    found = VectorRanker(documents, encode).rank(texts, k=min(DEPTH, len(ids)))
    # The metrics sort by score: count down from the first.
    return [[(ids[p], -float(i)) for i, p in enumerate(row)] for row in found.positions.tolist()]
