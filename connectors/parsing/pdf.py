"""PDF through PDFium: text page by page, the outline as headings.

Source: https://pypdfium2.readthedocs.io. PDFium is not thread-safe, so all of it runs under one
lock: threads gain nothing here, processes do (spawned: a fork may copy the lock while it is held).
"""

import threading
from contextlib import closing
from dataclasses import dataclass
from itertools import islice

import pypdfium2 as pdfium
from pypdfium2.raw import FPDF_ERR_PASSWORD, FPDF_ERR_SECURITY

from connectors.document import Heading, JsonValue
from connectors.errors import DocumentError
from connectors.parsing.decoding import clean_text
from connectors.parsing.outline import Bookmark, PageText, locate_bookmark
from connectors.parsing.parsed import ParsedText
from connectors.parsing.pdf_page import page_text

_PDFIUM = threading.Lock()
_MAX_BOOKMARKS = 2000
_MAX_OUTLINE_DEPTH = 6
_PLACEHOLDERS = ("untitled", "(anonymous)", "(unspecified)")
_FILE_ENDINGS = (".doc", ".docx", ".pdf", ".indd", ".qxd", ".tex", ".dvi", ".rtf", ".xls", ".xlsx")


@dataclass(frozen=True, slots=True)
class _Contents:
    """What PDFium read; None for a page that it could not."""

    pages: list[str | None]
    bookmarks: list[Bookmark]
    title: str


def parse(content: bytes, *, name: str) -> ParsedText:
    """Read a PDF file; `DocumentError` when it is encrypted, broken, or has no text layer."""
    with _PDFIUM:
        contents = _read(content, name=name)
    text, page_starts = _join(contents.pages)
    unreadable: list[JsonValue] = [
        number for number, page in enumerate(contents.pages, start=1) if page is None
    ]
    if not text:
        raise DocumentError(_no_text_reason(len(contents.pages), unreadable=len(unreadable)))
    return ParsedText(
        text=text,
        title=contents.title,
        metadata={"unreadable_pages": unreadable} if unreadable else {},
        page_starts=page_starts,
        headings=_headings(contents.bookmarks, text=text, page_starts=page_starts),
    )


def _read(content: bytes, *, name: str) -> _Contents:
    try:
        pdf = pdfium.PdfDocument(content)
    except pdfium.PdfiumError as exc:
        if exc.err_code in {FPDF_ERR_PASSWORD, FPDF_ERR_SECURITY}:
            raise DocumentError(f"{name} is encrypted; save a copy without a password") from exc
        raise DocumentError(f"not a PDF file, or broken beyond repair: {exc}") from exc
    try:
        return _Contents(
            pages=[_read_page(pdf, index) for index in range(len(pdf))],
            bookmarks=_read_bookmarks(pdf),
            title=_readable_title(pdf.get_metadata_value("Title")),
        )
    finally:
        pdf.close()


def _read_page(pdf: pdfium.PdfDocument, index: int) -> str | None:
    try:
        with closing(pdf[index]) as page, closing(page.get_textpage()) as text_page:
            return page_text(text_page)
    except pdfium.PdfiumError:
        return None


def _read_bookmarks(pdf: pdfium.PdfDocument) -> list[Bookmark]:
    found: list[Bookmark] = []
    for entry in islice(pdf.get_toc(max_depth=_MAX_OUTLINE_DEPTH), _MAX_BOOKMARKS):
        target = entry.get_dest()
        page = None if target is None else target.get_index()
        title = " ".join(clean_text(entry.get_title()).split())
        if page is not None and title:
            found.append(Bookmark(level=entry.level + 1, title=title, page=page))
    return found


def _readable_title(title: str) -> str:
    """The title in the file's properties; empty where it is what a program left there."""
    title = " ".join(clean_text(title).split()).removeprefix("Microsoft Word - ")
    folded = title.casefold()
    machine_made = folded.endswith(_FILE_ENDINGS) or folded.startswith(_PLACEHOLDERS)
    return "" if machine_made else title


def _no_text_reason(pages: int, *, unreadable: int) -> str:
    if unreadable == pages:
        return f"none of its pages can be read, {pages} in all"
    return (
        f"no text layer on any of its pages, {pages} in all (scanned, drawings or forms);"
        " run OCR on it first"
    )


def _join(pages: list[str | None]) -> tuple[str, tuple[int, ...]]:
    """The pages with blank lines between them, and where each begins."""
    parts: list[str] = []
    starts: list[int] = []
    length = 0
    for page in pages:
        if page and length:
            parts.append("\n\n")
            length += 2
        starts.append(length)
        parts.append(page or "")
        length += len(page or "")
    return "".join(parts), tuple(starts)


def _headings(
    bookmarks: list[Bookmark], *, text: str, page_starts: tuple[int, ...]
) -> tuple[Heading, ...]:
    """The bookmarks whose line is found on their page, in text order, one per line."""
    pages: dict[int, PageText] = {}
    by_start: dict[int, Heading] = {}
    for bookmark in bookmarks:
        if bookmark.page >= len(page_starts):
            continue
        if bookmark.page not in pages:
            start, end = (*page_starts, len(text))[bookmark.page : bookmark.page + 2]
            pages[bookmark.page] = PageText.of(text, start=start, end=end)
        start_of_line = locate_bookmark(bookmark.title, pages[bookmark.page])
        if start_of_line is not None:
            heading = Heading(level=bookmark.level, title=bookmark.title, start=start_of_line)
            by_start.setdefault(start_of_line, heading)
    return tuple(by_start[start] for start in sorted(by_start))
