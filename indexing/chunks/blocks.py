"""The structure of a parsed text: sections, the blocks in them, and where a block may be cut.

Everything is a half-open range of code points, without the blanks around it. No text is changed.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum
from itertools import pairwise

from connectors.document import Document, Heading

Span = tuple[int, int]

FENCE = re.compile(r"`{3,}|~{3,}")
LIST_ITEM = re.compile(r"(?:[-*+•‣◦]|\d{1,9}[.)])[ \t]")
CLOSING = r"\"'\u201d\u2019\u00bb)\]"
FULL_WIDTH_END, FULL_WIDTH_CLOSING = r"\u3002\uff01\uff1f\uff1b", r"\u201d\u2019\u300d\u300f\uff09"
# Look-behinds keep it linear: a run of a million dots is looked at once.
SENTENCE_END = re.compile(
    rf"(?:(?<=[.!?\u2026])|(?<=[.!?\u2026][{CLOSING}]))\s+"
    rf"|(?<=[{FULL_WIDTH_END}])(?![{FULL_WIDTH_END}{FULL_WIDTH_CLOSING}])"
)
WORD_CHARACTER = re.compile(r"\w")


class Kind(Enum):
    """What a block is; the value says between what it may be cut."""

    PROSE = "sentences"
    LIST = "items"
    TABLE = "rows"
    CODE = "lines"


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and the text up to the next heading; the first section may have no heading."""

    start: int
    end: int
    path: tuple[str, ...]
    """Titles of the headings it lies under, outermost first, its own last."""

    path_starts: tuple[int, ...]
    """Where each heading of ``path`` begins."""


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph, list, table or code fence."""

    kind: Kind
    start: int
    """Where it begins, headings directly above it included."""

    end: int
    body: int
    """Where it begins without those headings."""


def sections(document: Document) -> list[Section]:
    """Divide a document at its headings.

    Args:
        document: What to divide.

    Returns:
        In order of ``start``; those without any text are left out.

    Raises:
        ValueError: The headings are out of order or outside the text.
    """
    text = document.text
    starts = [heading.start for heading in document.headings]
    if starts != sorted(starts) or any(not 0 <= start <= len(text) for start in starts):
        raise ValueError(
            f"the headings of `{document.id}` must be in order of `start` and within its "
            f"{len(text)} characters; got starts {starts[:20]}"
        )
    found = [Section(*trim(text, 0, starts[0] if starts else len(text)), (), ())]
    above: list[tuple[Heading, int]] = []
    for heading, borders in zip(document.headings, pairwise([*starts, len(text)]), strict=True):
        start, end = trim(text, *borders)
        above = [(other, at) for other, at in above if other.level < heading.level]
        above.append((heading, start))
        titled = [(other.title.strip(), at) for other, at in above if other.title.strip()]
        path = tuple(title for title, _ in titled)
        found.append(Section(start, end, path, tuple(at for _, at in titled)))
    return [section for section in found if section.start < section.end]


def is_heading_only(text: str, section: Section) -> bool:
    """Tell whether nothing but headings stands in a section."""
    if not section.path or section.path_starts[-1] < section.start:
        return False
    line_end = text.find("\n", section.path_starts[-1], section.end)
    return line_end < 0 or WORD_CHARACTER.search(text, line_end, section.end) is None


def blocks(text: str, section: Section) -> list[Block]:
    """Divide a section into blocks; a heading line belongs to the block after it."""
    found: list[Block] = []
    open_kind: Kind | None = None
    fence = ""
    for start, end in lines(text, section.start, section.end):
        line = text[start:end]
        kind = Kind.CODE if fence else _kind(line)
        joins = kind is open_kind or (open_kind is Kind.LIST and kind is Kind.PROSE)
        if kind and joins:
            found[-1] = replace(found[-1], end=end)
        elif kind:
            found.append(Block(kind, start, end, start))
        open_kind = found[-1].kind if kind else None
        if fence:
            fence = "" if _closes(line, fence) else fence
        elif kind is Kind.CODE:
            fence = _opening(line)
        if kind is Kind.CODE and not fence:
            open_kind = None
    return _with_headings(text, found, frozenset(section.path_starts))


def atoms(text: str, block: Block) -> list[Span]:
    """Cut a block into what should not be cut further: sentences, items, rows or lines."""
    if block.kind is Kind.PROSE:
        cuts = [match.end() for match in SENTENCE_END.finditer(text, block.body, block.end)]
    else:
        cuts = [
            start
            for start, end in lines(text, block.body, block.end)
            if block.kind is not Kind.LIST or LIST_ITEM.match(text, start, end)
        ]
    borders = [block.start, *(cut for cut in cuts if cut > block.body), block.end]
    spans = [trim(text, start, end) for start, end in pairwise(borders)]
    return [(start, end) for start, end in spans if start < end]


def lines(text: str, start: int, end: int) -> Iterator[Span]:
    """Locate each line; a blank one is an empty range."""
    while start < end:
        stop = text.find("\n", start, end)
        stop = end if stop < 0 else stop
        yield trim(text, start, stop)
        start = stop + 1


def trim(text: str, start: int, end: int) -> Span:
    """Leave out the blanks at both ends of a range."""
    while start < end and text[start].isspace():
        start += 1
    while start < end and text[end - 1].isspace():
        end -= 1
    return start, end


def _kind(line: str) -> Kind | None:
    if not line:
        return None
    if FENCE.match(line):
        return Kind.CODE
    if line[0] == "|" and line[-1] == "|" and len(line) > 1:
        return Kind.TABLE
    return Kind.LIST if LIST_ITEM.match(line) else Kind.PROSE


def _opening(line: str) -> str:
    match = FENCE.match(line)
    return match[0] if match else ""


def _closes(line: str, fence: str) -> bool:
    return line.startswith(fence) and not line.strip(fence[0])


def _with_headings(text: str, found: list[Block], heading_starts: frozenset[int]) -> list[Block]:
    joined: list[Block] = []
    above: Block | None = None
    for block in found:
        whole = replace(block, start=above.start) if above else block
        is_heading = block.start in heading_starts and "\n" not in text[block.start : block.end]
        above = whole if is_heading else None
        if not is_heading:
            joined.append(whole)
    return [*joined, above] if above else joined
