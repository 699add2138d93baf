"""Smaller vectors on judged collections: quality, bytes on disk and latency of every option.

What `argot index tune` measures, for an encoder and whole collections, and the mean of the share of
the whole vectors' nDCG@10 that each option keeps. Bytes are all that dense search reads, the
originals that codes are rescored with included. Prints a JSON line for each collection and option,
then a table.

    python benchmarks/reduction.py COLLECTION... --encoder FOLDER [--cache DIR] [--split test|train]
        [--keep 0.99] [--plot DIR]
"""

import argparse
import hashlib
import json
import sys
from pathlib import Path
from statistics import fmean

import numpy as np
from quality import Collection, cached_vectors, load, read_collection, splits

from argot.tuning.reduction_options import Tried, choose, options
from argot.tuning.reduction_report import json_of, write_tuning_report
from argot.tuning.reduction_trial import TuningData, try_options
from encoder.base import DenseEncoder, FloatArray


def main() -> None:
    """Try every option on every collection."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("collections", type=Path, nargs="+")
    parser.add_argument("--encoder", type=Path, required=True)
    parser.add_argument("--cache", type=Path, default=Path("vectors"))
    parser.add_argument("--split", choices=("test", "train"), default="test")
    parser.add_argument("--keep", type=float, default=0.99)
    parser.add_argument("--plot", type=Path)
    arguments = parser.parse_args()
    arguments.cache.mkdir(parents=True, exist_ok=True)
    encoder = load(arguments.encoder)
    results: dict[str, list[Tried]] = {}
    for folder in arguments.collections:
        collection = read_collection(folder)
        data = tuning_data(collection, encoder, cache=arguments.cache, split=arguments.split)
        tried = try_options(data, options(encoder.dimensions), progress=report_progress)
        results[collection.name] = tried
        chosen = choose(tried, keep=arguments.keep)
        for line in json_of(tried, chosen)["options"]:
            print(json.dumps({"collection": collection.name, **line}), flush=True)
        if arguments.plot:
            arguments.plot.mkdir(parents=True, exist_ok=True)
            page = arguments.plot / f"{collection.name}.html"
            write_tuning_report(page, tried, chosen, keep=arguments.keep)
    print_table(results)


def tuning_data(
    collection: Collection, encoder: DenseEncoder, *, cache: Path, split: str
) -> TuningData:
    """Take vectors from the cache or encode; every document is one chunk."""
    judgements = dict(splits(collection))[split]
    texts = list(dict.fromkeys(judgements.queries.values()))
    return TuningData(
        vectors=cached_vectors(collection, encoder, cache),
        document_ids=collection.ids,
        queries=dict(zip(texts, cached_queries(texts, encoder, cache=cache), strict=True)),
        judgements=judgements,
    )


def cached_queries(texts: list[str], encoder: DenseEncoder, *, cache: Path) -> FloatArray:
    """Encode queries, once for each encoder."""
    key = hashlib.sha256("\0".join([encoder.fingerprint, "queries", *texts]).encode()).hexdigest()
    path = cache / f"{key[:32]}.npy"
    if not path.exists():
        np.save(path, encoder.encode_queries(texts))
    vectors: FloatArray = np.load(path)
    return vectors


def print_table(results: dict[str, list[Tried]]) -> None:
    """Print a row for each option that was tried on all collections."""
    by_name = {name: {one.name: one for one in tried} for name, tried in results.items()}
    first = next(iter(results.values()))
    common = [one.name for one in first if all(one.name in of for of in by_name.values())]
    print("| vectors | " + " | ".join(by_name) + " | kept | bytes/chunk | smaller | p95 ms |")
    print("|---" * (len(by_name) + 5) + "|")
    for name in common:
        rows = [(of[name], of[first[0].name]) for of in by_name.values()]
        kept = fmean(one.quality.value / full.quality.value for one, full in rows)
        smaller = fmean(full.chunk_bytes / one.chunk_bytes for one, full in rows)
        values = " | ".join(f"{one.quality.value:.4f}" for one, _ in rows)
        size = fmean(one.chunk_bytes for one, _ in rows)
        p95 = fmean(one.p95_ms for one, _ in rows)
        print(f"| {name} | {values} | {kept:.1%} | {size:.0f} | {smaller:.1f}x | {p95:.2f} |")


def report_progress(text: str) -> None:
    """Say what is tried."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
