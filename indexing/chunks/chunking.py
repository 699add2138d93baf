"""Documents to chunks: ranges of the text that an encoder can take whole, each with its context.

A document is tokenised once. It is divided at its headings, and small neighbouring sections are
joined. A section over the budget is cut between blocks; a block over it between sentences, rows,
items or lines; one of these between words, and only where there are no words between tokens.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from connectors.document import Document
from encoder.base import TextTokenizer
from indexing.chunks.blocks import Block, Kind, Section, Span, blocks, lines, sections
from indexing.chunks.packing import join_small, pack
from indexing.chunks.tokens import TokenIndex

CHUNKER_VERSION = 1
"""Raised with every change that cuts differently, so that documents are cut again."""

HEADING_MARKS = "#*=_>- \t"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkSettings:
    """How documents are cut; fixed for an index version."""

    chunk_tokens: int = 256
    """Most tokens of ``Chunk.encoded_text``, at least 32.

    By words, nDCG@10 of a document's best chunk is 0.003 to 0.009 higher than with 512 on four
    collections (manuals, three of scientific abstracts), for 10 to 53 % more chunks; 128 gains on
    three of them and doubles the chunks. A section is a chunk of its own from a quarter of it on.
    """

    overlap_tokens: int = 64
    """Most tokens repeated where a paragraph had to be cut, in [0, ``chunk_tokens`` / 4].

    Two or three sentences. Paragraphs that are whole repeat nothing.
    """

    def __post_init__(self) -> None:
        if self.chunk_tokens < 32:
            raise ValueError(f"`chunk_tokens` must be at least 32; got {self.chunk_tokens}")
        if not 0 <= self.overlap_tokens <= self.chunk_tokens // 4:
            raise ValueError(
                f"`overlap_tokens` must be in [0, {self.chunk_tokens // 4}], a quarter of "
                f"`chunk_tokens`; got {self.overlap_tokens}"
            )

    @property
    def context_tokens(self) -> int:
        """Most tokens of ``Chunk.context``: a quarter of the budget."""
        return self.chunk_tokens // 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A range of a document, and what a reader of it alone must know."""

    ordinal: int
    """Place within the document, from 0."""

    text: str
    """Exactly ``document.text[start:end]``."""

    start: int
    end: int
    page: int | None
    """Page of ``start``, from 1; None for formats without pages."""

    heading_path: tuple[str, ...]
    """Titles of the headings the whole chunk lies under, outermost first."""

    context: str
    """Title and headings that ``text`` does not show; header row of a table begun before."""

    token_count: int
    """Tokens of ``context`` and ``text``, as counted in the whole document."""

    @property
    def encoded_text(self) -> str:
        """What the encoders get: the context on lines of its own, then the text."""
        return "\n".join(part for part in (self.context, self.text) if part)


def chunk_document(
    document: Document, *, tokenizer: TextTokenizer, settings: ChunkSettings
) -> list[Chunk]:
    """Cut a document into chunks that hold all of it.

    A document without text gives one chunk of its title; without either, none. Headings out of
    order are a `ValueError`.

    Args:
        document: What to cut.
        tokenizer: Counts tokens; the encoder's own, or `WordTokenizer` where there is no model.
        settings: The budget.

    Returns:
        Chunks in order of ``start``; every character that is not blank is in at least one.
    """
    return _Cutter(document, tokenizer, settings).chunks()


class _Cutter:
    """Cuts one document."""

    def __init__(
        self, document: Document, tokenizer: TextTokenizer, settings: ChunkSettings
    ) -> None:
        self._document = document
        self._title = document.title.strip()
        self._tokenizer = tokenizer
        self._settings = settings
        self._index = TokenIndex(tokenizer.token_spans(document.text))

    def chunks(self) -> list[Chunk]:
        found: list[Chunk] = []
        for section in self._joined_sections():
            for span, header in self._spans(section):
                context = self._context(span, section, header)
                found.append(self._chunk(len(found), span, section, context))
        if not found and self._title:
            whole_title = self._at_most(self._title, self._settings.chunk_tokens)
            found.append(self._chunk(0, (0, 0), Section(0, 0, (), ()), whole_title))
        return found

    def _joined_sections(self) -> list[Section]:
        quarter = self._settings.context_tokens
        return join_small(
            self._document.text,
            sections(self._document),
            index=self._index,
            room=self._settings.chunk_tokens - quarter,
            small=quarter,
        )

    def _spans(self, section: Section) -> Iterator[tuple[Span, str]]:
        """Range of each chunk of a section, with the table header it lacks."""
        text = self._document.text
        budget, quarter = self._settings.chunk_tokens, self._settings.context_tokens
        room = budget - min(quarter, self._context_size(_joined([self._title, *section.path])))
        if self._index.count(section.start, section.end) <= room:
            yield (section.start, section.end), ""
            return
        parts = blocks(text, section)
        tables = [
            part
            for part in parts
            if part.kind is Kind.TABLE
            and self._index.count(part.start, part.end) > budget - quarter
        ]
        room = budget - quarter if tables else room
        overlap = self._settings.overlap_tokens
        for start, end in pack(text, parts, index=self._index, room=room, overlap=overlap):
            yield (start, end), _missing_header(text, tables, start)

    def _context(self, span: Span, section: Section, header: str) -> tuple[str, int]:
        """Say what the chunk does not show, and count its tokens."""
        above = [
            title
            for title, start in zip(section.path, section.path_starts, strict=True)
            if start < span[0]
        ]
        opening = self._document.text[span[0] : span[0] + len(self._title) + 16]
        shown = opening.lstrip(HEADING_MARKS).casefold().startswith(self._title.casefold())
        repeated = self._title.casefold() in (title.casefold() for title in above)
        parts = above if shown or repeated or not self._title else [self._title, *above]
        limit = self._settings.context_tokens
        while len(parts) > 2 and self._context_size(_joined(parts)) > limit:
            parts = [parts[0], *parts[2:]]
        context = "\n".join(line for line in (_joined(parts), header) if line)
        if self._context_size(context) > limit:
            context, _ = self._at_most(context, limit - 1)
        return context, self._context_size(context)

    def _chunk(self, ordinal: int, span: Span, section: Section, context: tuple[str, int]) -> Chunk:
        start, end = span
        pages = self._document.page_starts
        return Chunk(
            ordinal=ordinal,
            text=self._document.text[start:end],
            start=start,
            end=end,
            page=max(1, bisect_right(pages, start)) if pages else None,
            heading_path=section.path,
            context=context[0],
            token_count=context[1] + self._index.count(start, end),
        )

    def _context_size(self, context: str) -> int:
        """Count the tokens of a context and of the line break after it."""
        return len(self._tokenizer.token_spans(f"{context}\n")) if context else 0

    def _at_most(self, text: str, limit: int) -> tuple[str, int]:
        index = TokenIndex(self._tokenizer.token_spans(text))
        cut = text[: index.reach(0, len(text), tokens=limit)].rstrip()
        return cut, index.count(0, len(cut))


def _joined(titles: Sequence[str]) -> str:
    return " > ".join(title for title in titles if title)


def _missing_header(text: str, tables: Sequence[Block], start: int) -> str:
    """Header row of the table that ``start`` is in, unless it is at or before that row."""
    at = bisect_right(tables, start, key=lambda table: table.body) - 1
    if at < 0 or start >= tables[at].end:
        return ""
    first, end = next(lines(text, tables[at].body, tables[at].end))
    return text[first:end] if start > first else ""
