"""One state for each word of a sentence, for tagging.

Shapes: T tokens · W words · D width.
Source: arXiv:2404.05961, word-level tasks: a word is the mean of its tokens; for models trained
with MNTP, of the tokens one position earlier, because MNTP predicts a token from there.
"""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from encoder.base import FloatArray
from encoder.instructions import clean
from encoder.llm2vec import LLM2VecEncoder

Span = tuple[int, int]
"""Half-open range of code points; empty for a special token."""


@runtime_checkable
class WordEncoder(Protocol):
    """Turns the words of sentences into states."""

    def encode_words(
        self, sentences: Sequence[Sequence[str]], *, shift: bool = False
    ) -> list[FloatArray]:
        """Encode the words of each sentence: ``[W, D]`` float32 each, not normalised.

        Args:
            sentences: As words; they are read with a space between them.
            shift: Take the states one position before each token, as MNTP trains them.
        """


class DecoderWordEncoder(LLM2VecEncoder):
    """An `LLM2VecEncoder` that also tells the states of words."""

    def encode_words(
        self, sentences: Sequence[Sequence[str]], *, shift: bool = False
    ) -> list[FloatArray]:
        """Encode the words of each sentence as `WordEncoder` asks, as documents."""
        texts = [clean(" ".join(words)) for words in sentences]
        return [
            average_words(states, self._spans(text, tokens=len(states)), words, shift=shift)
            for text, words, states in zip(texts, sentences, self.encode_tokens(texts), strict=True)
        ]

    def _spans(self, text: str, *, tokens: int) -> list[Span]:
        """Locate the tokens whose states `encode_tokens` gives, of a text that may have been cut.

        With an instruction, these begin at the text; without one, at the first special token.
        """
        instruction = self.spec.settings.document_instruction
        encoded = self._tokenizer(instruction + text, return_offsets_mapping=True, verbose=False)
        spans: list[Span] = [
            (max(0, start - len(instruction)), max(0, end - len(instruction)))
            for start, end in encoded["offset_mapping"]
        ]
        if instruction:
            first = next((i for i, (_, end) in enumerate(spans) if end > 0), len(spans))
            spans = spans[first:]
        closing = next((i for i, (_, end) in enumerate(reversed(spans)) if end > 0), 0)
        return [*spans[: tokens - closing], *[(0, 0)] * closing][:tokens]


def average_words(
    states: FloatArray, spans: Sequence[Span], words: Sequence[str], *, shift: bool
) -> FloatArray:
    """Average the states of each word's tokens.

    A word without a token of its own, because the tokenizer drops its characters or the sentence
    was cut, gets the token before it: every encoder is measured on every word.

    Args:
        states: ``[T, D]``, T >= 1 where there are words.
        spans: Of the T tokens in the words joined by single spaces.
        words: W of them.
        shift: Take the token before each token; the first token stands for itself.

    Returns:
        ``[W, D]``.
    """
    averaged = np.zeros((len(words), states.shape[1]), dtype=np.float32)
    start = 0
    for row, word in enumerate(words):
        end = start + len(word)
        own = [i for i, (a, b) in enumerate(spans) if a < end and b > max(start, a)]
        if not own:
            own = [max((i for i, (_, b) in enumerate(spans) if 0 < b <= start), default=0)]
        averaged[row] = states[[max(0, i - shift) for i in own]].mean(axis=0)
        start = end + 1
    return averaged
