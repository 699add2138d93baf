"""A sync in a process of its own that kills itself: FOLDER GENERATION [OPERATION:CALL].

The operation is one of the store's or, as ``records.NAME``, of the catalog's records.
"""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

from connectors.base import Change, Complete, Upsert
from connectors.document import Document
from encoder.bm25 import Bm25Encoder, Bm25Settings
from encoder.fake import HashingEncoder
from indexing.catalog.catalog import Catalog
from indexing.catalog.source import SourceRecords
from indexing.chunks.chunking import ChunkSettings
from indexing.chunks.tokens import WordTokenizer
from indexing.stores.base import CollectionSpec
from indexing.stores.edge import EdgeStore
from indexing.sync.options import SyncOptions
from indexing.sync.pipeline import sync
from indexing.sync.target import Target

SPEC = CollectionSpec(dimensions=32)
DOCUMENTS = 120


class Generation:
    """The same source at two times.

    Of each ten documents one has gone, four have another text and one other metadata.
    """

    name = "wiki"

    def __init__(self, number: int) -> None:
        self._number = number

    def document(self, n: int) -> Document | None:
        text = self.text(n)
        owner = "Bob" if self._number == 2 and n % 10 == 9 else "Ann"
        return None if text is None else Document(id=f"d{n}", text=text, metadata={"owner": owner})

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
            document = self.document(n)
            if document is not None:
                revision = f"{document.text} {document.metadata}"
                yield Upsert(document.id, revision, lambda document=document: document)
        yield Complete()


def die_at(owner: object, operation: str, *, call: int) -> None:
    """Kill this process, as by ``kill -9``, in place of the given call of an operation."""
    real, calls = getattr(owner, operation), iter(range(1, sys.maxsize))

    def counted(*arguments: object, **named: object) -> object:
        if next(calls) == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*arguments, **named)

    setattr(owner, operation, counted)


def run(folder: Path, generation: int, die: str = "") -> None:
    """Bring the index in ``folder`` in step with a generation of the source."""
    index = folder / "index"
    store = (EdgeStore.open if index.exists() else EdgeStore.create)(index, spec=SPEC)
    if die:
        operation, call = die.split(":")
        of_records, _, name = operation.rpartition(".")
        die_at(SourceRecords if of_records else store, name, call=int(call))
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
