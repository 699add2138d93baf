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

    Raises:
        ValueError: a text has to be cut, and the instruction leaves no room for any of it.
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
    return [
        _fit(
            ids,
            offsets,
            instruction_chars=len(instruction),
            max_tokens=max_tokens,
            eos=tokenizer.eos_token_id,
        )
        for ids, offsets in zip(encoded["input_ids"], encoded["offset_mapping"], strict=True)
    ]


def clean(text: str) -> str:
    """Replace lone surrogates, which no tokenizer takes, by question marks."""
    return text if text.isascii() else text.encode("utf-8", errors="replace").decode("utf-8")


def _fit(
    ids: list[int],
    offsets: Sequence[tuple[int, int]],
    *,
    instruction_chars: int,
    max_tokens: int,
    eos: int,
) -> TokenizedText:
    """Find the text among its tokens and cut its end; what a tokenizer closes with stays."""
    text_from = next((i for i, (_, end) in enumerate(offsets) if end > instruction_chars), None)
    closing_from = next((i for i in range(len(ids), 0, -1) if offsets[i - 1][1] > 0), 0)
    closing: list[int] = []
    if text_from is not None:
        closing = ids[closing_from:]
    else:
        text_from = closing_from
        ids = ids if closing_from < len(ids) else [*ids, eos]
    pooled_from = text_from if instruction_chars else 0
    if len(ids) <= max_tokens:
        return TokenizedText(ids=ids, pooled_from=pooled_from, cut_tokens=0)
    room = max_tokens - len(closing)
    if text_from >= room:
        raise ValueError(
            f"`max_tokens` must leave room for the text; it is {max_tokens}, and the instruction "
            f"and special tokens take {text_from + len(closing)}"
        )
    return TokenizedText(
        ids=[*ids[:room], *closing], pooled_from=pooled_from, cut_tokens=len(ids) - max_tokens
    )
