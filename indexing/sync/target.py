"""What a sync writes to: an open index version and what turns documents into its points."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Protocol

import numpy as np

from connectors.document import Document
from encoder.base import DenseEncoder, FloatArray, SparseEncoder, TextTokenizer
from indexing.chunks.chunking import CHUNKER_VERSION, Chunk, ChunkSettings, chunk_document
from indexing.identity import Recipe, digest
from indexing.records import IndexedDocument
from indexing.stores.base import Point, VectorStore

Item = tuple[IndexedDocument, Chunk, str]
"""A chunk, the document it is from, and its point's id."""


class Chunker(Protocol):
    """Cuts documents in another way than ours."""

    @property
    def name(self) -> str:
        """Differs wherever it cuts differently; documents cut under another name are cut again."""

    def cut(self, document: Document) -> list[Chunk]:
        """Cut a document into chunks; a ValueError sets it aside."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """An open index version and what turns documents into its points."""

    version: str
    store: VectorStore
    tokenizer: TextTokenizer
    """Counts the tokens of chunks, in a thread of its own while the encoders are at work; the
    dense encoder's own where there is one."""

    sparse: SparseEncoder
    dense: DenseEncoder | None = None
    """None in a version without dense vectors."""

    chunks: ChunkSettings = field(default_factory=ChunkSettings)
    chunker: Chunker | None = None
    """Cuts in place of ours; None: ours does, by ``chunks``."""

    def __post_init__(self) -> None:
        if (self.dense is None) != (self.store.spec.dimensions is None):
            raise ValueError(
                "`dense` must be given when, and only when, the store has dense vectors; got "
                f"{'no encoder' if self.dense is None else 'an encoder'} and a store of "
                f"{self.store.spec.dimensions} dimensions"
            )

    @property
    def recipe(self) -> Recipe:
        """Digests of the chunker and the encoder; term weights are fixed for a version."""
        ours = [str(CHUNKER_VERSION), json.dumps(asdict(self.chunks), sort_keys=True)]
        chunker = ours if self.chunker is None else ["other", self.chunker.name]
        width = self.store.spec.dimensions
        encoder = ["none"] if self.dense is None else [self.dense.fingerprint, str(width)]
        return Recipe(chunker=digest(chunker), encoder=digest(encoder))

    def cut(self, document: Document) -> list[Chunk]:
        """Cut a document into the chunks that are stored of it."""
        if self.chunker is not None:
            return self.chunker.cut(document)
        return chunk_document(document, tokenizer=self.tokenizer, settings=self.chunks)

    def points(
        self,
        items: Sequence[Item],
        *,
        twins: Mapping[str, Point] | None = None,
        encoded: Mapping[str, FloatArray] | None = None,
    ) -> list[Point]:
        """Make the points of chunks; each text is encoded once.

        Args:
            items: The chunks.
            twins: Points whose vectors are taken, by the text they were encoded from.
            encoded: Dense vectors ``[D]`` that are there already, by text.
        """
        twins = twins or {}
        texts = list(dict.fromkeys(chunk.encoded_text for _, chunk, _ in items))
        unknown = [text for text in texts if text not in twins]
        made = {text: (twins[text].dense, twins[text].sparse) for text in texts if text in twins}
        if unknown:
            dense = self._dense_vectors(unknown, encoded or {})
            for text, sparse in zip(unknown, self.sparse.encode_documents(unknown), strict=True):
                made[text] = (dense.get(text), sparse)
        return [
            Point(
                id=point_id,
                dense=made[chunk.encoded_text][0],
                sparse=made[chunk.encoded_text][1],
                payload=document.payload(chunk),
            )
            for document, chunk, point_id in items
        ]

    def _dense_vectors(
        self, texts: Sequence[str], encoded: Mapping[str, FloatArray]
    ) -> Mapping[str, FloatArray]:
        """Encode the texts that have no vector yet; without an encoder, there are none."""
        missing = [text for text in texts if text not in encoded]
        if self.dense is None or not missing:
            return encoded
        rows = self.dense.encode_documents(missing, dimensions=self.store.spec.dimensions)
        return {**encoded, **dict(zip(missing, rows, strict=True))}

    def can_encode(self) -> bool:
        """Tell whether the encoders work at all: on one plain word."""
        try:
            dense = self.dense.encode_documents(["word"]) if self.dense else np.zeros(1)
            self.sparse.encode_documents(["word"])
        except Exception:  # noqa: BLE001 - the answer is no, whatever the reason
            return False
        return bool(np.isfinite(dense).all())
