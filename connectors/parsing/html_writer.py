"""Turns the beginnings and ends of HTML elements into blocks of text."""

import re
from dataclasses import dataclass

from selectolax.lexbor import LexborNode

from connectors.parsing.parsed import TextBuilder, table_row

HEADING_LEVELS = {f"h{level}": level for level in range(1, 7)}

_BLOCKS = frozenset(
    [
        "address",
        "article",
        "aside",
        "blockquote",
        "body",
        "button",
        "caption",
        "center",
        "dd",
        "details",
        "dialog",
        "div",
        "dl",
        "dt",
        "fieldset",
        "figcaption",
        "figure",
        "footer",
        "form",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "header",
        "hr",
        "html",
        "legend",
        "li",
        "main",
        "ol",
        "option",
        "p",
        "pre",
        "section",
        "summary",
        "table",
        "tbody",
        "td",
        "tfoot",
        "th",
        "thead",
        "tr",
        "ul",
    ]
)
_SPACE = re.compile(r"[ \t\n\r\f\xa0]+")
_MAX_INDENTED_DEPTH = (
    8  # deeper lists keep this indentation, or a page of them would grow quadratically
)


@dataclass(slots=True)
class _List:
    ordered: bool
    items: int = 0


class HtmlWriter:
    """Collects inline text and hands it on as a block whenever a block element begins or ends.

    Inside a heading, a table cell and ``pre`` ("captured" below) nested blocks do not end the text.
    """

    def __init__(self, *, layout_tables: set[int]) -> None:
        self.builder = TextBuilder()
        self._layout_tables = layout_tables
        self._inline: list[str] = []
        self._captured_by: str | None = None
        self._capture_depth = 0
        self._cells: list[str] = []
        self._tables: list[bool] = []  # of the open tables: does it hold data?
        self._lists: list[_List] = []
        self._marker = ""

    def enter(self, node: LexborNode) -> None:
        """Take in the beginning of a node, or the whole of a text node."""
        tag = node.tag or ""
        if tag == "-text":
            text = (node.text_content or "").replace("\xad", "")
            self._inline.append(text if self._captured_by == "pre" else _SPACE.sub(" ", text))
        elif tag == "br":
            self._inline.append("\n")
        elif self._captured_by is not None:
            if tag in _BLOCKS:
                self._capture_depth += 1
                self._inline.append("\n" if self._captured_by == "pre" else " ")
        elif tag in _BLOCKS:
            self._flush()
            self._begin_block(tag, node)

    def leave(self, node: LexborNode) -> None:
        """Take in the end of a node."""
        tag = node.tag or ""
        if tag not in _BLOCKS:
            return
        if self._captured_by is None:
            self._flush()
            self._end_block(tag)
            return
        self._capture_depth -= 1
        if self._capture_depth:
            self._inline.append("\n" if self._captured_by == "pre" else " ")
        else:
            self._end_capture(self._captured_by)

    def _begin_block(self, tag: str, node: LexborNode) -> None:
        in_data_table = bool(self._tables) and self._tables[-1]
        if tag in HEADING_LEVELS or tag == "pre" or (tag in {"td", "th"} and in_data_table):
            self._captured_by = tag
            self._capture_depth = 1
        elif tag == "table":
            self.builder.close_group()
            self._tables.append(node.mem_id not in self._layout_tables)
        elif tag in {"ul", "ol"}:
            if not self._lists:
                self.builder.close_group()
            self._lists.append(_List(ordered=tag == "ol"))
        elif tag == "li":
            self._marker = self._next_marker()

    def _end_block(self, tag: str) -> None:
        if tag == "table" and self._tables:
            self._tables.pop()
            self.builder.close_group()
        elif tag == "tr":
            self.builder.add(table_row(self._cells), tight=True)
            self._cells.clear()
        elif tag in {"ul", "ol"} and self._lists:
            self._lists.pop()
        elif tag == "li":
            self._marker = ""

    def _end_capture(self, tag: str) -> None:
        text = "".join(self._inline)
        self._inline.clear()
        self._captured_by = None
        if tag == "pre":
            self.builder.add(text)
        elif tag in HEADING_LEVELS:
            self.builder.add_heading(text, level=HEADING_LEVELS[tag])
        else:
            self._cells.append(text)

    def _flush(self) -> None:
        lines = (" ".join(line.split()) for line in "".join(self._inline).split("\n"))
        text = "\n".join(line for line in lines if line)
        self._inline.clear()
        if text:
            self.builder.add(self._marker + text, tight=bool(self._marker))
            self._marker = ""

    def _next_marker(self) -> str:
        if not self._lists:
            return "- "
        innermost = self._lists[-1]
        innermost.items += 1
        indent = "  " * (min(len(self._lists), _MAX_INDENTED_DEPTH) - 1)
        return indent + (f"{innermost.items}. " if innermost.ordered else "- ")
