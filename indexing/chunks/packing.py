"""Which ranges of a text become chunks: small sections joined, long ones cut at the best place."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from indexing.chunks.blocks import Block, Kind, Section, Span, atoms, is_heading_only, lines, trim
from indexing.chunks.tokens import TokenIndex

# Kept whole if they fit, even where the heading above must then stand alone.
WHOLE = (Kind.CODE, Kind.TABLE)


@dataclass(frozen=True, slots=True)
class Piece:
    """A range that is not cut any further: a block that fits, or a part of one that does not."""

    start: int
    end: int
    continues: bool
    """It goes on with prose that had to be cut, so what precedes it may be repeated before it."""


def join_small(
    text: str, parts: Sequence[Section], *, index: TokenIndex, room: int, small: int
) -> list[Section]:
    """Join neighbouring sections of which one has fewer than ``small`` tokens, up to ``room``.

    Neighbours are a parent's own text and its first child, or children of one parent. What is
    joined lies under what both lie under. A heading with nothing below it always goes with its
    first child.
    """
    joined: list[Section] = []
    for part in _with_first_child(text, parts):
        before = joined[-1] if joined else None
        if before and _related(before, part) and _fit(before, part, index, (room, small)):
            shared = len(part.path[:-1])
            path, starts = part.path[:shared], part.path_starts[:shared]
            joined[-1] = Section(before.start, part.end, path, starts)
        else:
            joined.append(part)
    return joined


def _with_first_child(text: str, parts: Sequence[Section]) -> list[Section]:
    found: list[Section] = []
    for part in parts:
        before = found[-1] if found else None
        if before and before.path == part.path[:-1] and is_heading_only(text, before):
            found[-1] = Section(before.start, part.end, part.path, part.path_starts)
        else:
            found.append(part)
    return found


def pack(
    text: str, parts: Sequence[Block], *, index: TokenIndex, room: int, overlap: int
) -> Iterator[Span]:
    """Cover blocks by ranges of at most ``room`` tokens and of about one size.

    A block that fits is never cut. Where prose had to be cut, up to ``overlap`` tokens of whole
    sentences stand in both ranges.
    """
    pieces = list(_pieces(text, parts, index=index, room=room, overlap=overlap))
    first = 0
    floor = -1
    while first < len(pieces):
        start = _repeat_from(pieces, first, index=index, room=room, overlap=overlap, floor=floor)
        target = _even_share(index.count(start, pieces[-1].end), room=room, overlap=overlap)
        after = first + 1
        while (
            after < len(pieces)
            and index.count(start, pieces[after - 1].end) < target
            and index.count(start, pieces[after].end) <= room
        ):
            after += 1
        yield start, pieces[after - 1].end
        first, floor = after, start


def _related(before: Section, part: Section) -> bool:
    return part.path[:-1] in (before.path, before.path[:-1])


def _fit(before: Section, part: Section, index: TokenIndex, limits: tuple[int, int]) -> bool:
    room, small = limits
    return index.count(before.start, part.end) <= room and small > min(
        index.count(before.start, before.end), index.count(part.start, part.end)
    )


def _even_share(tokens: int, *, room: int, overlap: int) -> int:
    """Size that divides ``tokens`` evenly over as few ranges as can hold them."""
    if tokens <= room:
        return tokens
    ranges = -(-(tokens - overlap) // (room - overlap))
    return -(-(tokens + (ranges - 1) * overlap) // ranges)


def _repeat_from(
    pieces: Sequence[Piece], first: int, *, index: TokenIndex, room: int, overlap: int, floor: int
) -> int:
    start = pieces[first].start
    at = first
    while pieces[at].continues and pieces[at - 1].start > floor:
        at -= 1
        earlier = pieces[at].start
        if index.count(earlier, pieces[first].start) > overlap:
            break
        if index.count(earlier, pieces[first].end) > room:
            break
        start = earlier
    return start


def _pieces(
    text: str, parts: Sequence[Block], *, index: TokenIndex, room: int, overlap: int
) -> Iterator[Piece]:
    for block in parts:
        if index.count(block.start, block.end) <= room:
            yield Piece(block.start, block.end, continues=False)
        elif block.kind in WHOLE and index.count(block.body, block.end) <= room:
            yield Piece(*trim(text, block.start, block.body), continues=False)
            yield Piece(block.body, block.end, continues=False)
        else:
            step = overlap or max(1, room // 8)
            spans = (
                span
                for atom in atoms(text, block)
                for span in _within(text, atom, index=index, room=room, step=step)
            )
            for number, (start, end) in enumerate(spans):
                yield Piece(start, end, continues=number > 0 and block.kind is Kind.PROSE)


def _within(text: str, atom: Span, *, index: TokenIndex, room: int, step: int) -> Iterator[Span]:
    """Cut an atom that is too long at its line ends, and a line that is too long between words."""
    if index.count(*atom) <= room:
        yield atom
        return
    for start, end in lines(text, *atom):
        if index.count(start, end) <= room:
            yield from [(start, end)] if start < end else []
        else:
            yield from _windows(text, (start, end), index=index, step=step)


def _windows(text: str, span: Span, *, index: TokenIndex, step: int) -> Iterator[Span]:
    start, end = span
    while start < end:
        cut = index.reach(start, end, tokens=step)
        if cut < end:
            cut = _after_blank(text, start, cut)
        yield trim(text, start, cut)
        start = trim(text, cut, end)[0]


def _after_blank(text: str, start: int, cut: int) -> int:
    """Move a cut back behind the last blank in the second half of a range, where there is one."""
    for position in range(cut, (start + cut) // 2, -1):
        if text[position - 1].isspace():
            return position
    return cut
