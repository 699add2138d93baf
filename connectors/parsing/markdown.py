"""Markdown: the text stays as written, its headings are found, its front matter becomes metadata.

Source: CommonMark 0.31.2 for ATX and setext headings, code fences and raw HTML blocks. We differ
twice, to name fewer false headings: a fence counts at any indentation, as in list items; and only a
paragraph of one line can be underlined, since `---` under prose is nearly always meant as a rule.
"""

import re
from collections.abc import Iterator

from connectors.document import Heading
from connectors.parsing.decoding import decode
from connectors.parsing.front_matter import split_front_matter
from connectors.parsing.inline_markdown import plain_title
from connectors.parsing.parsed import ParsedText

_ATX = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*))?")
_UNDERLINE = re.compile(r" {0,3}(=+|-+)[ \t]*")
_NOT_UNDERLINED = re.compile(r" {4}|\t| {0,3}(?:>|[-*+](?:\s|$)|\d+[.)]\s|\||<)")
_FENCE = re.compile(r"(?:[ \t>]|[-*+][ \t]|\d{1,9}[.)][ \t])*(`{3,}(?=[^`]*$)|~{3,}).*")
_RAW_HTML = re.compile(r" {0,3}<(pre|script|style|textarea)\b", re.IGNORECASE)


def parse(content: bytes, *, name: str) -> ParsedText:
    """Read a Markdown file; ``name`` is not used."""
    del name
    decoded = decode(content)
    fields, text = split_front_matter(decoded.text)
    headings = tuple(find_headings(text))
    title = fields.pop("title", None) or next((h.title for h in headings if h.level == 1), "")
    return ParsedText(
        text=text, title=str(title), metadata=fields | decoded.metadata(), headings=headings
    )


def find_headings(text: str) -> Iterator[Heading]:
    """Yield the headings of a Markdown text that are outside code, comments and raw HTML."""
    start = 0
    closing: re.Pattern[str] | None = None
    before = ""
    candidate: tuple[int, str] | None = None
    for line in text.split("\n"):
        after_blank, before = not before.strip(), line
        underlined, candidate = candidate, None
        if closing is not None:
            closing = None if closing.search(line) else closing
            before = "" if closing is None else line
        elif (closing := _region_end(line)) is not None:
            pass
        elif atx := _ATX.fullmatch(line):
            yield from _heading(
                _without_closing_hashes(atx[2] or ""), level=len(atx[1]), start=start
            )
            before = ""
        elif underlined and (underline := _UNDERLINE.fullmatch(line)):
            level = 1 if underline[1].startswith("=") else 2
            yield from _heading(underlined[1], level=level, start=underlined[0])
            before = ""
        elif after_blank and line.strip() and not _NOT_UNDERLINED.match(line):
            candidate = (start, line)
        start += len(line) + 1


def _region_end(line: str) -> re.Pattern[str] | None:
    """What ends the region without headings that this line opens; None when it opens none."""
    if fence := _FENCE.fullmatch(line):
        marker = fence[1]
        return re.compile(rf"^[ \t>]*{marker[0]}{{{len(marker)},}}[ \t]*$")
    if line.lstrip(" ").startswith("<!--") and "-->" not in line:
        return re.compile("-->")
    if raw := _RAW_HTML.match(line):
        end = re.compile(rf"</{raw[1]}\s*>", re.IGNORECASE)
        return None if end.search(line) else end
    return None


def _without_closing_hashes(title: str) -> str:
    shorter = title.rstrip().rstrip("#")
    return shorter if not shorter or shorter[-1] in " \t" else title


def _heading(markup: str, *, level: int, start: int) -> Iterator[Heading]:
    if title := plain_title(markup):
        yield Heading(level=level, title=title, start=start)
