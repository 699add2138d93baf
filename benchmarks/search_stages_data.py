"""A large index for `search_stages.py`: the chunks of a collection, and chunks made of them.

Shapes: R real texts, N chunks, D dimensions of the encoder. The first R chunks are the collection's
texts with the encoder's own vectors. Each other one is drawn from them: its vector is that of a
real text with noise, its text half of that text's words and half of another's, so that its terms
and the lists of chunks for each term are about as long as in a corpus of real ones. A made chunk
means nothing, so only times can be measured on it, and no quality.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
from engine_backends import BATCH, payload
from engine_data import id_of

from argot.version_choice import SAMPLE_CHUNKS
from encoder.base import DenseEncoder, FloatArray
from encoder.bm25 import Bm25Encoder, Bm25Settings
from encoder.truncation import truncate
from indexing.reduction.settings import ReductionSettings
from indexing.stores.base import Point
from indexing.versions.collection import create_index
from indexing.versions.description import set_live

SPREAD = 0.5
"""Length of the noise beside a vector of length one: a cosine of about 0.89 to what it was."""

SEED = 0


@dataclass(frozen=True, slots=True)
class Chunk:
    """A chunk before it is indexed."""

    text: str
    vector: FloatArray
    """The encoder's, or made of one; unit norm, ``[D]``."""


@dataclass(frozen=True, slots=True, eq=False)
class Corpus:
    """Real texts, and as many chunks made of them as are wanted; always the same ones."""

    texts: Sequence[str]
    """R of them."""

    vectors: FloatArray
    """Unit norm, ``[R, D]``."""

    count: int
    """N, at least one."""

    def chunks(self) -> Iterator[Chunk]:
        """Give the real texts, then made ones: N in all."""
        rng = np.random.default_rng(SEED)
        words = [np.array(text.split(), dtype=object) for text in self.texts]
        yield from islice(map(Chunk, self.texts, self.vectors), self.count)
        for _ in range(self.count - len(self.texts)):
            first, second = rng.integers(len(self.texts), size=2)
            yield Chunk(
                _mixed(words[first], words[second], rng=rng),
                _near(self.vectors[first], rng=rng),
            )


def _mixed(first: np.ndarray, second: np.ndarray, *, rng: np.random.Generator) -> str:
    """Draw half of the words of each text, without putting one back."""
    halves = [
        rng.choice(words, size=(len(words) + 1) // 2, replace=False) for words in (first, second)
    ]
    return " ".join(np.concatenate(halves))


def _near(vector: FloatArray, *, rng: np.random.Generator) -> FloatArray:
    noise = rng.standard_normal(len(vector)) * SPREAD / np.sqrt(len(vector))
    near: FloatArray = truncate((vector + noise)[None, :].astype(np.float32), None)[0]
    return near


class KnownVectors:
    """An encoder that looks the vectors of known texts up, and encodes all others."""

    def __init__(self, dense: DenseEncoder, known: Mapping[str, FloatArray]) -> None:
        self._dense, self._known = dense, known
        self.fingerprint, self.dimensions = dense.fingerprint, dense.dimensions
        self.encode_queries = dense.encode_queries

    def encode_documents(
        self, texts: Sequence[str], *, dimensions: int | None = None
    ) -> FloatArray:
        """Return ``[N, D]`` float32, unit norm."""
        if all(text in self._known for text in texts):
            return truncate(np.stack([self._known[text] for text in texts]), dimensions)
        return self._dense.encode_documents(texts, dimensions=dimensions)


def build(
    indexes: Path, corpus: Corpus, *, dense: DenseEncoder, reduction: ReductionSettings
) -> None:
    """Build a version as the product does, make it live, and publish it for readers.

    Its terms are weighed by the mean length of the first chunks, which a projection is fitted on.
    """
    sample = list(islice(corpus.chunks(), SAMPLE_CHUNKS))
    texts = [chunk.text for chunk in sample]
    bm25 = replace(Bm25Settings(), avg_len=Bm25Encoder().average_length(texts))
    known = KnownVectors(dense, {chunk.text: chunk.vector for chunk in sample})
    # Closing it publishes the copy that searches read.
    with create_index(
        indexes, dense=known, reduction=reduction, sample=texts, chunker={}, bm25=asdict(bm25)
    ) as index:
        weigh, project, chunks = Bm25Encoder(bm25), index.projection, corpus.chunks()
        for start in range(0, corpus.count, BATCH):
            batch = list(islice(chunks, BATCH))
            vectors = np.stack([chunk.vector for chunk in batch])
            terms = weigh.encode_documents([chunk.text for chunk in batch])
            rows = zip(batch, project.apply(vectors) if project else vectors, terms, strict=True)
            index.store.upsert(
                [
                    Point(
                        id=id_of(number),
                        dense=vector,
                        sparse=sparse,
                        payload={**payload(number), "text": chunk.text},
                    )
                    for number, (chunk, vector, sparse) in enumerate(rows, start=start)
                ]
            )
            index.store.flush()
        index.store.optimize()
        set_live(indexes, index.version.name)
