"""Turns the paragraphs and tables of a DOCX body into blocks of text."""

from collections.abc import Iterator

from docx.oxml.xmlchemy import BaseOxmlElement

from connectors.parsing.docx_styles import (
    ParagraphStyle,
    heading_level,
    own_list_id,
    own_outline_level,
    read_styles,
    word,
)
from connectors.parsing.parsed import TextBuilder, table_row

_MATH_TEXT = "{http://schemas.openxmlformats.org/officeDocument/2006/math}t"
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
_MAX_LIST_DEPTH = 8

_PARAGRAPH = word("p")
_TABLE = word("tbl")
_TEXT_BOX = word("txbxContent")
# Fallback repeats its text box for old readers; deleted and moved-away text is no longer there.
_LEFT_OUT = frozenset((_FALLBACK, word("del"), word("moveFrom"), word("pPr"), word("rPr")))
_WRAPPERS = frozenset(map(word, ("sdt", "sdtContent", "customXml", "ins", "moveTo")))
_CHARACTERS = {
    word("tab"): "\t",
    word("br"): "\n",
    word("cr"): "\n",
    word("noBreakHyphen"): "-",
}


def blocks_of(container: BaseOxmlElement) -> Iterator[BaseOxmlElement]:
    """The paragraphs and tables of a body, cell, note or text box, in order."""
    for child in container:
        if child.tag in {_PARAGRAPH, _TABLE}:
            yield child
        elif child.tag in _WRAPPERS:
            yield from blocks_of(child)


class DocxWriter:
    """Collects blocks, and the first title among them."""

    def __init__(self, *, styles: BaseOxmlElement) -> None:
        self.builder = TextBuilder()
        self.title = ""
        self._styles = read_styles(styles)

    def add(self, block: BaseOxmlElement) -> None:
        """Append a paragraph or table."""
        if block.tag == _TABLE:
            self._add_table(block)
        else:
            self._add_paragraph(block)

    def _add_paragraph(self, paragraph: BaseOxmlElement) -> None:
        text, boxes = _read_paragraph(paragraph)
        style = self._style_of(paragraph)
        level = style.heading_level
        if (outline := own_outline_level(paragraph)) is not None:
            level = heading_level(outline)
        list_id = own_list_id(paragraph)
        if level is not None:
            self.builder.add_heading(text, level=level)
            if style.is_title and not self.title:
                self.title = " ".join(text.split())
        elif style.is_list_item if list_id is None else list_id:
            if text.strip():
                self.builder.add(_indent_of(paragraph) + "- " + text.strip(), tight=True)
        else:
            self.builder.add(text.rstrip())
        for box in boxes:
            for block in blocks_of(box):
                self.add(block)

    def _add_table(self, table: BaseOxmlElement) -> None:
        rows = _rows_of(table)
        self.builder.close_group()
        if len(rows) == 1 and len(rows[0]) == 1:
            # A frame around text, which may hold headings.
            for block in blocks_of(rows[0][0]):
                self.add(block)
        else:
            for row in rows:
                self.builder.add(table_row([_cell_text(cell) for cell in row]), tight=True)
        self.builder.close_group()

    def _style_of(self, paragraph: BaseOxmlElement) -> ParagraphStyle:
        style = paragraph.find(f"{word('pPr')}/{word('pStyle')}")
        style_id = "" if style is None else style.get(word("val"), "")
        return self._styles.get(style_id, ParagraphStyle())


def _read_paragraph(paragraph: BaseOxmlElement) -> tuple[str, list[BaseOxmlElement]]:
    """The text of a paragraph, and the text boxes anchored in it."""
    pieces: list[str] = []
    boxes: list[BaseOxmlElement] = []
    stack = [paragraph]
    while stack:
        element = stack.pop()
        if element.tag in _LEFT_OUT:
            continue
        if element.tag in {word("t"), _MATH_TEXT}:
            pieces.append(element.text or "")
        elif element.tag == _TEXT_BOX:
            boxes.append(element)
        elif element.tag in _CHARACTERS:
            pieces.append(_CHARACTERS[element.tag])
        else:
            stack.extend(reversed(element))
    return "".join(pieces), boxes


def _cell_text(cell: BaseOxmlElement) -> str:
    pieces: list[str] = []
    for block in blocks_of(cell):
        if block.tag == _TABLE:
            pieces.extend(_cell_text(inner) for row in _rows_of(block) for inner in row)
            continue
        text, boxes = _read_paragraph(block)
        pieces.append(text)
        pieces.extend(_cell_text(box) for box in boxes)
    return " ".join(piece for piece in pieces if piece.strip())


def _rows_of(table: BaseOxmlElement) -> list[list[BaseOxmlElement]]:
    return [list(_wrapped(row, word("tc"))) for row in _wrapped(table, word("tr"))]


def _wrapped(container: BaseOxmlElement, tag: str) -> Iterator[BaseOxmlElement]:
    """Rows of a table or cells of a row, also those inside content controls."""
    for child in container:
        if child.tag == tag:
            yield child
        elif child.tag in _WRAPPERS:
            yield from _wrapped(child, tag)


def _indent_of(paragraph: BaseOxmlElement) -> str:
    level = paragraph.find(f"{word('pPr')}/{word('numPr')}/{word('ilvl')}")
    written = "0" if level is None else level.get(word("val"), "0")
    return "  " * min(int(written) if written.isdecimal() else 0, _MAX_LIST_DEPTH)
