"""HTML through selectolax: headings, paragraphs, lists, tables and preformatted text, in order."""

import re
from collections.abc import Iterator

from selectolax.lexbor import LexborHTMLParser, LexborNode

from connectors.parsing.decoding import decode
from connectors.parsing.html_writer import HEADING_LEVELS, HtmlWriter
from connectors.parsing.parsed import ParsedText

_DECLARED = re.compile(
    rb"""(?:charset|<\?xml[^>]{0,200}?encoding)\s*=\s*["']?\s*([\w.:-]+)""", re.I
)
_SNIFFED_BYTES = 2048
_DROPPED = frozenset(
    [
        "head",
        "script",
        "style",
        "template",
        "noscript",
        "nav",
        "svg",
        "iframe",
        "object",
        "select",
        "textarea",
    ]
)


def parse(content: bytes, *, name: str) -> ParsedText:
    """Read an HTML file; ``name`` is not used."""
    del name
    declared = _DECLARED.search(content[:_SNIFFED_BYTES])
    decoded = decode(content, declared=declared[1].decode("ascii") if declared else None)
    tree = LexborHTMLParser(decoded.text)
    title_node = tree.css_first("head > title")
    title = " ".join(title_node.text().split()) if title_node else ""
    if tree.root is None:
        return ParsedText(text="", title=title, metadata=decoded.metadata())
    writer = HtmlWriter(layout_tables=_layout_tables(tree.root))
    for node, entering in _walk(tree.root):
        if entering:
            writer.enter(node)
        else:
            writer.leave(node)
    headings = writer.builder.headings
    return ParsedText(
        text=writer.builder.text(),
        title=title or next((h.title for h in headings if h.level == 1), ""),
        metadata=decoded.metadata(),
        headings=headings,
    )


def _walk(root: LexborNode) -> Iterator[tuple[LexborNode, bool]]:
    """Yield each node that is not dropped when it begins (True) and when it ends (False).

    Not recursive: pages nest deeper than Python's stack.
    """
    path: list[LexborNode] = []
    node: LexborNode | None = root
    while node is not None:
        yield node, True
        child = None if node.tag in _DROPPED else node.child
        if child is not None:
            path.append(node)
            node = child
            continue
        yield node, False
        while path and node.next is None:
            node = path.pop()
            yield node, False
        node = node.next if path else None


def _layout_tables(root: LexborNode) -> set[int]:
    """Ids of the tables that arrange the page and hold no data.

    They say so by their role, or they hold a table or a heading and have no header cell before it.
    """
    layout: set[int] = set()
    opened: list[int] = []
    undecided: list[int] = []
    for node, entering in _walk(root):
        is_table = node.tag == "table"
        if entering and (is_table or node.tag in HEADING_LEVELS):
            layout.update(undecided)
            undecided.clear()
        if entering and node.tag == "th" and undecided and undecided[-1] == opened[-1]:
            undecided.pop()
        if is_table and entering:
            opened.append(node.mem_id)
            undecided.append(node.mem_id)
            if node.attributes.get("role") in {"presentation", "none"}:
                layout.add(node.mem_id)
        elif is_table:
            closed = opened.pop()
            if undecided and undecided[-1] == closed:
                undecided.pop()
    return layout
