"""Where the words, sentences, passages and Markdown sections of a text are.

A span is a half-open range of characters.
"""

import re
from collections.abc import Iterator
from itertools import pairwise
from math import ceil

Span = tuple[int, int]

# Thai, Lao, Tibetan, Myanmar, Khmer, kana and Han.
UNSPACED = "\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u2e80-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"

# A character of a script without spaces counts as a word, so a budget in words fits every script.
WORD = re.compile(rf"[{UNSPACED}]|[^\W_](?:[^\W_{UNSPACED}]|['\u2019.-](?=[^\W_]))*")
HEADING = re.compile(r"^(#{1,6})[ \t]+(\S.{0,300}?)[ \t]*#*[ \t]*$", re.MULTILINE)

_CITATION = r"(?:[ \t]*\[[\d ,;\u2013-]+\])*"
# Not after initials and the usual abbreviations; not before a lower-case letter, unless the mark
# stands alone, as in texts that were tokenised.
_SENTENCE_END = re.compile(
    r"(?<!\b[A-Z])(?<!\bal)(?<!\bvs)(?<!\bcf)(?<!\bFig)(?<!\bNo)(?<!\bDr)(?<!\.[a-z])"
    rf"(?<![.!?…])[.!?…]+[\"'”)\]]*{_CITATION}\s+(?=[^a-z\s])"
    rf"|(?<=\s)[.!?]{_CITATION}\s+"
    r"|[。\uff01\uff1f]+\s*"
    r"|\n[ \t\r]*\n"
    r"|\n(?=[ \t]*(?:[-*+|>#]|\d{1,3}[.)])[ \t]?)"
)
_FRONT_MATTER = re.compile(r"\A\s*---[ \t]*\n.*?^---[ \t]*$", re.MULTILINE | re.DOTALL)
_FRONT_TITLE = re.compile(r"^title:[ \t]*([\"']?)(?P<title>\S.{0,200}?)\1[ \t]*$", re.MULTILINE)
_NO_BREAK = re.compile(r"[^\n]")
_FENCE = re.compile(r"^[ \t]*(```|~~~).*?(?:^[ \t]*\1|\Z)", re.MULTILINE | re.DOTALL)


def count_words(text: str) -> int:
    """Count words; in scripts without spaces, characters."""
    return len(WORD.findall(text))


def content_words(text: str) -> set[str]:
    """Words cut to their first five letters, so that forms of a word agree; short ones left out."""
    words = WORD.findall(text.casefold())
    return {word[:5] for word in words if len(word) > 3 or not word.isascii()}


def sentence_spans(text: str) -> list[Span]:
    """Locate sentences, list items and lone lines, in order, without the space around them."""
    borders = [0, *(match.end() for match in _SENTENCE_END.finditer(text)), len(text)]
    found = []
    for start, end in pairwise(borders):
        piece = text[start:end]
        if piece.strip():
            found.append((end - len(piece.lstrip()), start + len(piece.rstrip())))
    return found


def passage_spans(text: str, *, max_words: int) -> list[Span]:
    """Divide a text between sentences into passages of like length, at most ``max_words`` words.

    A sentence longer than that is cut between words.
    """
    sentences = sentence_spans(text)
    counts = [count_words(text[slice(*span)]) for span in sentences]
    # As many passages as are needed, and none that holds but the last words.
    passages = max(1, ceil(sum(counts) / max_words))
    target = sum(counts) / passages
    found: list[Span] = []
    held = 0
    for (start, end), words in zip(sentences, counts, strict=True):
        if found and held < target and held + words <= max_words:
            found[-1] = (found[-1][0], end)
            held += words
        else:
            found += _cut_at_words(text, (start, end), max_words=max_words)
            held = words
    return found


def _cut_at_words(text: str, span: Span, *, max_words: int) -> Iterator[Span]:
    starts = [match.start() for match in WORD.finditer(text, *span)][::max_words]
    borders = [span[0], *starts[1:], span[1]]
    for start, end in pairwise(borders):
        yield start, start + len(text[start:end].rstrip())


def front_title(text: str) -> str:
    """Read the title in a Markdown file's front matter; empty where there is none."""
    front = _FRONT_MATTER.match(text)
    title = _FRONT_TITLE.search(front.group()) if front else None
    return title["title"] if title else ""


def sections(text: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """Divide Markdown at its headings; other text is one section. Front matter is left out.

    Yields:
        Titles of the headings it lies under, outermost first, and the text below the last of them.
    """
    outside = _FENCE.sub(lambda fence: _NO_BREAK.sub(" ", fence.group()), text)
    path: list[tuple[int, str]] = []
    front = _FRONT_MATTER.match(text)
    start = front.end() if front else 0
    for heading in HEADING.finditer(outside, start):
        yield tuple(title for _, title in path), text[start : heading.start()].strip()
        level = len(heading.group(1))
        path = [(above, title) for above, title in path if above < level]
        path.append((level, heading.group(2)))
        start = heading.end()
    yield tuple(title for _, title in path), text[start:].strip()
