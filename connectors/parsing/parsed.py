"""What every parser returns, and a builder for formats whose text is put together from blocks."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from connectors.document import Heading, JsonValue
from connectors.parsing.decoding import clean_text


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedText:
    """Text of one file and the places in it; the fields mean what they mean in `Document`."""

    text: str
    title: str = ""
    metadata: Mapping[str, JsonValue] = field(default_factory=dict)
    page_starts: tuple[int, ...] = ()
    headings: tuple[Heading, ...] = ()


class TextBuilder:
    """Blocks one after the other, blank lines between them, and the offsets of the headings."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._length = 0
        self._last_was_tight = False
        self._headings: list[Heading] = []

    @property
    def headings(self) -> tuple[Heading, ...]:
        """The headings added so far."""
        return tuple(self._headings)

    def text(self) -> str:
        """The text added so far."""
        return "".join(self._parts)

    def add(self, block: str, *, tight: bool = False) -> None:
        """Append a block; an empty one adds nothing.

        Args:
            block: Text without surrounding blank lines.
            tight: A list item or table row: only a newline between it and a tight block before it.
        """
        block = clean_text(block).strip("\n")
        if not block.strip():
            return
        self._append_separator(tight=tight)
        self._append(block)

    def add_heading(self, title: str, *, level: int) -> None:
        """Append a heading on a line of its own; an empty one adds nothing."""
        title = " ".join(clean_text(title).replace("\u200b", " ").split())
        if not title:
            return
        self._append_separator(tight=False)
        self._headings.append(Heading(level=level, title=title, start=self._length))
        self._append(title)

    def close_group(self) -> None:
        """Put a blank line before the next block even if it is tight: a list or table ends here."""
        self._last_was_tight = False

    def _append_separator(self, *, tight: bool) -> None:
        if self._parts:
            self._append("\n" if tight and self._last_was_tight else "\n\n")
        self._last_was_tight = tight

    def _append(self, piece: str) -> None:
        self._parts.append(piece)
        self._length += len(piece)


def table_row(cells: list[str]) -> str:
    """One table row as ``| a | b |``; empty when every cell is."""
    texts = [" ".join(cell.split()).replace("|", "\\|") for cell in cells]
    if not any(texts):
        return ""
    return "| " + " | ".join(texts) + " |"
