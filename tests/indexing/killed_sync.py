"""A sync in a process of its own that kills itself: FOLDER GENERATION [OPERATION:CALL]."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

from connectors.base import Change, Complete, Upsert
from connectors.document import Document
from encoder.bm25 import Bm25Encoder, Bm25Settings
from encoder.fake import HashingEncoder
from indexing.catalog import Catalog
from indexing.chunking import ChunkSettings
from indexing.pipeline import SyncOptions, sync
from indexing.stores.base import CollectionSpec
from indexing.stores.edge import EdgeStore
from indexing.tokens import WordTokenizer
from indexing.writing import Target

SPEC = CollectionSpec(dimensions=32)
DOCUMENTS = 120


class Generation:
    """The same source at two times: of each ten documents one has gone and four have changed."""

    name = "wiki"

    def __init__(self, number: int) -> None:
        self._number = number

    def text(self, n: int) -> str | None:
        if self._number == 1:
            return "\n\n".join(
                f"Document {n}, part {part}, first." * 3 for part in range(n % 4 + 1)
            )
        if n % 10 == 0:
            return None
        return f"Document {n}, second." if n % 10 < 5 else Generation(1).text(n)

    def changes(self, cursor: str | None) -> Iterator[Change]:
        del cursor
        for n in range(DOCUMENTS):
            text = self.text(n)
            if text is not None:
                document = Document(id=f"d{n}", text=text)
                yield Upsert(document.id, text, lambda document=document: document)
        yield Complete()


def die_at(store: EdgeStore, operation: str, *, call: int) -> None:
    """Kill this process, as by ``kill -9``, in place of the given call of an operation."""
    real, calls = getattr(store, operation), iter(range(1, sys.maxsize))

    def counted(*arguments: object) -> object:
        if next(calls) == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*arguments)

    setattr(store, operation, counted)


def run(folder: Path, generation: int, die: str = "") -> None:
    """Bring the index in ``folder`` in step with a generation of the source."""
    index = folder / "index"
    store = (EdgeStore.open if index.exists() else EdgeStore.create)(index, spec=SPEC)
    if die:
        operation, call = die.split(":")
        die_at(store, operation, call=int(call))
    target = Target(
        version="docs-0001",
        store=store,
        tokenizer=WordTokenizer(),
        dense=HashingEncoder(32),
        sparse=Bm25Encoder(Bm25Settings()),
        chunks=ChunkSettings(chunk_tokens=32, overlap_tokens=0),
    )
    with Catalog(f"sqlite:///{folder / 'catalog.sqlite'}") as catalog:
        options = SyncOptions(batch_tokens=400)
        sync(Generation(generation), catalog=catalog, target=target, options=options)
    store.close()


if __name__ == "__main__":
    run(Path(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:])
