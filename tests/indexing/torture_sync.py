"""A folder, an index and a catalog, and one sync between them; as a script: FOLDER STEP.

The script kills itself, as by ``kill -9``, in place of its so-manieth step.

Every text that is encoded is noted in a file, so that a killed process's work is counted too.
"""

import os
import signal
import sys
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path

from connectors.filesystem import FolderConnector
from encoder.base import FloatArray
from encoder.bm25 import Bm25Encoder, Bm25Settings
from encoder.fake import HashingEncoder
from indexing.catalog.catalog import Catalog
from indexing.catalog.source import SourceRecords
from indexing.chunks.chunking import ChunkSettings
from indexing.chunks.tokens import WordTokenizer
from indexing.files.disk import DiskGuard
from indexing.stores.base import CollectionSpec
from indexing.stores.edge import EdgeStore
from indexing.sync.options import SyncOptions
from indexing.sync.pipeline import sync
from indexing.sync.report import SyncReport
from indexing.sync.target import Target

VERSION = "docs-0001"
SPEC = CollectionSpec(dimensions=32)
CHUNKS = ChunkSettings(chunk_tokens=32, overlap_tokens=0)
OPTIONS = SyncOptions(max_delete_fraction=1, batch_tokens=600, parse_processes=1)
SPARSE = Bm25Encoder(Bm25Settings())
STEPS = {
    EdgeStore: ("upsert", "set_payload", "delete", "existing", "flush", "optimize", "close"),
    SourceRecords: ("announce", "commit", "sweeping", "_forget", "remove"),
}


class CountingEncoder(HashingEncoder):
    """Appends a line for every text that it encodes."""

    def __init__(self, log: Path) -> None:
        super().__init__(dimensions=32)
        self._log = log

    def encode_documents(
        self, texts: Sequence[str], *, dimensions: int | None = None
    ) -> FloatArray:
        with self._log.open("a", encoding="utf-8") as log:
            log.writelines(f"{text!r}\n" for text in texts)
        return super().encode_documents(texts, dimensions=dimensions)


def open_store(folder: Path, *, disk: DiskGuard | None = None) -> EdgeStore:
    """Open the index, made where there is none."""
    index = folder / "index"
    if not (index / "shard" / "edge_config.json").exists():
        return EdgeStore.create(index, spec=SPEC, disk=disk)
    return EdgeStore.open(index, spec=SPEC, disk=disk)


def open_catalog(folder: Path) -> Catalog:
    """Open the catalog, made where there is none."""
    return Catalog(f"sqlite:///{folder / 'catalog.sqlite'}")


def run(folder: Path, *, store: EdgeStore, catalog: Catalog) -> SyncReport:
    """Bring the index in step with the files."""
    target = Target(
        version=VERSION,
        store=store,
        tokenizer=WordTokenizer(),
        dense=CountingEncoder(folder / "encoded.log"),
        sparse=SPARSE,
        chunks=CHUNKS,
    )
    connector = FolderConnector("files", folder / "files")
    return sync(connector, catalog=catalog, target=target, options=OPTIONS)


def die_at(step: int) -> None:
    """Let this process be killed in place of a step: anything that store or catalog writes."""
    steps = count(1)

    def dying(real: Callable[..., object]) -> Callable[..., object]:
        def counted(*arguments: object, **named: object) -> object:
            if next(steps) == step:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments, **named)

        return counted

    for owner, names in STEPS.items():
        for name in names:
            setattr(owner, name, dying(getattr(owner, name)))


if __name__ == "__main__":
    place = Path(sys.argv[1])
    die_at(int(sys.argv[2]))
    with open_store(place) as opened, open_catalog(place) as known:
        run(place, store=opened, catalog=known)
