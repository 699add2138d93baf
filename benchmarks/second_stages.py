"""What each second stage adds and costs, on a fixed sample of a judged collection's test queries.

The same candidates of the first stage go to every reranker; an expander changes the first stage.
Prints a JSON line for each stage: nDCG@10 with its 95 % interval, the difference to the first stage
alone with the p value of a paired test, and milliseconds for each query, models loaded.

    python benchmarks/second_stages.py COLLECTION... [--encoder FOLDER] [--cross-encoder FOLDER]
        [--language-model FOLDER] [--mode sparse|dense|hybrid] [--stages NAME...]
        [--rerank-weights 1 0.5] [--queries 100] [--candidates 50] [--text-tokens 384]
        [--new-tokens 128] [--encode-once] [--vectors FOLDER] [--quantization NAME]

A reranker reads each query once: with every weight but the first it is remembered, and times of
these lines say nothing. With --encode-once, late interaction encodes a candidate once for all
queries, and what it says of milliseconds is no use. --vectors keeps the vectors of chunks, so that
several runs encode them once, and one that was stopped goes on.

With --quantization the first stage compares vectors by their codes alone, and the stage rescore is
the comparison of its candidates by whole vectors.

Late interaction needs an encoder; the language model is, unless it is named, the one that the
encoder was made of. Stages without their model are left out, as is HyDE in mode sparse: it changes
vectors, and not words.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import get_args

import numpy as np
import torch
import transformers
from second_stages_kept import Remembering, encode_once, keep_vectors

from argot.encoders import load_encoder_with_generator
from argot.ingestion import ingest
from argot.paths import ProjectPaths
from argot.searching import open_search
from argot.settings import EncoderChoice, IndexChoice, ProjectSettings
from argot.stage_settings import (
    CROSS_ENCODER,
    EXPANDERS,
    LATE_INTERACTION,
    LLM,
    MULTI_QUERY,
    QUERY_LIKELIHOOD,
    RERANKERS,
    StageSettings,
)
from argot.stages import StageModels, Stages
from connectors.registry import SourceSettings
from encoder.llm2vec import LLM2VecEncoder
from encoder.loading import Decoder
from indexing.reduction.settings import Quantization
from retriever.evaluation.evaluation import EvaluationReport, compare, evaluate
from retriever.evaluation.judgements import Judgements, read_beir
from retriever.plan import HYDE
from retriever.search import Searcher
from retriever.settings import MODES, OFF, SearchSettings

METRIC = "ndcg@10"
RESCORE = "rescore"
SEED = 0


@dataclass(frozen=True)
class Models:
    """The encoder, if one was named, and the stages."""

    dense: LLM2VecEncoder | None
    stages: Stages
    names: tuple[str, ...]
    """Of the stages whose models are there."""


def main() -> None:
    """Measure every stage on every collection."""
    options = parse()
    models = load_models(options)
    wanted = options.stages or models.names
    missing = [name for name in wanted if name not in models.names]
    if missing:
        sys.exit(
            f"{missing[0]} needs --encoder, --cross-encoder, --language-model or --quantization; "
            "rescore and hyde a mode with vectors, too"
        )
    for collection in options.collections:
        judged = sample(read_beir(collection, split=options.split), count=options.queries)
        for line in measure(collection, judged, models, wanted=wanted, options=options):
            print(json.dumps(line | surroundings()), flush=True)


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("collections", type=Path, nargs="+")
    parser.add_argument("--split", default="test")
    parser.add_argument("--encoder", type=Path)
    parser.add_argument("--cross-encoder", type=Path)
    parser.add_argument("--language-model", type=Path)
    parser.add_argument("--dtype", choices=["float32", "bfloat16", "float16"])
    parser.add_argument("--mode", choices=MODES, default="sparse")
    parser.add_argument("--stages", nargs="+", choices=[RESCORE, *EXPANDERS, *RERANKERS])
    parser.add_argument("--rerank-weights", type=float, nargs="+", default=[1.0])
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--candidates", type=int, default=50)
    parser.add_argument("--text-tokens", type=int, default=StageSettings().text_tokens)
    parser.add_argument("--new-tokens", type=int, default=StageSettings().new_tokens)
    parser.add_argument("--encode-once", action="store_true")
    parser.add_argument("--vectors", type=Path)
    parser.add_argument("--quantization", choices=get_args(Quantization), default="none")
    options = parser.parse_args()
    if options.encoder is None and options.vectors is not None:
        parser.error("--vectors needs --encoder")
    if options.mode != "sparse" and options.encoder is None:
        parser.error(f"mode {options.mode} needs --encoder")
    return options


def load_models(options: argparse.Namespace) -> Models:
    """Load the encoder with its language model, and name the stages that can be made."""
    choice = EncoderChoice(model=str(options.encoder or ""), dtype=options.dtype)
    dense, base = None, None
    if options.encoder is not None:
        pair = load_encoder_with_generator(choice, None)
        dense, base = pair.encoder, Decoder(pair.generator, pair.tokenizer)
        if options.encode_once:
            encode_once(dense)
        if options.vectors is not None:
            keep_vectors(dense, options.vectors)
    settings = StageSettings(
        cross_encoder=str(options.cross_encoder or ""),
        language_model=str(options.language_model or ""),
        text_tokens=options.text_tokens,
        new_tokens=options.new_tokens,
    )

    def own_base() -> Decoder:
        if base is None:
            raise ValueError("this stage needs --encoder or --language-model")
        return base

    made = StageModels(settings, paths=None, hardware=choice)
    has_writer = base is not None or options.language_model is not None
    names = {
        RESCORE: options.quantization != "none" and options.mode != "sparse",
        MULTI_QUERY: has_writer,
        HYDE: has_writer and options.mode != "sparse",  # it changes vectors, not words
        CROSS_ENCODER: options.cross_encoder is not None,
        LLM: has_writer,
        QUERY_LIKELIHOOD: has_writer,
        LATE_INTERACTION: dense is not None,
    }
    stages = made.stages(encoder=lambda: dense, base=own_base)
    remembering = {name: Remembering(reranker) for name, reranker in stages.rerankers.items()}
    return Models(
        dense,
        replace(stages, rerankers=remembering),
        tuple(name for name, there in names.items() if there),
    )


def sample(judged: Judgements, *, count: int) -> Judgements:
    """Draw queries that have a relevant document, always the same ones."""
    ids = [id_ for id_ in judged.queries if max(judged.grades[id_].values()) > 0]
    rng = np.random.default_rng(SEED)
    drawn = rng.choice(len(ids), size=min(count, len(ids)), replace=False)
    kept = [ids[i] for i in sorted(drawn)]
    return Judgements(
        {id_: judged.queries[id_] for id_ in kept}, {id_: judged.grades[id_] for id_ in kept}
    )


def measure(
    collection: Path,
    judged: Judgements,
    models: Models,
    *,
    wanted: Sequence[str],
    options: argparse.Namespace,
) -> Iterator[dict[str, object]]:
    """Index a collection for this run only, then search it with no stage and with each."""
    settings = ProjectSettings(
        sources=(SourceSettings(name="beir", path=collection, type="jsonl"),),
        index=IndexChoice(quantization=options.quantization),
    )
    count = options.candidates
    search = SearchSettings(mode=options.mode, depth=count, rerank_depth=count)
    with tempfile.TemporaryDirectory(prefix="argot-stages-") as scratch:
        paths = ProjectPaths(Path(scratch))
        ingest(paths, settings, dense=None if options.mode == "sparse" else models.dense)
        with open_search(
            paths,
            settings=search,
            access=settings.access,
            load_dense=lambda _: models.dense,
            stages_for=lambda _: models.stages,
        ) as session:
            first: EvaluationReport | None = None
            for name, weight in each_stage(wanted, weights=options.rerank_weights):
                rescore = name == RESCORE or options.quantization == "none"
                report, milliseconds = measure_stage(
                    session.searcher, judged, name, limit=count, weight=weight, rescore=rescore
                )
                first = first or report
                yield {
                    "collection": collection.resolve().name,
                    "first_stage": options.mode,
                    "stage": name,
                    "rerank_weight": weight,
                    "quantization": options.quantization,
                    "queries": len(report.per_query),
                    "candidates": count,
                    METRIC: interval(report),
                    "against_first": difference(report, first),
                    "ms_per_query": milliseconds,
                }


def each_stage(wanted: Sequence[str], *, weights: Sequence[float]) -> Iterator[tuple[str, float]]:
    """Give the first stage alone, then every stage, a reranker with each weight."""
    yield OFF, 1.0
    for name in wanted:
        for weight in weights if name in RERANKERS else (1.0,):
            yield name, weight


def measure_stage(
    searcher: Searcher,
    judged: Judgements,
    name: str,
    *,
    limit: int,
    weight: float,
    rescore: bool,
) -> tuple[EvaluationReport, dict[str, float]]:
    """Rank query by query, as they come to a server, and time each."""
    seconds: list[float] = []

    def timed(query: str) -> list[tuple[str, float]]:
        began = perf_counter()
        (ranking,) = searcher.rank_documents(
            [query],
            limit=limit,
            rerank=name if name in RERANKERS else OFF,
            rerank_weight=weight,
            expand=name if name in EXPANDERS else OFF,
            rescore=rescore,
        )
        seconds.append(perf_counter() - began)
        return ranking

    timed("What is loaded lazily?")  # not counted
    seconds.clear()
    report = evaluate(
        lambda queries: [timed(query) for query in queries],
        judged,
        rng=np.random.default_rng(SEED),
        metrics=[METRIC],
    )
    taken = 1000 * np.asarray(seconds)
    return report, {
        "mean": round(float(taken.mean()), 1),
        "median": round(float(np.median(taken)), 1),
        "p95": round(float(np.quantile(taken, 0.95)), 1),
    }


def interval(report: EvaluationReport) -> dict[str, float]:
    """Mean and bounds, rounded."""
    mean = report.metrics[METRIC]
    return {"value": round(mean.value, 4), "low": round(mean.low, 4), "high": round(mean.high, 4)}


def difference(report: EvaluationReport, first: EvaluationReport) -> dict[str, float]:
    """The paired difference to the first stage alone."""
    found = compare(report, first, rng=np.random.default_rng(SEED))[METRIC]
    return {"difference": round(found.difference, 4), "p": round(found.p_value, 4)}


def surroundings() -> dict[str, object]:
    """What the numbers depend on beside the models."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    return {
        "commit": commit.stdout.strip(),
        "command": " ".join(["python", *sys.argv]),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }


if __name__ == "__main__":
    main()
