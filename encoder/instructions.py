"""Tokenise texts behind an instruction that is read and not pooled.

Source: arXiv:2404.05961, instructions excluded from the mean. LLM2Vec finds the text by
tokenising it a second time and counting tokens from the end; we use the offsets of one
tokenisation, so that a token boundary that shifts with the instruction can't shift the pool.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerFast


@dataclass(frozen=True, slots=True)
class TokenizedText:
    """One text as the model reads it."""

    ids: list[int]
    """Instruction and text, never empty."""

    pooled_from: int
    """First position that is pooled: the text starts here."""

    cut_tokens: int
    """Tokens of the text left out because it was too long."""


def tokenize(
    tokenizer: PreTrainedTokenizerFast,
    texts: Sequence[str],
    *,
    instruction: str,
    max_tokens: int,
) -> list[TokenizedText]:
    """Tokenise each text behind the instruction, cut to ``max_tokens``.

    A text without tokens of its own (SmolLM2 gives the empty text none) is encoded as the
    end-of-text token.

    Args:
        tokenizer: Of the model.
        texts: Any text, the empty one included.
        instruction: Read by the model before each text; empty for none.
        max_tokens: Upper bound of instruction and text together, at least 1.

    Returns:
        One for each text, in order.
    """
    if not texts:
        return []
    encoded = tokenizer(
        [instruction + clean(text) for text in texts],
        return_offsets_mapping=True,
        return_attention_mask=False,
        return_token_type_ids=False,
        truncation=False,
        verbose=False,
    )
    eos = tokenizer.eos_token_id
    return [
        _cut(ids, _text_start(offsets, len(instruction)), max_tokens=max_tokens, eos=eos)
        for ids, offsets in zip(encoded["input_ids"], encoded["offset_mapping"], strict=True)
    ]


def clean(text: str) -> str:
    """Replace lone surrogates, which no tokenizer takes, by the replacement character."""
    return text.encode("utf-8", errors="replace").decode("utf-8") if not text.isascii() else text


def _text_start(offsets: Sequence[tuple[int, int]], instruction_chars: int) -> int:
    """Find the first token that reaches beyond the instruction; with none, every token is text."""
    if instruction_chars == 0:
        return 0
    beyond = (i for i, (_, end) in enumerate(offsets) if end > instruction_chars)
    return next(beyond, len(offsets))


def _cut(ids: list[int], start: int, *, max_tokens: int, eos: int) -> TokenizedText:
    if start >= len(ids):
        ids = [*ids, eos]
        start = len(ids) - 1
    if len(ids) <= max_tokens:
        return TokenizedText(ids=ids, pooled_from=start, cut_tokens=0)
    kept = ids[:max_tokens]
    if ids[-1] == eos:
        kept[-1] = eos
    return TokenizedText(
        ids=kept, pooled_from=min(start, max_tokens - 1), cut_tokens=len(ids) - max_tokens
    )
