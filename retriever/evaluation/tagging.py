"""Tags of words: read from CoNLL columns, and scored as conlleval scores them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from retriever.errors import JudgementsError
from retriever.evaluation.resampling import Measured, ratio_of_sums

Span = tuple[int, int, str]
"""First word, one past the last word, type."""


@dataclass(frozen=True, slots=True)
class TaggedSentences:
    """Sentences as words, each with its tag."""

    words: tuple[tuple[str, ...], ...]
    tags: tuple[tuple[str, ...], ...]

    @property
    def has_spans(self) -> bool:
        """Whether the tags mark spans: ``O``, ``B-type`` and ``I-type``, with at least one span."""
        tags = {tag for sentence in self.tags for tag in sentence}
        return len(tags) > 1 and all(tag == "O" or _prefix(tag) in ("B", "I") for tag in tags)


@dataclass(frozen=True, slots=True)
class TaggingReport:
    """How well tags were predicted."""

    sentences: int
    words: int
    accuracy: Measured
    """Share of words with the right tag. LLM2Vec's Table 4 prints it times 100."""

    f1: Measured | None
    """Over whole spans, micro-averaged; None where the tags mark none."""


def read_conll(path: Path, *, column: int | None = None) -> TaggedSentences:
    """Read one word a line with its columns, sentences set apart by blank lines.

    Columns stand apart by tabs, or where a line has none by spaces; the word is the first one.
    Lines of ``-DOCSTART-`` are left out.

    Args:
        path: The file.
        column: Of the tag, from 1; None: the last.

    Raises:
        JudgementsError: the file can't be read, a line lacks the column, or there is no word.
    """
    sentences: list[list[tuple[str, str]]] = [[]]
    try:
        with path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, start=1):
                if not line.strip() or line.startswith("-DOCSTART-"):
                    sentences.append([])
                    continue
                sentences[-1].append(_word_and_tag(path, number, line, column=column))
    except (OSError, UnicodeDecodeError) as exc:
        raise JudgementsError(f"{path} can't be read: {exc}") from exc
    kept = [sentence for sentence in sentences if sentence]
    if not kept:
        raise JudgementsError(f"{path} must hold words with tags; it holds none")
    return TaggedSentences(
        words=tuple(tuple(word for word, _ in sentence) for sentence in kept),
        tags=tuple(tuple(tag for _, tag in sentence) for sentence in kept),
    )


def _word_and_tag(path: Path, number: int, line: str, *, column: int | None) -> tuple[str, str]:
    text = line.rstrip("\r\n")
    fields = text.split("\t") if "\t" in text else text.split()
    wanted = len(fields) if column is None else column
    if not 2 <= wanted <= len(fields):
        raise JudgementsError(
            f"{path}:{number}: a line must hold a word and its tag in column {max(wanted, 2)}; "
            f"got {len(fields)} columns: {text!r}"
        )
    return fields[0], fields[wanted - 1].strip()


def spans(tags: Sequence[str]) -> set[Span]:
    """Find the spans that a sentence's tags mark.

    As in conlleval, a span also begins at an ``I-`` after ``O`` or after another type.
    """
    found: set[Span] = set()
    start, kind = 0, ""
    for position, tag in enumerate([*tags, "O"]):
        prefix, _, type_ = tag.partition("-")
        if kind and (prefix != "I" or type_ != kind):
            found.add((start, position, kind))
            kind = ""
        if prefix in ("B", "I") and not kind:
            start, kind = position, type_
    return found


def score_tags(
    gold: TaggedSentences, predicted: Sequence[Sequence[str]], *, rng: np.random.Generator
) -> TaggingReport:
    """Compare predicted tags with the right ones, and resample the sentences.

    Args:
        gold: Words and their right tags.
        predicted: A tag for each word, by sentence.
        rng: Source of the resamples.

    Raises:
        ValueError: a word has no predicted tag, or there is one too many.
    """
    if [len(tags) for tags in gold.tags] != [len(tags) for tags in predicted]:
        raise ValueError("`predicted` must hold one tag for each word of each sentence")
    words = np.array([len(tags) for tags in gold.tags])
    right = np.array(
        [sum(map(str.__eq__, *pair)) for pair in zip(gold.tags, predicted, strict=True)]
    )
    return TaggingReport(
        sentences=len(words),
        words=int(words.sum()),
        accuracy=ratio_of_sums(right, words, rng=rng),
        f1=_span_f1(gold.tags, predicted, rng=rng) if gold.has_spans else None,
    )


def _span_f1(
    gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]], *, rng: np.random.Generator
) -> Measured:
    pairs = [(spans(right), spans(found)) for right, found in zip(gold, predicted, strict=True)]
    twice_hits = np.array([2 * len(right & found) for right, found in pairs])
    either = np.array([len(right) + len(found) for right, found in pairs])
    return ratio_of_sums(twice_hits, either, rng=rng)


def _prefix(tag: str) -> str:
    prefix, hyphen, _ = tag.partition("-")
    return prefix if hyphen else ""
