"""Queries and passages that stand in the structure of a written text.

A query is the text's title or heading, a question in it, the line that sums it up, or a sentence of
it; the passage is what stands below, after or around it, without the query.
"""

import re
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from adapters_training.text.sentences import (
    Span,
    content_words,
    count_words,
    passage_spans,
    sentence_spans,
)

PASSAGE_WORDS = 180
"""Most words of a passage: about the 256 tokens of an indexed chunk."""

QUESTION_WORDS = (3, 24)
SENTENCE_WORDS = (5, 40)
"""Of a sentence that can become a query."""

CLAUSE_WORDS = (8, 20)
"""A sentence is shortened to a number of words drawn from this range: queries have all lengths."""

SUMMARY_WORDS = 24
EARLY_PASSAGES = 3
"""What stands over a text is said of its first passages; of which is left to chance."""

OPENING_CHARS = 8000
"""Of a text that first passages are looked for in."""

_ABSTRACT = re.compile(r"\bAbstract\s*[:.]\s+(?:Text:\s+)?", re.IGNORECASE)
_SUMMARY = re.compile(
    r"(?:^|(?<=[.!?]\s))[#*_ ]*"
    r"(?:CONCLUSIONS?|SUMMARY|INTERPRETATION|TL;DR|(?:Summary|Conclusions?|In short|In brief)[:.])"
    r"(?:[*_:. ]|\s(?=[A-Z]))+",
    re.MULTILINE,
)
_MARKED_ANSWER = re.compile(
    r"^[ \t*_]*(?:Q|Question)[ \t]*\d*[ \t]*[:.)][*_ \t]*(?P<question>\S.{0,300}?)\s*"
    r"^[ \t*_]*(?:A|Answer)[ \t]*\d*[ \t]*[:.)][*_ \t]*(?P<answer>\S.*?)"
    r"(?=^[ \t*_]*(?:Q|Question)[ \t]*\d*[ \t]*[:.)]|\Z)",
    re.MULTILINE | re.DOTALL,
)
# Headings that were flattened into the text below them: "4. Contests: ...", "Payment data. For ..."
# and "Your Choices We offer ...", where only the next sentence's first word tells them apart.
_NUMBER = r"(?:\(?(?:\d{1,3}|[A-Za-z])[.)]\s*){0,3}"
_TITLE_WORD = r"[A-Z][\w'\u2019-]*"
_CAPITALISED = re.compile(
    _NUMBER + rf"(?P<label>{_TITLE_WORD}"
    rf"(?:[,/ ]+(?:&|{_TITLE_WORD}|and|or|of|the|to|for|in|on|by|with|a)){{0,9}}?)\s+"
    r"(?=(?:We|You|Your|This|These|Our|The|If|When|In|For|By|To|A|An|As|From|Some|Any|It|Please"
    r"|There|At|On|With|All|Most|Many|Use|After|Before)\s+[a-z])"
)
_LABEL = re.compile(
    _NUMBER + r"(?P<label>[^\W\d_](?:[^.:?!()\n]|(?<=\w)\.(?=\w)){2,70})[.:]\s+(?=[^\Wa-z])"
)
_LINK = re.compile(r"!?\[([^\]]{0,300})\]\([^)]{0,300}\)|\[([^\]]{0,300})\]\[[^\]]{0,300}\]")
_CITATION = re.compile(r"\s?\[[\d ,;\u2013-]{1,50}\]|\s?\{#[^}]{0,80}\}|<[^>]{1,80}>")
_MARKUP = re.compile(r"[*`]+|(?<!\w)_+|_+(?!\w)|^[#>|+\s-]+|^\d{1,3}[.)]\s+")
_BEFORE_SENTENCE = re.compile(r"^(?:[A-Z][A-Z &,]{3,}[:.]?\s+(?=[A-Z\d])|\d{1,3}\s+(?=[A-Z][a-z]))")
_BEFORE_CLAIM = re.compile(
    r"^(?:\S+\s+){1,8}?(?:show|indicate|suggest|demonstrate|reveal|conclude|find|found|propose)"
    r"(?:s|d|ed|n)?\s+that\s+"
)
_CLAUSE_END = re.compile(
    r"(?<=[,;:])\s+|\s+(?=\()|(?<=\))\s+|\s+[\u2013\u2014]\s+"
    r"|\s+(?=(?:that|which|because|and|or|but|where|while|when|if|for|to|by|with|in|from)\s)"
)
_CODE = re.compile(r"[{}=|\\<>]|\"\"\"|::|\w\(|```")
# Said of what came before, so no query by itself.
_LEANING = re.compile(
    r"(?:this|that|these|those|it|its|they|their|he|she|his|her|such|however|moreover|furthermore|"
    r"therefore|thus|hence|also|additionally|but|and|or|so|then|see|note|fig|figure|table|here|in "
    r"addition|as a result|for example|for instance|in contrast|by contrast|of these|both)\b",
    re.IGNORECASE,
)


def title_pair(name: str, text: str, *, rng: np.random.Generator) -> tuple[str, str]:
    """Pair a title or heading with one of the first passages below it."""
    abstract = _ABSTRACT.search(text, 0, 2000)
    return name, _early_passage(
        without_repeated(name, text[abstract.end() :] if abstract else text), rng=rng
    )


def label_pair(text: str) -> tuple[str, str] | None:
    """Pair what stands like a heading at the start of a text with what follows.

    Files that were flattened to lines hold headings so: "Your Choices We offer ...", "Payment
    information. For example, ...".
    """
    for pattern, most_words in ((_CAPITALISED, 10), (_LABEL, 6)):
        match = pattern.match(text)
        label = plain(match["label"]) if match else ""
        if match and 2 <= count_words(label) <= most_words and not _LEANING.match(label):
            return label, first_passage(text[match.end() :])
    return None


def question_pairs(text: str) -> Iterator[tuple[str, str]]:
    """Pair questions with the text after them."""
    marked = list(_MARKED_ANSWER.finditer(text))
    for match in marked:
        yield plain(match["question"]), first_passage(match["answer"])
    if marked or not re.search("[?\uff1f]", text):
        return
    spans = sentence_spans(text)
    asked = [is_question(plain(text[slice(*span)])) for span in spans]
    starts = [start for (start, _), asks in zip(spans, asked, strict=True) if asks]
    for i, (span, after) in enumerate(pairwise(spans)):
        if asked[i] and not asked[i + 1]:
            end = next((start for start in starts if start > span[0]), len(text))
            yield plain(text[slice(*span)]), first_passage(text[after[0] : end])


def summary_pair(text: str, *, rng: np.random.Generator) -> tuple[str, str] | None:
    """Pair the sentence that sums a text up with the text before or after it."""
    match = _SUMMARY.search(text)
    spans = sentence_spans(text[match.end() :]) if match else []
    if match is None or not spans:
        return None
    start, end = (match.end() + place for place in spans[0])
    said = shortened(statement(text[start:end]), max_words=SUMMARY_WORDS)
    rest = f"{text[: match.start()].rstrip()} {text[end:].lstrip()}"
    return said, _early_passage(rest.strip(), rng=rng)


def sentence_pairs(text: str, *, each: int, rng: np.random.Generator) -> Iterator[tuple[str, str]]:
    """Pair sentences of a passage with the passage without them, one at a time.

    Args:
        text: Cut into passages first.
        each: Pairs of a passage, at most.
        rng: Chooses among the sentences that can be understood alone and share words with the rest.

    Source: the inverse cloze task, Lee et al. 2019, arXiv:1906.00300, where any sentence is taken.
    """
    for passage_start, passage_end in passage_spans(text, max_words=PASSAGE_WORDS):
        passage = text[passage_start:passage_end]
        queries = _sentence_queries(passage, rng=rng)
        for i in sorted(rng.permutation(len(queries))[:each].tolist()):
            said, (start, end) = queries[i]
            yield said, f"{passage[:start].rstrip()} {passage[end:].lstrip()}".strip()


def is_question(text: str) -> bool:
    """Tell whether a text is one question of a query's length."""
    low, high = QUESTION_WORDS
    asks = text.endswith(("?", "\uff1f")) and low <= count_words(text) <= high
    return asks and not _LEANING.match(text)


def first_passage(text: str) -> str:
    """Cut a text after its first passage."""
    text = text[:OPENING_CHARS]
    spans = passage_spans(text, max_words=PASSAGE_WORDS)
    return text[slice(*spans[0])] if spans else ""


def plain(text: str) -> str:
    """Take Markdown, citations and a last full stop off what becomes a query."""
    text = _LINK.sub(lambda match: match[1] or match[2] or "", text)
    text = " ".join(_MARKUP.sub("", _CITATION.sub("", text).strip()).split())
    return text.rstrip(" .;:,\u3002")


def statement(text: str) -> str:
    """Take off what leads to a statement: "RESULTS:", "These findings suggest that"."""
    return _BEFORE_CLAIM.sub("", _BEFORE_SENTENCE.sub("", plain(text)), count=1)


def shortened(text: str, *, max_words: int) -> str:
    """Take the first clauses that fit; empty where the first is too long."""
    if count_words(text) <= max_words:
        return text
    ends = [match.start() for match in _CLAUSE_END.finditer(text)]
    fitting = [end for end in ends if count_words(text[:end]) <= max_words]
    return text[: fitting[-1]].strip(" ,;:") if fitting else ""


def without_repeated(name: str, body: str) -> str:
    """Take a title out of the text below it: at its start, and a long one wherever it stands."""
    words = re.findall(r"\w+", name)
    below = body.casefold()
    if not words or not all(word.casefold() in below for word in words):
        return body
    pattern = r"\W+".join(re.escape(word) for word in words)
    body = re.sub(rf"\A\W*{pattern}(?!\w)[ \t]*[.:]?\s*", "", body, count=1, flags=re.IGNORECASE)
    if len(words) >= 4:
        body = re.sub(rf"(?<!\w){pattern}(?!\w)", "", body, flags=re.IGNORECASE)
    return body.strip()


def _early_passage(text: str, *, rng: np.random.Generator) -> str:
    text = text[:OPENING_CHARS]
    spans = passage_spans(text, max_words=PASSAGE_WORDS)
    return text[slice(*spans[rng.integers(min(EARLY_PASSAGES, len(spans)))])] if spans else ""


def _sentence_queries(passage: str, *, rng: np.random.Generator) -> list[tuple[str, Span]]:
    """Make a query of each sentence that can be one, with the place of the sentence."""
    spans = sentence_spans(passage)
    words = [content_words(passage[slice(*span)]) for span in spans]
    holding = Counter(word for those in words for word in those)
    low, high = SENTENCE_WORDS
    found = []
    for span, those in zip(spans, words, strict=True):
        said = statement(passage[slice(*span)])
        if not low <= count_words(said) <= high or not _stands_alone(said):
            continue
        query = shortened(said, max_words=int(rng.integers(CLAUSE_WORDS[0], CLAUSE_WORDS[1] + 1)))
        shared = sum(holding[word] > 1 for word in content_words(query) & those)
        if count_words(query) >= low and shared >= 2:
            found.append((query, span))
    return found


def _stands_alone(said: str) -> bool:
    """Tell whether a sentence is a statement in words that leans on none before it."""
    return said[0].isalnum() and not (
        said.endswith(("?", "\uff1f")) or _LEANING.match(said) or _CODE.search(said)
    )
