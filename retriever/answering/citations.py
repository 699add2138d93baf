"""Citations such as ``[2]`` in a text that is still being written."""

import re
from collections.abc import Iterator

_LABEL = r"(?:sources?(?:\s*:)?\s*)?#?"
_TO = r"(?:[\u2010-\u2014-]|to\b)"
_BETWEEN = rf"\s*(?:,\s*and\b|[,;&]|and\b|{_TO})\s*"
CITATION = re.compile(
    rf"\[(\s*{_LABEL}[0-9]{{1,6}}(?:{_BETWEEN}{_LABEL}[0-9]{{1,6}})*\s*)(?:</source>\s*)?\]",
    re.IGNORECASE,
)
"""One source or several, or a range of them, in brackets."""

_RANGE = re.compile(rf"([0-9]+)(?:\s*{_TO}\s*{_LABEL}([0-9]+))?", re.IGNORECASE)
_AS_QUOTED = r"<source ([0-9]{1,6})\b[^<>\n]{0,300}>|</source>"
"""A source's own frame in the prompt, which small models write in place of ``[1]``."""

_FOUND = re.compile(rf"{CITATION.pattern}|{_AS_QUOTED}", re.IGNORECASE)
_UNFINISHED = re.compile(
    r"\s*\[[^\[\]]{0,60}$|\s*</?(?:s|so|sou|sour|sourc|source[^<>\n]{0,310})?$|\s+$", re.IGNORECASE
)
"""What may become a citation, and spaces that go with it if it is dropped."""


class CitedText:
    """Passes a text on, each citation in the form ``[1]``, without those of no source.

    Args:
        sources: Numbers from 1 to this one exist.
    """

    def __init__(self, sources: int) -> None:
        self._sources = sources
        self._held = ""
        self.cited: tuple[int, ...] = ()
        """Numbers that exist, in the order in which they were first cited."""

        self.unknown: tuple[int, ...] = ()
        """Numbers that do not, likewise; they were dropped."""

    def feed(self, piece: str) -> str:
        """Take the next piece; return what can't change any more."""
        text = self._held + piece
        unfinished = _UNFINISHED.search(text)
        end = unfinished.start() if unfinished else len(text)
        self._held = text[end:]
        return self._checked(text[:end])

    def finish(self) -> str:
        """Return the rest."""
        text, self._held = self._held, ""
        return self._checked(text)

    def _checked(self, text: str) -> str:
        return "".join(self._parts(text))

    def _parts(self, text: str) -> Iterator[str]:
        done = 0
        for match in _FOUND.finditer(text):
            cited = match.group(1) or match.group(2) or ""
            numbers = list(_numbers(cited, sources=self._sources))
            known = [number for number in numbers if 1 <= number <= self._sources]
            self.cited = _with(self.cited, known)
            self.unknown = _with(self.unknown, [n for n in numbers if n not in known])
            before = text[done : match.start()]
            yield before if known else before.rstrip(" ")
            yield "".join(f"[{number}]" for number in known)
            done = match.end()
        yield text[done:]


def _numbers(cited: str, *, sources: int) -> Iterator[int]:
    """Name what is cited: of a range its two ends, and those between that exist."""
    for match in _RANGE.finditer(cited):
        first, last = int(match.group(1)), int(match.group(2) or match.group(1))
        yield first
        yield from range(max(1, first + 1), min(last, sources + 1))
        if last != first:
            yield last


def _with(seen: tuple[int, ...], numbers: list[int]) -> tuple[int, ...]:
    return tuple(dict.fromkeys((*seen, *numbers)))
