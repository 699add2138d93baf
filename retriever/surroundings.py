"""What stands around the hits: neighbouring chunks, and the section."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from indexing.filters import And, Condition, Eq, Or, Range
from indexing.stores.base import Payload, VectorStore
from retriever.candidates import Candidate
from retriever.results import Passage, joined_text

SECTION_REACH = 50
"""Chunks before and after a hit, at most, that a section is made of."""

Documents = Mapping[tuple[str, str], Mapping[int, Payload]]
"""Payloads by ordinal, by source and id of their document."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Of one hit."""

    before: tuple[Passage, ...] = ()
    after: tuple[Passage, ...] = ()
    section: Passage | None = None


NOTHING = Surroundings()


def surroundings(
    store: VectorStore,
    candidates: Sequence[Candidate],
    *,
    neighbours: int,
    section: bool,
    visible: Condition | None,
) -> dict[str, Surroundings]:
    """Read what stands around hits, in one request.

    Args:
        store: Where they were found.
        candidates: The hits to be.
        neighbours: Chunks before and after each.
        section: Read the section too; a document without headings has none. Of one that reaches
            further than `SECTION_REACH` chunks, the part around the hit.
        visible: What was searched: nothing else is read.

    Returns:
        The surroundings, by id of the hit.
    """
    if not candidates or not (neighbours or section):
        return {}
    wanted = [
        part for one in candidates for part in _wanted(one.payload, neighbours, section=section)
    ]
    around = Or(tuple(condition for condition, _ in wanted))
    found = store.payloads(
        around if visible is None else And((visible, around)),
        # while a document is replaced, its chunks are there twice
        limit=2 * sum(count for _, count in wanted),
    )
    documents = _by_document(found.values())
    return {
        one.id: _around(one.payload, documents, neighbours=neighbours, section=section)
        for one in candidates
    }


def _wanted(payload: Payload, neighbours: int, *, section: bool) -> Iterable[tuple[Condition, int]]:
    """Conditions for what stands around one chunk, each with how many chunks it may find."""
    document = (Eq("source", payload["source"]), Eq("document_id", payload["document_id"]))
    at = payload["ordinal"]
    yield (
        And((*document, Range("ordinal", at_least=at - neighbours, at_most=at + neighbours))),
        2 * neighbours + 1,
    )
    if section and payload["heading_path"]:
        reach = Range("ordinal", at_least=at - SECTION_REACH, at_most=at + SECTION_REACH)
        heading = Eq("heading_path", payload["heading_path"][-1])
        yield And((*document, reach, heading)), 2 * SECTION_REACH + 1


def _by_document(payloads: Iterable[Payload]) -> Documents:
    documents: dict[tuple[str, str], dict[int, Payload]] = {}
    for payload in payloads:
        key = (payload["source"], payload["document_id"])
        documents.setdefault(key, {})[payload["ordinal"]] = payload
    return documents


def _around(
    payload: Payload, documents: Documents, *, neighbours: int, section: bool
) -> Surroundings:
    chunks = documents.get((payload["source"], payload["document_id"]), {})
    at = payload["ordinal"]
    return Surroundings(
        before=_passages(chunks, range(at - neighbours, at)),
        after=_passages(chunks, range(at + 1, at + neighbours + 1)),
        section=_section(payload, chunks) if section and payload["heading_path"] else None,
    )


def _passages(chunks: Mapping[int, Payload], ordinals: range) -> tuple[Passage, ...]:
    return tuple(_passage(chunks[ordinal]) for ordinal in ordinals if ordinal in chunks)


def _section(payload: Payload, chunks: Mapping[int, Payload]) -> Passage:
    """Join the chunks around one that stand under the same headings, without a gap."""
    path, at = payload["heading_path"], payload["ordinal"]

    def is_part(ordinal: int) -> bool:
        near = abs(ordinal - at) <= SECTION_REACH
        return near and ordinal in chunks and chunks[ordinal]["heading_path"] == path

    first = last = at
    while is_part(first - 1):
        first -= 1
    while is_part(last + 1):
        last += 1
    run = {**chunks, at: payload}
    parts = _passages(run, range(first, last + 1))
    return Passage(
        text=joined_text(parts),
        span=(parts[0].span[0], parts[-1].span[1]),
        page=parts[0].page,
        heading_path=tuple(path),
    )


def _passage(payload: Payload) -> Passage:
    return Passage(
        text=payload["text"],
        span=(payload["start"], payload["end"]),
        page=payload.get("page"),
        heading_path=tuple(payload["heading_path"]),
    )
