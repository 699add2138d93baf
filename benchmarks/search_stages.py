"""Where the time of a search goes on a large index, with a real encoder, and 32 queries at once.

    python benchmarks/search_stages.py --encoder FOLDER --collection BEIR_FOLDER
        [--chunks 100000] [--queries 200] [--real-texts 1400] [--indexes NAME...]
        [--rounds 10] [--cache DIR] [--plot FILE.svg]

Real are the encoder, the queries, and the first chunks: up to --real-texts texts of the collection
with the encoder's vectors, kept in --cache. The chunks beyond them are made of these by noise on
their vectors and by mixing their words (`search_stages_data.py`), as encoding 100,000 texts takes
hours on two cores: they tell times, and nothing of quality. Each query is encoded when it is
searched, alone, and goes through `Searcher` with the default settings over a published copy.

Stages: `encode` is the dense encoder; `dense` and `sparse` are the calls of the index, `sparse`
with the weighing of the query's terms; `access` is the question whether the index holds protected
chunks; `fuse` is all the rest: the fusion, explaining the hits, looking for a newer copy, and
projecting the query where the index is projected. Codes are rescored inside the engine's call:
`rescore` is how much longer the same call takes with rescoring than without it, as many candidates
in both, the shortest of three runs each; `dense` is without it. Of 32 queries, each is
timed from when all were submitted to its answer.

Prints a table, then a JSON line; `build_s` is with the making of the chunks. Nothing else may run
on the machine: a busy one shows at once in p95.
"""

import argparse
import asyncio
import json
import platform
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from engine import percentiles
from quality import cached_vectors, load, read_collection
from search_stages_data import SPREAD, Corpus, build
from search_stages_plot import STAGES, draw
from search_stages_rescoring import rescoring_seconds
from search_stages_timing import Stopwatch, TimedEncoder, TimedTerms, time_store
from second_stages import surroundings

from encoder.base import DenseEncoder
from encoder.bm25 import Bm25Encoder, Bm25Settings
from indexing.reduction.settings import ReductionSettings
from indexing.versions.published_reader import PublishedStore, open_published
from retriever.search import Searcher

INDEXES = {
    "whole": ReductionSettings(),
    "svd256-turbo8": ReductionSettings(projection="svd", dimensions=256, storage="turbo8"),
    "int8": ReductionSettings(quantization="int8"),
}
"""By name: everything kept; the smallest that kept 99 % of nDCG@10 in docs/experiments.md; codes,
rescored by the whole vectors."""

CONCURRENT = 32
WARM_UP = 5


def measure(
    indexes: Path, dense: DenseEncoder, queries: Sequence[str], *, rounds: int
) -> dict[str, Any]:
    """Search the live index for every query alone, then for many at once."""
    watch = Stopwatch()
    with open_published(indexes) as index:
        store = index.store
        if not isinstance(store, PublishedStore):
            sys.exit("searches must read a published copy, and there is none: is the disk full?")
        time_store(store, watch)
        searcher = Searcher(
            index,
            sparse=TimedTerms(Bm25Encoder(Bm25Settings(**index.version.bm25)), watch),
            dense=TimedEncoder(dense, watch),
            before_search=store.follow,
        )
        for query in queries[-WARM_UP:]:
            searcher.search(query)
        searches = [one_search(searcher, query, watch) for query in queries]
        concurrent = asyncio.run(at_once(searcher, queries, rounds=rounds))
        if store.spec.quantization != "none":
            vectors = dense.encode_queries(queries)
            folder = indexes / index.version.name
            extra = rescoring_seconds(
                folder, spec=store.spec, vectors=vectors, limit=searcher.settings.depth
            )
            searches = [split(*pair) for pair in zip(searches, extra, strict=True)]
    return {"ms": summary(searches), "concurrent": concurrent}


def one_search(searcher: Searcher, query: str, watch: Stopwatch) -> dict[str, float]:
    """Search once; return the seconds of each stage."""
    watch.seconds = {}
    began = perf_counter()
    searcher.search(query)
    total = perf_counter() - began
    return {**watch.seconds, "fuse": total - sum(watch.seconds.values())}


def split(seconds: Mapping[str, float], extra: float) -> dict[str, float]:
    """Set rescoring apart from the dense search that it is part of."""
    rescore = min(extra, seconds["dense"])
    return {**seconds, "dense": seconds["dense"] - rescore, "rescore": rescore}


async def at_once(searcher: Searcher, queries: Sequence[str], *, rounds: int) -> dict[str, Any]:
    """Search for many queries at the same time, again and again; the first round is not counted."""

    async def answered(query: str, submitted: float) -> float:
        await searcher.search_async(query)
        return 1000 * (perf_counter() - submitted)

    measured = []
    for number in range(rounds + 1):
        chosen = [queries[(number * CONCURRENT + i) % len(queries)] for i in range(CONCURRENT)]
        began = perf_counter()
        taken = await asyncio.gather(*(answered(query, began) for query in chosen))
        measured.append((max(taken), median(taken)))
    ratios = [slowest / middle for slowest, middle in measured[1:]]
    return {
        "queries": CONCURRENT,
        "rounds": [
            {"slowest_ms": round(slowest, 1), "median_ms": round(middle, 1)}
            for slowest, middle in measured[1:]
        ],
        "slowest_to_median": {"worst": round(max(ratios), 2), "median": round(median(ratios), 2)},
    }


def summary(searches: Sequence[Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """Return p50 and p95 in milliseconds of each stage, of whole searches and without encoding."""
    stages = {
        stage: [search.get(stage, 0.0) for search in searches]
        for stage in STAGES
        if any(stage in search for search in searches)
    }
    totals = [sum(search.values()) for search in searches]
    encoding = [search.get("encode", 0.0) for search in searches]
    without = [whole - part for whole, part in zip(totals, encoding, strict=True)]
    series = {**stages, "total": totals, "without encoding": without}
    return {name: percentiles([1000 * s for s in taken]) for name, taken in series.items()}


def table(measured: Mapping[str, Mapping[str, Any]]) -> str:
    """Write p50 / p95 in milliseconds, and the concurrent queries, as a table in markdown."""
    columns = (*STAGES, "total", "without encoding")
    lines = [["index", *(f"{name} p50 / p95 ms" for name in columns), f"{CONCURRENT} at once"]]
    lines.append(["---"] * len(lines[0]))
    for name, result in measured.items():
        cells = [
            f"{result['ms'][column]['p50']:g} / {result['ms'][column]['p95']:g}"
            if column in result["ms"]
            else ""
            for column in columns
        ]
        ratio = result["concurrent"]["slowest_to_median"]["worst"]
        lines.append([name, *cells, f"slowest {ratio:g} x the median"])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--encoder", type=Path, required=True)
    parser.add_argument("--collection", type=Path, required=True)
    parser.add_argument("--chunks", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--real-texts", type=int, default=1400)
    parser.add_argument("--indexes", nargs="+", choices=INDEXES, default=list(INDEXES))
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--cache", type=Path, default=Path("vectors"))
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    for name in ("chunks", "queries", "real_texts", "rounds"):
        if getattr(options, name) < 1:
            parser.error(f"--{name.replace('_', '-')} must be at least 1")
    return options


def main() -> None:
    """Build each index, search it, and show where the time went."""
    options = parse()
    dense, collection = load(options.encoder), read_collection(options.collection)
    queries = list({**collection.train.queries, **collection.test.queries}.values())
    queries = queries[: options.queries]
    real = options.real_texts
    collection = replace(collection, ids=collection.ids[:real], texts=collection.texts[:real])
    options.cache.mkdir(parents=True, exist_ok=True)
    vectors = cached_vectors(collection, dense, options.cache)
    corpus = Corpus(collection.texts, vectors, options.chunks)
    measured: dict[str, dict[str, Any]] = {}
    for name in options.indexes:
        print(f"{name}: {options.chunks} chunks", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory(prefix="argot-stages-") as folder:
            began = perf_counter()
            build(Path(folder), corpus, dense=dense, reduction=INDEXES[name])
            seconds = round(perf_counter() - began, 1)
            found = measure(Path(folder), dense, queries, rounds=options.rounds)
            measured[name] = {"build_s": seconds, **found}
    print(table(measured))
    line = {
        "collection": collection.name,
        "chunks": options.chunks,
        "real_texts": min(len(collection.texts), options.chunks),
        "spread": SPREAD,
        "queries": len(queries),
        "dimensions": dense.dimensions,
        "encoder": dense.fingerprint,
        "indexes": measured,
        "python": platform.python_version(),
        "qdrant_edge": version("qdrant-edge-py"),
    }
    print(json.dumps(line | surroundings()))
    if options.plot:
        options.plot.parent.mkdir(parents=True, exist_ok=True)
        draw(measured, options.plot, title=f"One search in {options.chunks:,} chunks")


if __name__ == "__main__":
    main()
