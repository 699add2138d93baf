"""Encoders and rerankers that do nothing twice, for `second_stages.py`."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from quality import cached_vectors, read_collection

from encoder.base import FloatArray
from encoder.llm2vec import LLM2VecEncoder
from retriever.stages import Reranker


class Remembering:
    """A reranker that reads the same texts for the same query once."""

    def __init__(self, reranker: Reranker) -> None:
        self._reranker = reranker
        self._said: dict[tuple[str, ...], list[float]] = {}

    @property
    def name(self) -> str:
        """Of the reranker."""
        return self._reranker.name

    def scores(self, query: str, texts: Sequence[str]) -> list[float]:
        """Score texts as the reranker does, or did."""
        asked = (query, *texts)
        if asked not in self._said:
            self._said[asked] = self._reranker.scores(query, texts)
        return self._said[asked]


def encode_once(encoder: LLM2VecEncoder) -> None:
    """Let an encoder keep the token vectors of documents, in half precision."""
    encode, kept = encoder.document_token_vectors, dict[str, FloatArray]()

    def remembered(texts: Sequence[str]) -> list[FloatArray]:
        new = [text for text in dict.fromkeys(texts) if text not in kept]
        vectors = encode(new) if new else []
        kept.update(zip(new, (rows.astype(np.float16) for rows in vectors), strict=True))
        return [kept[text].astype(np.float32) for text in texts]

    encoder.document_token_vectors = remembered  # type: ignore[method-assign]


def take_vectors(encoder: LLM2VecEncoder, collection: Path, folder: Path) -> None:
    """Let an encoder take a collection's vectors from where they are kept, and keep the others."""
    encode, kept = encoder.encode_documents, read_collection(collection)
    vectors = dict(zip(kept.texts, cached_vectors(kept, encoder, folder), strict=True))

    def taken(texts: Sequence[str], *, dimensions: int | None = None) -> FloatArray:
        def path_of(text: str) -> Path:
            key = f"{encoder.fingerprint}\0{dimensions}\0{text}".encode()
            digest = hashlib.sha256(key).hexdigest()[:32]
            return folder / digest[:2] / f"{digest}.npy"

        others = [text for text in dict.fromkeys(texts) if text not in vectors]
        vectors.update((text, np.load(path_of(text))) for text in others if path_of(text).exists())
        new = [text for text in others if text not in vectors]
        made = list(encode(new, dimensions=dimensions)) if new else []
        for text, vector in zip(new, made, strict=True):
            path_of(text).parent.mkdir(exist_ok=True)
            np.save(path_of(text), vector)
            vectors[text] = vector
        return np.stack([vectors[text] for text in texts])

    encoder.encode_documents = taken  # type: ignore[method-assign]
