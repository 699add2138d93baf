"""A source that can be changed, an encoder that can fail, and a real store and catalog."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from connectors.base import Change, Complete, Upsert
from connectors.document import Document
from connectors.errors import SourceError
from encoder.base import FloatArray
from encoder.bm25 import Bm25Encoder, Bm25Settings
from encoder.fake import HashingEncoder
from indexing.catalog.catalog import Catalog
from indexing.chunks.chunking import ChunkSettings
from indexing.chunks.tokens import WordTokenizer
from indexing.stores.base import CollectionSpec
from indexing.stores.edge import EdgeStore
from indexing.sync.options import SyncOptions
from indexing.sync.pipeline import sync
from indexing.sync.report import SyncReport
from indexing.sync.target import Target

VERSION = "docs-0001"


class Source:
    """Documents in a dict; the revision is a digest of the document unless it is set to None."""

    def __init__(self, name: str = "wiki") -> None:
        self.name = name
        self.documents: dict[str, Document] = {}
        self.broken: dict[str, Exception] = {}
        self.extra: list[Change] = []
        self.has_revisions = True
        self.cut_off = False
        self.is_complete = True
        self.loaded: list[str] = []
        self.cursors: list[str | None] = []

    def put(self, document_id: str, text: str, **fields: object) -> None:
        self.documents[document_id] = Document(id=document_id, text=text, **fields)

    def changes(self, cursor: str | None) -> Iterator[Change]:
        self.cursors.append(cursor)
        for document_id, document in self.documents.items():
            revision = f"{hash(repr(document))}" if self.has_revisions else None
            yield Upsert(document_id, revision, lambda name=document_id: self._load(name))
        yield from self.extra
        if self.cut_off:
            raise SourceError("the wiki does not answer")
        if self.is_complete:
            yield Complete()

    def _load(self, document_id: str) -> Document:
        self.loaded.append(document_id)
        if document_id in self.broken:
            raise self.broken[document_id]
        return self.documents[document_id]


class Encoder(HashingEncoder):
    """Counts what it encodes; can be told to fail or to give NaN."""

    def __init__(self) -> None:
        super().__init__(dimensions=16)
        self.texts: list[str] = []
        self.fails_after: int | None = None
        self.refuses = ""
        self.nan_for = ""

    def encode_documents(
        self, texts: Sequence[str], *, dimensions: int | None = None
    ) -> FloatArray:
        if self.fails_after is not None and len(self.texts) + len(texts) > self.fails_after:
            raise RuntimeError("the GPU fell off the bus")
        if self.refuses and any(self.refuses in text for text in texts):
            raise RuntimeError("this text is too strange")
        self.texts += [text for text in texts if text != "word"]
        vectors = super().encode_documents(texts, dimensions=dimensions)
        if self.nan_for:
            vectors[[self.nan_for in text for text in texts]] = np.nan
        return vectors


class World:
    """Everything a sync needs, in one folder."""

    def __init__(self, folder: Path) -> None:
        self.catalog = Catalog(f"sqlite:///{folder / 'catalog.sqlite'}")
        self.store = EdgeStore.create(folder / "index", spec=CollectionSpec(dimensions=16))
        self.encoder = Encoder()
        self.target = Target(
            version=VERSION,
            store=self.store,
            tokenizer=WordTokenizer(),
            dense=self.encoder,
            sparse=Bm25Encoder(Bm25Settings()),
            chunks=ChunkSettings(chunk_tokens=32, overlap_tokens=0),
        )

    def source(self, name: str = "wiki") -> Source:
        return Source(name)

    def sync(self, source: Source, **options: object) -> SyncReport:
        return sync(
            source, catalog=self.catalog, target=self.target, options=SyncOptions(**options)
        )

    def texts(self) -> dict[str, list[str]]:
        """What can be found: the texts of each document's chunks, in order."""
        points = sorted(
            (point for batch in self.store.scan() for point in batch),
            key=lambda point: point.payload["ordinal"],
        )
        found: dict[str, list[str]] = {}
        for point in points:
            found.setdefault(point.payload["document_id"], []).append(point.payload["text"])
        return found

    def stored_ids(self) -> set[str]:
        return {point.id for batch in self.store.scan() for point in batch}

    def cataloged_ids(self) -> set[str]:
        documents = self.catalog.indexed_documents(version=VERSION)
        return {point for document in documents for point in document.point_ids}

    def close(self) -> None:
        self.store.close()
        self.catalog.close()
