"""How fast an index answers while another process writes to it and optimizes it.

    python benchmarks/reads_during_writes.py [--points 20000] [--added 10000] [--pause-ms 5]

A reader searches, dense and by words, at a steady pace: idle, then while a writer in another
process adds points, optimizes and publishes, then idle again. Prints JSON lines: milliseconds of a
query in each part; what it costs to read a copy and not the index itself; what copying costs.
The vectors are synthetic: clusters, 576 wide. Build it with the machine otherwise idle.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from time import perf_counter, process_time, sleep
from typing import NamedTuple

import numpy as np

from encoder.base import FloatArray
from encoder.bm25 import Bm25Encoder, Bm25Settings
from indexing.files.disk import MEBIBYTE, allocated_bytes
from indexing.published.copies import PublishedCopies
from indexing.stores.base import Point
from indexing.versions.collection import OpenIndex, create_index, open_index
from indexing.versions.description import set_live
from indexing.versions.published_reader import PublishedStore, open_published
from retriever.search import Searcher

WIDTH, CLUSTERS, VOCABULARY, WORDS, BATCH = 576, 200, 20_000, 60, 500
WORDS_OF = Bm25Encoder(Bm25Settings())


class Clusters:
    """An encoder for texts that begin with a number: a point of one of many clusters."""

    dimensions = WIDTH
    fingerprint = "clusters"

    def __init__(self) -> None:
        self._centers = np.random.default_rng(0).normal(size=(CLUSTERS, WIDTH))

    def encode_documents(
        self, texts: Sequence[str], *, dimensions: int | None = None
    ) -> FloatArray:
        """Encode texts: ``[N, D]`` float32, unit norm."""
        rows = np.stack([self._vector(text)[:dimensions] for text in texts])
        vectors: FloatArray = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        return vectors.astype(np.float32)

    encode_queries = encode_documents

    def _vector(self, text: str) -> FloatArray:
        word = text.split()[0]
        rng = np.random.default_rng(int(word) if word.isdecimal() else len(text))
        center = self._centers[rng.integers(CLUSTERS)]
        return np.asarray(center + rng.normal(size=WIDTH), dtype=np.float32)


def text_of(number: int) -> str:
    """A number and words, the first of the vocabulary often and the last seldom."""
    words = np.random.default_rng(number).zipf(1.3, size=WORDS) % VOCABULARY
    return f"{number} " + " ".join(f"word{word}" for word in words)


def add(index: OpenIndex, numbers: Iterable[int]) -> None:
    """Write points as an ingestion does: in batches, each flushed."""
    numbers, encoder = list(numbers), Clusters()
    for start in range(0, len(numbers), BATCH):
        part = numbers[start : start + BATCH]
        texts = [text_of(number) for number in part]
        vectors, terms = encoder.encode_documents(texts), WORDS_OF.encode_documents(texts)
        index.store.upsert(
            [
                Point(
                    id=f"00000000-0000-0000-0000-{number:012d}",
                    dense=vectors[row],
                    sparse=terms[row],
                    payload=payload(number, texts[row]),
                )
                for row, number in enumerate(part)
            ]
        )
        index.store.flush()


def payload(number: int, text: str) -> dict[str, object]:
    """What a chunk carries."""
    return {
        "document_id": f"d{number}",
        "source": "clusters",
        "text": text,
        "title": "",
        "uri": "",
        "page": None,
        "span": [0, len(text)],
        "heading_path": [],
        "metadata": {},
        "protected": False,
    }


def write(indexes: Path, first: int, count: int) -> None:
    """Be the writer: add, optimize, publish, and say what took how long."""
    seconds = {}
    with open_index(indexes) as index:
        seconds["add"] = timed(lambda: add(index, range(first, first + count)))
        seconds["optimize"] = timed(index.store.optimize)
        seconds["publish"] = timed(index.close)
    print(json.dumps({name: round(value, 2) for name, value in seconds.items()}))


def timed(work: Callable[[], object]) -> float:
    """Seconds that something takes."""
    began = perf_counter()
    work()
    return perf_counter() - began


def ask(search: Callable[[str], object], *, pause: float, last: Callable[[int], bool]) -> "Asked":
    """Search again and again."""
    rng, used = np.random.default_rng(1), 0.0
    times: list[float] = []
    while not last(len(times)):
        query = text_of(int(rng.integers(10_000_000)))[:40]
        before = process_time()
        times.append(1000 * timed(partial(search, query)))
        used += 1000 * (process_time() - before)
        sleep(pause)
    return Asked(times, used / len(times))


class Asked(NamedTuple):
    """The milliseconds of many queries, and what one of them takes of a processor."""

    times: list[float]
    cpu_ms: float

    @property
    def p95(self) -> float:
        """What 95 of 100 queries stay below."""
        return float(np.percentile(self.times, 95))

    def described(self) -> dict[str, object]:
        """A few numbers."""
        return {
            "queries": len(self.times),
            "p50_ms": round(float(np.median(self.times)), 2),
            "p95_ms": round(self.p95, 2),
            "max_ms": round(max(self.times), 1),
            "cpu_ms": round(self.cpu_ms, 2),
        }


def searcher_over(index: OpenIndex) -> Searcher:
    """Search dense and by words, following what is published as a retriever does."""
    follow = index.store.follow if isinstance(index.store, PublishedStore) else lambda: None
    return Searcher(index, sparse=WORDS_OF, dense=Clusters(), before_search=follow)


def measure(indexes: Path, *, points: int, added: int, pause: float, queries: int) -> None:
    """Build, then measure each part and print it."""
    with create_index(indexes, dense=Clusters(), chunker={}, bm25={}) as index:
        add(index, range(points))
        optimizing = timed(index.store.optimize)
        set_live(indexes, index.version.name)
        publishing = timed(index.close)
    version = indexes / index.version.name
    copy = PublishedCopies(version)
    copied = allocated_bytes(copy.folder_of(copy.newest() or 0))
    show(
        part="build",
        points=points,
        optimize_s=round(optimizing, 2),
        publish_s=round(publishing, 2),
        shard_mib=round(allocated_bytes(version / "shard") / MEBIBYTE, 1),
        copy_mib=round(copied / MEBIBYTE, 1),
    )
    with open_index(indexes) as direct:
        search = searcher_over(direct).search
        ask(search, pause=pause, last=lambda n: n == queries // 4)
        asked = ask(search, pause=pause, last=until(queries))
        show(part="the index itself, idle", **asked.described())
    began = perf_counter()
    with open_published(indexes) as reader:
        show(part="open a copy", seconds=round(perf_counter() - began, 3))
        search = searcher_over(reader).search
        ask(search, pause=pause, last=lambda n: n == queries // 4)
        idle = ask(search, pause=pause, last=until(queries))
        show(part="a copy, idle", **idle.described())
        during = while_writing(indexes, points, added, search=search, pause=pause)
        ratio = round(during.p95 / idle.p95, 2)
        show(part="a copy, while another writes", **during.described(), p95_to_idle=ratio)
        again = ask(search, pause=pause, last=until(queries))
        show(part="idle again", **again.described())


def until(queries: int) -> Callable[[int], bool]:
    """Stop after so many queries."""
    return lambda done: done == queries


def while_writing(
    indexes: Path, first: int, count: int, *, search: Callable[[str], object], pause: float
) -> Asked:
    """Search until a writer in another process has added, optimized and published."""
    command = [sys.executable, __file__, "--write", str(indexes), str(first), str(count)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        asked = ask(search, pause=pause, last=lambda _: writer.poll() is not None)
        output = writer.communicate()[0]
    if writer.returncode:
        raise SystemExit(f"the writer ended with {writer.returncode}")
    show(part="writer", added=count, seconds=json.loads(output))
    return asked


def show(**line: object) -> None:
    """Print a JSON line."""
    print(json.dumps(line), flush=True)


def main() -> None:
    """Measure, or be the writer that is measured against."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=20_000)
    parser.add_argument("--added", type=int, default=10_000)
    parser.add_argument("--queries", type=int, default=1000, help="of each idle part")
    parser.add_argument("--pause-ms", type=float, default=5.0, help="between two queries")
    parser.add_argument("--write", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.write:
        folder, first, count = arguments.write
        write(Path(folder), int(first), int(count))
        return
    show(
        machine=platform.machine(),
        cores=os.cpu_count(),
        python=platform.python_version(),
        width=WIDTH,
    )
    with tempfile.TemporaryDirectory(prefix="argot-reads-") as folder:
        measure(
            Path(folder) / "indexes",
            points=arguments.points,
            added=arguments.added,
            pause=arguments.pause_ms / 1000,
            queries=arguments.queries,
        )


if __name__ == "__main__":
    main()
