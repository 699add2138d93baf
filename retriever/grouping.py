"""The step that groups chunks by document."""

from collections.abc import Sequence

from retriever.candidates import Candidate


def grouped(candidates: Sequence[Candidate], *, documents: int, each: int) -> list[Candidate]:
    """Keep the best chunks of the best documents, those of one document together.

    Args:
        candidates: Best first.
        documents: How many to keep; each stands where its best chunk stood.
        each: Chunks of a document, at most.

    Returns:
        Chunks, document after document. Documents of two sources are two, whatever their ids.
    """
    groups: dict[tuple[str, str], list[Candidate]] = {}
    for candidate in candidates:
        key = (str(candidate.payload["source"]), candidate.document_id)
        groups.setdefault(key, []).append(candidate)
    kept = list(groups.values())[:documents]
    return [candidate for group in kept for candidate in group[:each]]
