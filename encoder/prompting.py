"""Prompts for a language model: special tokens kept out of quoted texts, chats written out."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from transformers import PreTrainedTokenizerFast

from encoder.instructions import clean

Turn = Mapping[str, str]
"""One message of a chat: ``role`` and ``content``."""


def readable(
    tokenizer: PreTrainedTokenizerFast, passages: Sequence[str], *, max_tokens: int
) -> list[str]:
    """Cut passages to what the model reads, and take out what is spelled like a special token.

    A document could otherwise end its turn of a chat and speak as somebody else.
    """
    added = (str(token) for token in tokenizer.added_tokens_decoder.values() if token.special)
    specials = [token for token in (*tokenizer.all_special_tokens, *added) if token]
    texts = [_without(clean(passage), specials).strip() for passage in passages]
    if not texts:
        return []
    encoded = tokenizer(texts, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    return [
        text[: spans[max_tokens - 1][1]] if len(spans) > max_tokens else text
        for text, spans in zip(texts, encoded["offset_mapping"], strict=True)
    ]


def write_chat(tokenizer: PreTrainedTokenizerFast, turns: Sequence[Turn]) -> str:
    """Write out a chat up to where the model's answer begins, as its template says."""
    return str(
        tokenizer.apply_chat_template(
            [dict(turn) for turn in turns],
            tokenize=False,
            add_generation_prompt=True,
            enable_thinking=False,  # read by the templates of models that would think first
        )
    )


def special_affixes(
    tokenizer: PreTrainedTokenizerFast,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Find the special tokens that a tokenizer puts before and after a text."""
    bare = tokenizer("a", add_special_tokens=False)["input_ids"]
    whole = tokenizer("a")["input_ids"]
    start = next(i for i in range(len(whole)) if whole[i : i + len(bare)] == bare)
    prefix, suffix = whole[:start], whole[start + len(bare) :]
    return np.asarray(prefix, dtype=np.int64), np.asarray(suffix, dtype=np.int64)


def _without(text: str, specials: Sequence[str]) -> str:
    for token in specials:
        text = text.replace(token, " ")
    return text
