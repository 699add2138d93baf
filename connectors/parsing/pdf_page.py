"""One PDF page to text: broken words joined, paragraphs told apart by the gaps between lines."""

import re
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

import pypdfium2 as pdfium
from pypdfium2.raw import FPDFText_GetCharIndexFromTextIndex

from connectors.parsing.decoding import clean_text

# PDFium writes U+FFFE, or U+0002, for a hyphen that only breaks a line.
_LINE_HYPHEN = re.compile(r"[\ufffe\x02][ \t\r\n]*|\xad[ \t]*(?:\r?\n)?")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x0c\x0e-\x1f]")
_MAX_CONTROL_SHARE = 0.1  # beyond it the font has no Unicode map, and the letters are glyph numbers

# Found on reports, papers and invoices: wrapped lines are one pitch apart, paragraphs more.
_PARAGRAPH_GAP = 1.3
_SIZE_CHANGE = 1.15


@dataclass(frozen=True, slots=True)
class _Box:
    """The font box of a character, in points upwards from the foot of the page."""

    bottom: float
    height: float


@dataclass(frozen=True, slots=True)
class _Line:
    text: str

    first: _Box | None
    """Of its first character; None where PDFium knows none."""

    last: _Box | None
    """Of its last character, which is lower where a broken word was joined."""


def page_text(page: pdfium.PdfTextPage) -> str:
    """The text of a page, with blank lines between its paragraphs."""
    lines = _lines(page)
    gaps = [gap for above, below in pairwise(lines) if (gap := _gap(above, below)) > 0]
    pitch = median(gaps) if gaps else 0.0
    parts: list[str] = [lines[0].text] if lines else []
    for above, below in pairwise(lines):
        parts.append("\n\n" if _starts_paragraph(above, below, pitch=pitch) else "\n")
        parts.append(below.text)
    return "".join(parts)


def _lines(page: pdfium.PdfTextPage) -> list[_Line]:
    lines: list[_Line] = []
    start = 0
    for written in page.get_text_range().split("\r\n"):
        if text := _readable(written):
            first = start + len(written) - len(written.lstrip())
            last = start + len(written.rstrip()) - 1
            lines.append(_Line(text=text, first=_box(page, first), last=_box(page, last)))
        start += len(written) + 2
    return lines


def _readable(line: str) -> str:
    joined = _LINE_HYPHEN.sub("", line)
    if len(_CONTROL.findall(joined)) > _MAX_CONTROL_SHARE * len(joined):
        return ""
    return clean_text(joined).strip()


def _box(page: pdfium.PdfTextPage, text_index: int) -> _Box | None:
    try:
        index = FPDFText_GetCharIndexFromTextIndex(page, text_index)
        _, bottom, _, top = page.get_charbox(index, loose=True)
    except pdfium.PdfiumError:
        return None
    return _Box(bottom=bottom, height=top - bottom)


def _gap(above: _Line, below: _Line) -> float:
    """How much lower the second line is, in points; 0 where that is unknown."""
    if above.last is None or below.first is None:
        return 0.0
    return above.last.bottom - below.first.bottom


def _starts_paragraph(above: _Line, below: _Line, *, pitch: float) -> bool:
    gap = _gap(above, below)
    if above.first is None or below.first is None or not pitch:
        return False
    if gap < 0:  # further up: another column
        return gap < -pitch
    smaller, larger = sorted((above.first.height, below.first.height))
    other_size = (
        larger > _SIZE_CHANGE * smaller and gap > pitch / 2
    )  # less: a raised or lowered sign
    return gap > _PARAGRAPH_GAP * pitch or other_size
