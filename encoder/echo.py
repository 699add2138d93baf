"""Echo embeddings: a decoder reads a text twice, and the second copy is pooled.

Every token of the second copy sees the whole first one although attention stays causal, so nothing
has to be trained; encoding costs twice the tokens. A baseline.

Source: Springer et al. 2024, Repetition Improves Language Model Embeddings, arXiv:2402.15449. The
frame has the form of their published template, ``Document: … Document again: …``, with one word
for queries and documents alike.
"""

import hashlib
import logging
from collections.abc import Sequence

from encoder.instructions import TokenizedText, clean, tokenize
from encoder.llm2vec import LLM2VecEncoder
from encoder.loading import Decoder, context_tokens
from encoder.spec import EncoderSpec

logger = logging.getLogger(__name__)

BEFORE, BETWEEN = "Text: ", "\nText again: "
SPARE = 8
"""Tokens of the context kept free: special ones, and words that are cut otherwise in the frame."""


class EchoEncoder(LLM2VecEncoder):
    """An `LLM2VecEncoder` over a causal decoder that reads each text twice."""

    def __init__(
        self, decoder: Decoder, spec: EncoderSpec, *, token_budget: int | None = None
    ) -> None:
        """Wrap a loaded decoder; `load` with ``causal=True`` is the usual way.

        Args:
            decoder: Its attention as it was trained.
            spec: What the decoder is.
            token_budget: Padded tokens of one batch, at most; None: what suits the device.

        Raises:
            ValueError: the decoder is bidirectional, or an instruction leaves no room.
        """
        if not spec.settings.causal:
            raise ValueError(
                "Echo embeddings keep the decoder's attention causal; this one is bidirectional\n"
                "hint: load it with causal=True"
            )
        super().__init__(decoder, spec, token_budget=token_budget)
        self._context = context_tokens(decoder.model.config)

    @property
    def fingerprint(self) -> str:
        """Differs from that of the decoder read once."""
        return hashlib.sha256(f"echo {BEFORE}{BETWEEN}{self.spec.fingerprint}".encode()).hexdigest()

    def _tokenize(self, texts: Sequence[str], instruction: str) -> list[TokenizedText]:
        """Read both copies as one text; ``max_tokens`` and half the context bound each copy."""
        if isinstance(texts, str):
            raise ValueError("`texts` must be a list of strings; got one string")  # noqa: TRY004
        frame = len(self.token_spans(instruction + BEFORE)) + len(self.token_spans(BETWEEN))
        longest = min(self._max_tokens, (self._context - frame) // 2 - SPARE)
        if longest < 1:
            raise ValueError(
                f"two copies of a text must fit into {self._context} tokens; "
                f"the instruction and the words between take {frame}"
            )
        rows = [self._echo(clean(text), instruction, longest=longest) for text in texts]
        cut = [row.cut_tokens for row in rows if row.cut_tokens]
        if cut:
            self.cut.texts += len(cut)
            self.cut.tokens += sum(cut)
            logger.warning(
                "%d of %d texts are longer than %d tokens; their ends were cut",
                *(len(cut), len(rows), longest),
            )
        return rows

    def _echo(self, text: str, instruction: str, *, longest: int) -> TokenizedText:
        spans = self.token_spans(text)
        kept = text[: spans[longest - 1][1]] if len(spans) > longest else text
        (row,) = tokenize(
            self._tokenizer,
            [kept],
            instruction=f"{instruction}{BEFORE}{kept}{BETWEEN}",
            max_tokens=self._context,
        )
        return TokenizedText(
            ids=row.ids,
            pooled_from=row.pooled_from,
            cut_tokens=row.cut_tokens + max(0, len(spans) - longest),
        )
