"""Whether a hit has to do with the question at all, so that it may be answered from.

A search always returns its best hits, however bad. Fused and BM25 scores only compare the hits of
one question; the share of its words that a hit holds, and a cosine, mean the same for every one.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from encoder.base import SparseEncoder
from retriever.answering.settings import AnswerSettings
from retriever.results import Hit


@dataclass(frozen=True, slots=True)
class Relevance:
    """What speaks for a hit."""

    term_share: float
    """Share of the question's distinct words that stand in the hit, its title or its headings, in
    [0, 1]; 0 for a question of stop words alone."""

    cosine: float | None
    """None where the dense side did not find it."""

    def suffices(self, settings: AnswerSettings) -> bool:
        """Say whether the hit may be answered from."""
        by_words = self.term_share > 0 and self.term_share >= settings.min_term_share
        least = settings.min_cosine
        return by_words or (least is not None and self.cosine is not None and self.cosine >= least)


def relevance(hit: Hit, *, terms: Mapping[int, str], sparse: SparseEncoder) -> Relevance:
    """Measure what speaks for a hit.

    Args:
        hit: Of a search for the question.
        terms: The question's, as `SparseEncoder.terms` gives them.
        sparse: Weighs words as when the index was built.
    """
    # Title and headings are searched with the text.
    text = "\n".join((hit.title, *hit.heading_path, hit.text))
    (found,) = sparse.encode_documents([text])
    shared = terms.keys() & {*found.indices}
    return Relevance(
        term_share=len(shared) / len(terms) if terms else 0.0,
        cosine=None if hit.dense is None else hit.dense.score,
    )
