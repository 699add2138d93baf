"""Term weights of BM25: everything of the formula but the IDF, which the index keeps.

A weight is ``tf * (k1 + 1) / (tf + k1 * (1 - b + b * length / avg_len))``. The index multiplies it
by ``ln(1 + (N - df + 0.5) / (df + 0.5))``, so a dot product with a query's weights of one is BM25.

Source: Robertson and Zaragoza 2009, The Probabilistic Relevance Framework; IDF as in Lucene.
"""

import math
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from qdrant_edge import Bm25, Bm25Config, DisabledStemmer, StopwordsSet

from encoder.base import SparseVector
from encoder.scripts import UNSPACED

NEUTRAL = "none"
"""The language of text in any language: no stemming, no stop words."""

LANGUAGES = (
    "arabic", "azerbaijani", "basque", "bengali", "catalan", "chinese", "danish", "dutch",
    "english", "finnish", "french", "german", "greek", "hebrew", "hinglish", "hungarian",
    "indonesian", "italian", "japanese", "kazakh", "nepali", "norwegian", "portuguese", "romanian",
    "russian", "slovene", "spanish", "swedish", "tajik", "turkish",
)  # fmt: skip
"""Languages with stop words; most have a stemmer too."""

_DEFAULT_AVERAGE_LENGTH = 256.0

# With b = 0 a weight depends on the term's count alone, and this k1 keeps counts up to a million
# apart in float32.
_COUNTING_K1 = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Bm25Settings:
    """How texts are split and weighed; an index version records them, by ``asdict``."""

    language: str = "english"
    """One of ``LANGUAGES``, or ``"none"`` where the language is unknown or mixed."""

    k1: float = 0.9
    """How fast repeating a term stops helping, >= 0.

    Source: with ``b``, the defaults of Anserini (Yang et al. 2017). The engine's are 1.2 and 0.75.
    """

    b: float = 0.4
    """Share of length normalisation, in [0, 1].

    Low, since chunks have bounded lengths: a short one is a short section, not a focused document.
    """

    avg_len: float = _DEFAULT_AVERAGE_LENGTH
    """Mean number of terms of the texts, > 0; see ``Bm25Encoder.average_length``."""

    def __post_init__(self) -> None:
        if self.language != NEUTRAL and self.language not in LANGUAGES:
            raise ValueError(
                f"`language` must be {NEUTRAL!r} or one of {', '.join(LANGUAGES)}; "
                f"got {self.language!r}\nhint: use {NEUTRAL!r} for a language that is not listed"
            )
        if not (math.isfinite(self.k1) and self.k1 >= 0):
            raise ValueError(f"`k1` must be finite and >= 0; got {self.k1}")
        if not 0 <= self.b <= 1:
            raise ValueError(f"`b` must be in [0, 1]; got {self.b}")
        if not (math.isfinite(self.avg_len) and self.avg_len > 0):
            raise ValueError(f"`avg_len` must be finite and > 0; got {self.avg_len}")


class Bm25Encoder:
    """Weighs terms, in the id space of Qdrant's own ``bm25``: a server finds what this indexed.

    Runs of text without spaces are split into overlapping pairs of characters, as Lucene does:
    needs no dictionary, and a query is split as its documents are, whatever surrounds it.
    """

    def __init__(self, settings: Bm25Settings | None = None) -> None:
        self.settings = settings or Bm25Settings()
        self._engine = _engine(
            self.settings.language,
            k1=self.settings.k1,
            b=self.settings.b,
            avg_len=self.settings.avg_len,
        )
        self._counter = _engine(self.settings.language, k1=_COUNTING_K1, b=0.0, avg_len=1.0)

    def encode_documents(self, texts: Sequence[str]) -> list[SparseVector]:
        """Weigh the terms of texts to be searched; a text without terms gives an empty vector."""
        vectors = (self._engine.embed_document(_splittable(text)) for text in texts)
        return [SparseVector(tuple(v.indices), tuple(v.values)) for v in vectors]

    def encode_queries(self, texts: Sequence[str]) -> list[SparseVector]:
        """Give each distinct term of what is searched for the weight one."""
        vectors = (self._engine.embed_query(_splittable(text)) for text in texts)
        return [SparseVector(tuple(v.indices), tuple(v.values)) for v in vectors]

    def terms(self, text: str) -> dict[int, str]:
        """Map each term id of ``text`` to a word of it that has this id, for explanations."""
        text = _splittable(text)
        wanted = set(self._engine.embed_query(text).indices)
        found: dict[int, str] = {}
        for piece in text.split():
            # The words inside come first: a piece with punctuation can hold several terms.
            for word in (*re.split(r"[\W_]+", piece), piece):
                for index in wanted.intersection(self._engine.embed_query(word).indices):
                    found.setdefault(index, word)
        return found

    def count_terms(self, text: str) -> int:
        """Count the terms of ``text``, repeated ones too: its length in the formula.

        Once in some hundred thousand texts two of its words share an id; only one is counted.
        """
        weights = self._counter.embed_document(_splittable(text)).values
        return round(sum(w * _COUNTING_K1 / (_COUNTING_K1 + 1 - w) for w in weights))

    def average_length(self, texts: Iterable[str]) -> float:
        """Return the mean number of terms, at least 1; the default ``avg_len`` for no texts."""
        counts = [self.count_terms(text) for text in texts]
        return max(1.0, sum(counts) / len(counts)) if counts else _DEFAULT_AVERAGE_LENGTH


def _engine(language: str, *, k1: float, b: float, avg_len: float) -> Bm25:
    if language == NEUTRAL:
        neutral = Bm25Config(
            k=k1, b=b, avg_len=avg_len, stemmer=DisabledStemmer(), stopwords=StopwordsSet()
        )
        return Bm25(neutral)
    return Bm25(Bm25Config(k=k1, b=b, avg_len=avg_len, language=language))


def _splittable(text: str) -> str:
    """Put spaces where the engine's word tokenizer needs them.

    Its multilingual tokenizer is not used: it drops every number ("2024-01-05" has no term), and
    splits a Japanese word by whether kana surround it, so that a query misses its document.
    """
    # A lone surrogate, as from an undecodable command line argument, is no text to the engine.
    text = text.encode("utf-8", "replace").decode("utf-8")
    # PDFs hold ligatures and letters apart from their accents: one word must have one form.
    return UNSPACED.sub(_character_pairs, unicodedata.normalize("NFKC", text))


def _character_pairs(run: re.Match[str]) -> str:
    characters = run.group()
    pairs = (characters[i : i + 2] for i in range(len(characters) - 1))
    return f" {' '.join(pairs) or characters} "
