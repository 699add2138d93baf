"""Finds the line of a page that a PDF bookmark names. A bookmark itself only knows its page."""

import re
from dataclasses import dataclass

_NUMBERING = re.compile(r"(?:[\dIVX]+|[A-Z])(?:\.\d+)*[.):]?\s+")
_BEFORE_TITLE = re.compile(r"[\W\d_IVXA-H]{0,12}")  # "4.2 ", "§ 7 ", "A. "


@dataclass(frozen=True, slots=True)
class Bookmark:
    """An entry of the outline."""

    level: int
    """1 for the outermost."""

    title: str
    page: int
    """From 0."""


@dataclass(frozen=True, slots=True)
class PageText:
    """One page of a text, prepared for searching without regard to spaces and case."""

    text: str
    folded: str
    offsets: tuple[int, ...]
    """For each character of ``folded``, where in ``text`` it comes from."""

    @classmethod
    def of(cls, text: str, *, start: int, end: int) -> "PageText":
        """Prepare ``text[start:end]``; offsets stay those of the whole text."""
        folded = [
            (letter, offset)
            for offset, character in enumerate(text[start:end], start=start)
            if not character.isspace()
            for letter in character.casefold()
        ]
        return cls(
            text=text,
            folded="".join(letter for letter, _ in folded),
            offsets=tuple(offset for _, offset in folded),
        )


def locate_bookmark(title: str, page: PageText) -> int | None:
    """Start of the line that begins with a bookmark's title, with or without its numbering."""
    for wanted in dict.fromkeys((title, _NUMBERING.sub("", title, count=1))):
        needle = "".join(wanted.split()).casefold()
        position = page.folded.find(needle) if needle else -1
        while position >= 0:
            start_of_line = _line_start(page, first=position, last=position + len(needle) - 1)
            if start_of_line is not None:
                return start_of_line
            position = page.folded.find(needle, position + 1)
    return None


def _line_start(page: PageText, *, first: int, last: int) -> int | None:
    """Start of the line the match is on, if the match is all that the line says."""
    start, end = page.offsets[first], page.offsets[last] + 1
    start_of_line = page.text.rfind("\n", 0, start) + 1
    end_of_line = page.text.find("\n", end)
    rest = page.text[end : end_of_line if end_of_line >= 0 else len(page.text)]
    stands_alone = _BEFORE_TITLE.fullmatch(page.text[start_of_line:start]) and not rest.strip(" .:")
    return start_of_line if stands_alone else None
