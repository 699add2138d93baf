"""How long the encoder waits for the rest of a sync: parsing, chunking, writing, committing.

    python benchmarks/encoder_waits.py [--rates 25 250 2500] [--seconds 20]

The encoder is a clock: it sleeps for as long as one of that many chunks a second would take, which
leaves the processors to the others, as a GPU does. Documents are synthetic, vectors 576 wide; the
index is embedded, the catalog SQLite; the engine's own `optimize` at the end is not counted. Prints
a JSON line for each rate.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from connectors.base import Change, Complete, Upsert
from connectors.document import Document
from encoder.base import FloatArray
from encoder.bm25 import Bm25Encoder, Bm25Settings
from indexing.catalog.catalog import Catalog
from indexing.chunks.tokens import WordTokenizer
from indexing.stores.base import CollectionSpec
from indexing.stores.edge import EdgeStore
from indexing.sync.options import SyncOptions
from indexing.sync.pipeline import sync
from indexing.sync.target import Target

WIDTH = 576
CHUNKS_PER_DOCUMENT = 4
SENTENCES, WORDS, VOCABULARY = 60, 12, 20_000


class Clock:
    """An encoder of a known speed, whose vectors say nothing."""

    dimensions = WIDTH
    fingerprint = "clock"

    def __init__(self, *, chunks_per_second: float) -> None:
        self._rate = chunks_per_second
        self._rng = np.random.default_rng(0)
        self.chunks = 0
        self.busy = 0.0
        self.first = self.last = 0.0
        """When it began, and when it ended."""

    def encode_documents(
        self, texts: Sequence[str], *, dimensions: int | None = None
    ) -> FloatArray:
        """Return ``[N, D]`` float32, unit norm, when the time has come."""
        began = time.perf_counter()
        self.first = self.first or began
        rows = self._rng.standard_normal((len(texts), dimensions or WIDTH), dtype=np.float32)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        time.sleep(max(0.0, began + len(texts) / self._rate - time.perf_counter()))
        self.last = time.perf_counter()
        self.busy += self.last - began
        self.chunks += len(texts)
        return rows

    encode_queries = encode_documents


class Texts:
    """Documents of common and rare words, some four chunks each."""

    name = "texts"

    def __init__(self, count: int) -> None:
        self._count = count

    def changes(self, cursor: str | None) -> Iterator[Change]:
        """Name each document, then say that these were all."""
        del cursor
        for number in range(self._count):
            yield Upsert(f"d{number}", "1", partial(written, number))
        yield Complete()


def written(number: int) -> Document:
    """Write a document; the same for the same number."""
    drawn = np.random.default_rng(number).zipf(1.3, (SENTENCES, WORDS)) % VOCABULARY
    sentences = (" ".join(f"word{word}" for word in sentence) for sentence in drawn)
    return Document(id=f"d{number}", text=". ".join(sentences))


def measure(folder: Path, *, rate: float, seconds: float) -> dict[str, float]:
    """Sync as many documents as the encoder takes so long for."""
    documents = max(20, round(rate * seconds / CHUNKS_PER_DOCUMENT))
    clock = Clock(chunks_per_second=rate)
    with (
        EdgeStore.create(folder / "index", spec=CollectionSpec(dimensions=WIDTH)) as store,
        Catalog(f"sqlite:///{folder / 'catalog.sqlite'}") as catalog,
    ):
        target = Target(
            version="docs-0001",
            store=store,
            tokenizer=WordTokenizer(),
            dense=clock,
            sparse=Bm25Encoder(Bm25Settings()),
        )
        began = time.perf_counter()
        sync(Texts(documents), catalog=catalog, target=target, options=SyncOptions())
        ended = time.perf_counter()
    between = clock.last - clock.first
    return {
        "chunks_per_second": rate,
        "chunks": clock.chunks,
        "sync_s": round(ended - began, 2),
        "encoding_s": round(clock.busy, 2),
        "waiting_s": round(between - clock.busy, 2),
        "waiting_share": round(1 - clock.busy / between, 4),
    }


def main() -> None:
    """Measure each rate in a folder of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rates", type=float, nargs="+", default=[25, 250, 2500])
    parser.add_argument("--seconds", type=float, default=20, help="that encoding takes")
    options = parser.parse_args()
    for rate in options.rates:
        with tempfile.TemporaryDirectory(prefix="argot-waits-") as folder:
            print(json.dumps(measure(Path(folder), rate=rate, seconds=options.seconds)), flush=True)


if __name__ == "__main__":
    main()
