"""Encoders and rerankers that do nothing twice, for `second_stages.py`."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

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


def keep_vectors(encoder: LLM2VecEncoder, folder: Path) -> None:
    """Let an encoder keep documents' vectors in files, one a text, and take those there are."""
    encode = encoder.encode_documents

    def kept(texts: Sequence[str], *, dimensions: int | None = None) -> FloatArray:
        def path_of(text: str) -> Path:
            key = f"{encoder.fingerprint}\0{dimensions}\0{text}".encode()
            digest = hashlib.sha256(key).hexdigest()[:32]
            return folder / digest[:2] / f"{digest}.npy"

        paths = {text: path_of(text) for text in texts}
        new = [text for text, path in paths.items() if not path.exists()]
        made = list(encode(new, dimensions=dimensions)) if new else []
        for text, vector in zip(new, made, strict=True):
            save(vector, paths[text])
        return np.stack([np.load(paths[text]) for text in texts])

    encoder.encode_documents = kept  # type: ignore[method-assign]


def save(vector: FloatArray, path: Path) -> None:
    """Write a vector so that another process finds all of it or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}.npy")
    np.save(partial, vector)
    partial.replace(path)
