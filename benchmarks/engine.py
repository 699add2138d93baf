"""Build time, memory, disk and speed of the embedded engine, beside what else runs in a process.

    python benchmarks/engine.py [--chunks 100000] [--queries 200] [--slow-queries 30]

Chunks are synthetic: dense vectors 576 wide in 1,000 clusters, some 60 terms, 100 tenants. Each
backend is filled and searched in a process of its own: Argot's embedded index through `Searcher`;
qdrant-client's local mode in memory; langchain-qdrant over that, where it is installed. Making the
vectors is in no time. Prints a JSON line for each backend, then a table.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from engine_backends import BACKENDS, Filled

SHARED = 20
"""Queries whose answers are compared with those of an exact search."""

NEEDS = {"langchain-qdrant, local": "langchain_qdrant"}


def measure(backend: str, *, chunks: int, queries: int) -> dict[str, Any]:
    """Fill a backend in this process and search it."""
    with tempfile.TemporaryDirectory(prefix="argot-engine-") as folder:
        before = peak_mib()
        filled = BACKENDS[backend](Path(folder), chunks=chunks)
        built = peak_mib()
        times = {kind: asked(filled, kind, queries=queries) for kind in filled.searches}
        found = [filled.searches["dense"](f"q{number}") for number in range(SHARED)]
        return {
            "backend": backend,
            "chunks": chunks,
            "queries": queries,
            "build_s": round(filled.build_seconds, 1),
            "memory_before_mib": round(before),
            "memory_built_mib": round(built),
            "memory_peak_mib": round(peak_mib()),
            "disk_mib": round(filled.disk_mib, 1),
            "ms": {kind: percentiles(taken) for kind, taken in times.items()},
            "dense_found": found,
        }


def peak_mib() -> float:
    """Return the most memory that this process has held, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 * 1024 if sys.platform == "darwin" else 1024)


def asked(filled: Filled, kind: str, *, queries: int) -> list[float]:
    """Search for every query once, after a few that are not counted.

    Returns:
        Milliseconds of each, without what its vectors took to make.
    """
    search, vectors = filled.searches[kind], filled.vectors
    for number in range(3):
        search(f"q{queries + number}")
    times = []
    for number in range(queries):
        began, making = perf_counter(), vectors.seconds
        search(f"q{number}")
        times.append(1000 * (perf_counter() - began - (vectors.seconds - making)))
    return times


def percentiles(times: Sequence[float]) -> dict[str, float]:
    """Return p50 and p95."""
    return {f"p{share}": round(float(np.percentile(times, share)), 2) for share in (50, 95)}


def same_as(found: Sequence[Sequence[str]], exact: Sequence[Sequence[str]]) -> float:
    """Return the share of exact answers that were found."""
    pairs = zip(found, exact, strict=True)
    return sum(len(set(ours) & set(theirs)) for ours, theirs in pairs) / sum(map(len, exact))


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Write results as a table in markdown; recall is against the exact local mode."""
    kinds = ("dense", "hybrid", "filtered")
    exact = next((row["dense_found"] for row in rows if row["backend"].startswith("qdrant")), None)
    head = ["backend", "build s", "peak MiB", "disk MiB", "dense p50 / p95 ms",
            "hybrid p50 / p95 ms", "hybrid in 1 % p50 / p95 ms", "dense recall@10"]  # fmt: skip
    lines = [head, ["---"] * len(head)]
    for row in rows:
        recall = "" if exact is None else f"{same_as(row['dense_found'], exact):.3f}"
        speeds = [f"{row['ms'][kind]['p50']:g} / {row['ms'][kind]['p95']:g}" for kind in kinds]
        sizes = [row["build_s"], row["memory_peak_mib"], row["disk_mib"] or "in memory"]
        lines.append([row["backend"], *map(str, sizes), *speeds, recall])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def in_a_process(backend: str, *, chunks: int, queries: int) -> dict[str, Any]:
    """Measure a backend in a process of its own, so that its memory is its own."""
    command = [sys.executable, __file__, "--backend", backend]
    command += ["--chunks", str(chunks), "--queries", str(queries)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(done.stdout))


def main() -> None:
    """Measure every backend, or be the process that measures one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chunks", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--slow-queries", type=int, default=30, help="of the local modes")
    parser.add_argument("--backend", choices=BACKENDS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    chunks = arguments.chunks
    if arguments.backend:
        measured = measure(arguments.backend, chunks=chunks, queries=arguments.queries)
        print(json.dumps(measured))
        return
    machine = {"cores": os.cpu_count(), "machine": platform.machine()}
    print(json.dumps({**machine, "python": platform.python_version()}), flush=True)
    rows = []
    for backend in BACKENDS:
        if backend in NEEDS and find_spec(NEEDS[backend]) is None:
            print(f"{backend}: left out, {NEEDS[backend]} is not installed", file=sys.stderr)
            continue
        queries = arguments.queries if backend == "argot" else arguments.slow_queries
        rows.append(in_a_process(backend, chunks=chunks, queries=queries))
        shown = {name: value for name, value in rows[-1].items() if name != "dense_found"}
        print(json.dumps(shown), flush=True)
    print(table(rows))


if __name__ == "__main__":
    main()
