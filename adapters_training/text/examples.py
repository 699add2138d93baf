"""From text to what the stages learn from: blocks of tokens for MNTP, short texts for SimCSE."""

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from transformers import PreTrainedTokenizerFast

from adapters_training.errors import TrainingTextError
from adapters_training.text.documents import TrainingText
from encoder.instructions import clean
from encoder.prompting import special_affixes

Tokens = npt.NDArray[np.int64]

MIN_TOKENS = 4
TOKENIZE_AT_ONCE = 256
PARAGRAPH = re.compile(r"\n[ \t\r]*\n")
SENTENCE_END = re.compile(r"[.!?…]+[\"')\]]*\s|[。\uff01\uff1f]+|\n")


@dataclass(frozen=True, slots=True)
class Corpus:
    """Texts to learn from, each once, none empty."""

    items: tuple[TrainingText, ...]
    """With their titles and headings."""

    empty: int
    """Texts left out because nothing but white space was in them."""

    duplicates: int
    """Texts left out because they had come before."""

    digest: str
    """SHA-256 of the texts in their order."""

    @property
    def texts(self) -> list[str]:
        """Each with its title and headings, as an encoder is given it."""
        return [item.whole for item in self.items]


def collect_corpus(texts: Iterable[TrainingText | str]) -> Corpus:
    """Strip texts and leave out the empty and the repeated ones, in the given order.

    Raises:
        TrainingTextError: nothing is left.
    """
    kept: dict[str, TrainingText] = {}
    empty = duplicates = 0
    for text in texts:
        item = cleaned(text)
        if not item.whole:
            empty += 1
        elif item.whole in kept:
            duplicates += 1
        else:
            kept[item.whole] = item
    if not kept:
        raise TrainingTextError(
            f"training needs text; got {empty} empty texts and no other\n"
            "hint: name a folder, .txt or .jsonl files that hold text"
        )
    digest = hashlib.sha256()
    for whole in kept:
        encoded = whole.encode()
        digest.update(len(encoded).to_bytes(8, "big") + encoded)
    return Corpus(
        items=tuple(kept.values()), empty=empty, duplicates=duplicates, digest=digest.hexdigest()
    )


def cleaned(text: TrainingText | str) -> TrainingText:
    """Strip a text and what stands over it; a plain string has neither title nor headings."""
    given = TrainingText(text=text) if isinstance(text, str) else text
    return TrainingText(
        text=clean(given.text).strip(),
        title=clean(given.title).strip(),
        headings=tuple(h for h in (clean(heading).strip() for heading in given.headings) if h),
        source=given.source,
    )


def mntp_blocks(
    texts: Iterable[str], tokenizer: PreTrainedTokenizerFast, *, max_tokens: int
) -> list[Tokens]:
    """Join all texts, an end-of-text token after each, and cut the whole into blocks.

    Each block gets the special tokens that the tokenizer puts around a text, as when texts are
    encoded.

    Returns:
        Blocks of ``max_tokens`` ids, ``[T]``; the last one may be shorter.

    Raises:
        TrainingTextError: there are fewer than 4 tokens in all.
    """
    prefix, suffix = special_affixes(tokenizer)
    width = max_tokens - len(prefix) - len(suffix)
    pieces = [
        np.asarray([*ids, tokenizer.eos_token_id], dtype=np.int64)
        for ids in _token_ids(texts, tokenizer)
    ]
    stream = np.concatenate(pieces) if pieces else np.zeros(0, dtype=np.int64)
    special = np.asarray(tokenizer.all_special_ids)
    bodies = (stream[start : start + width] for start in range(0, len(stream), max(1, width)))
    blocks = [
        np.concatenate([prefix, body, suffix])
        for body in bodies
        if np.count_nonzero(~np.isin(body, special)) >= MIN_TOKENS
    ]
    if not blocks:
        raise TrainingTextError(
            f"MNTP needs at least {MIN_TOKENS} tokens of text in a block of {width}; "
            f"got {len(stream)} tokens in all"
        )
    return blocks


def simcse_texts(
    texts: Iterable[str], tokenizer: PreTrainedTokenizerFast, *, max_tokens: int
) -> list[str]:
    """Cut texts into paragraphs, and long paragraphs into runs of sentences.

    A sentence longer than ``max_tokens`` is cut between tokens, so writing without spaces is cut
    too. Pieces under 4 tokens, and pieces that came before, are left out: a text that stands twice
    in a batch would be its own negative.

    Args:
        texts: Whole documents or any parts of them.
        tokenizer: Of the model.
        max_tokens: Of one piece, special tokens not counted.

    Returns:
        At least 2 different pieces, in order.

    Raises:
        TrainingTextError: there are fewer than 2.
    """
    paragraphs = [part for text in texts for part in PARAGRAPH.split(text) if part.strip()]
    kept: dict[str, None] = {}
    for start in range(0, len(paragraphs), TOKENIZE_AT_ONCE):
        batch = paragraphs[start : start + TOKENIZE_AT_ONCE]
        encoded = tokenizer(
            batch, add_special_tokens=False, return_offsets_mapping=True, verbose=False
        )
        for paragraph, spans in zip(batch, encoded["offset_mapping"], strict=True):
            for first, last in cut_spans(paragraph, spans, max_tokens=max_tokens):
                piece = paragraph[spans[first][0] : spans[last - 1][1]].strip()
                if last - first >= MIN_TOKENS and piece:
                    kept[piece] = None
    if len(kept) < 2:
        raise TrainingTextError(
            f"SimCSE needs at least 2 different texts of {MIN_TOKENS} tokens; got {len(kept)}"
        )
    return list(kept)


def cut_spans(
    text: str, spans: list[tuple[int, int]], *, max_tokens: int
) -> Iterator[tuple[int, int]]:
    """Cut a text's tokens into runs, after the last sentence end that fits.

    Args:
        text: One paragraph.
        spans: Of its tokens, in characters.
        max_tokens: At least 1.

    Yields:
        Half-open ranges of token positions that follow one another.
    """
    ends = [match.end() for match in SENTENCE_END.finditer(text)]
    first = 0
    while len(spans) - first > max_tokens:
        limit = first + max_tokens
        fitting = [end for end in ends if spans[first][0] < end <= spans[limit][0]]
        last = limit
        if fitting:
            # A token may begin with the space after a sentence, so its end decides which side it is
            # on.
            last = next(i for i in range(first, limit + 1) if spans[i][1] > fitting[-1])
        last = last if last > first else limit
        yield first, last
        first = last
    if first < len(spans):
        yield first, len(spans)


def _token_ids(texts: Iterable[str], tokenizer: PreTrainedTokenizerFast) -> Iterator[list[int]]:
    batch: list[str] = []
    for text in texts:
        batch.append(text)
        if len(batch) == TOKENIZE_AT_ONCE:
            yield from tokenizer(batch, add_special_tokens=False, verbose=False)["input_ids"]
            batch = []
    if batch:
        yield from tokenizer(batch, add_special_tokens=False, verbose=False)["input_ids"]
