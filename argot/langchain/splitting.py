"""LangChain's text splitters in place of our chunker; nothing of LangChain is imported."""

import json
import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from connectors.document import Document, Heading
from indexing.chunks.chunking import Chunk
from indexing.chunks.tokens import WordTokenizer
from indexing.identity import digest


class Piece(Protocol):
    """What splitters by headings give in place of a text: a document of LangChain."""

    page_content: str
    metadata: dict[str, Any]
    """The headings it stands below, outermost first."""


class TextSplitter(Protocol):
    """What every text splitter of LangChain has."""

    def split_text(self, text: str) -> Sequence[str] | Sequence[Piece]:
        """Cut a text into pieces."""


class SplitterChunker:
    """Cuts documents as a text splitter does; chunks keep their place, page and headings.

    Args:
        splitter: Its pieces must be parts of the text; blanks may differ.
    """

    def __init__(self, splitter: TextSplitter) -> None:
        self._splitter = splitter
        self._tokenizer = WordTokenizer()

    @property
    def name(self) -> str:
        """Digest of the splitter's class and its plain settings."""
        kind = type(self._splitter)
        plain = (str, int, float, bool, list, tuple, type(None))
        settings = {
            name: value for name, value in vars(self._splitter).items() if isinstance(value, plain)
        }
        written = json.dumps(settings, sort_keys=True, default=str)
        return digest([kind.__module__, kind.__qualname__, written])

    def cut(self, document: Document) -> list[Chunk]:
        """Cut a document; one without text gives a chunk of its title.

        Raises:
            ValueError: a piece is not in the text.
        """
        given = self._splitter.split_text(document.text)
        # Those that give documents have no setting of an overlap, and none.
        by_headings = any(not isinstance(one, str) for one in given)
        overlaps = not by_headings and getattr(self._splitter, "_chunk_overlap", None) != 0
        pieces = [(_text(one), _headings(one)) for one in given if _text(one).strip()]
        spans = _located(document.text, [text for text, _ in pieces], overlaps=overlaps)
        places = [(span, named) for span, (_, named) in zip(spans, pieces, strict=True)]
        if not places and document.title:
            places = [((0, 0), ())]
        return [
            self._chunk(document, number, *span, headings=named)
            for number, (span, named) in enumerate(places)
        ]

    def _chunk(
        self, document: Document, ordinal: int, start: int, end: int, *, headings: tuple[str, ...]
    ) -> Chunk:
        text, pages = document.text[start:end], document.page_starts
        # A splitter by headings may have taken them off the text.
        shown = (*([document.title] if document.title else []), *headings)
        begins = text.lstrip("# ")
        context = " > ".join(title for title in shown if not begins.startswith(title))
        return Chunk(
            ordinal=ordinal,
            text=text,
            start=start,
            end=end,
            page=max(1, bisect_right(pages, start)) if pages else None,
            heading_path=headings or _path(document.headings, start),
            context=context,
            token_count=len(self._tokenizer.token_spans(f"{context}\n{text}")),
        )


def _located(text: str, pieces: list[str], *, overlaps: bool) -> Iterator[tuple[int, int]]:
    """Find each piece, after the beginning of the one before it, or after its end."""
    after = 0
    for piece in pieces:
        start = text.find(piece, after)
        end = start + len(piece)
        if start < 0:
            # Splitters join what they cut by one blank or line break.
            found = re.compile(r"\s+".join(map(re.escape, piece.split()))).search(text, after)
            if found is None:
                raise ValueError(
                    f"a text splitter must give pieces of the text; got {piece[:80]!r}, which is "
                    f"not in it after character {after}"
                )
            start, end = found.span()
        yield start, end
        after = start + 1 if overlaps else end


def _text(piece: str | Piece) -> str:
    return piece if isinstance(piece, str) else piece.page_content


def _headings(piece: str | Piece) -> tuple[str, ...]:
    if isinstance(piece, str):
        return ()
    return tuple(title for title in piece.metadata.values() if isinstance(title, str) and title)


def _path(headings: tuple[Heading, ...], start: int) -> tuple[str, ...]:
    """Titles of the headings that a place lies under, outermost first."""
    path: list[Heading] = []
    for heading in headings:
        if heading.start > start:
            break
        path = [*(above for above in path if above.level < heading.level), heading]
    return tuple(heading.title for heading in path)
