"""One search, step by step: gather, fuse, cut, rerank, diversify, group, explain."""

from dataclasses import dataclass

from encoder.base import SparseEncoder
from indexing.filters import Condition
from indexing.stores.base import VectorStore
from retriever.candidates import Candidate, gather, with_payloads
from retriever.explaining import Explainer
from retriever.grouping import grouped
from retriever.mmr import diversified
from retriever.plan import SearchPlan
from retriever.queries import EncodedQuery
from retriever.reranking import reranked
from retriever.results import Hit
from retriever.stages import Reranker
from retriever.surroundings import surroundings

MOST_CANDIDATES = 10_000
"""Of each ranking, to find enough documents in; a larger `depth` raises it."""

OF_DOCUMENT = ("source", "document_id")
"""Fields of a payload that say which document a chunk is of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningSearch:
    """A search of one index by a plan, for any number of queries."""

    plan: SearchPlan
    store: VectorStore
    sparse: SparseEncoder
    """For explanations."""

    reranker: Reranker | None
    where: Condition | None
    """The caller's own filter, for explanations."""

    visible: Condition | None
    """What is searched: that filter, and what who asks may see."""

    def hits(self, query: EncodedQuery) -> list[Hit]:
        """Find the best chunks for a query, best first."""
        plan = self.plan
        ranked = self._ranked(query, documents=plan.k if plan.is_grouped else 0)
        chosen = (
            grouped(ranked, documents=plan.k, each=plan.per_document)
            if plan.is_grouped
            else ranked[: plan.k]
        )
        chosen = with_payloads(chosen, store=self.store, visible=self.visible)
        around = surroundings(
            self.store,
            chosen,
            neighbours=plan.neighbours,
            section=plan.section,
            visible=self.visible,
        )
        explainer = Explainer(
            query=query,
            plan=plan,
            sparse=self.sparse,
            where=self.where,
            begins_small=self.store.spec.begins_small,
        )
        return list(explainer.hits(chosen, around))

    def best_documents(self, query: EncodedQuery, *, limit: int) -> list[tuple[str, float]]:
        """Rank documents by their best chunk: at most `limit` ids with that chunk's score.

        Where the order is not by score, ``1 / rank`` takes its place: a measure sorts by it.
        """
        best: dict[str, float] = {}
        for candidate in self._ranked(query, documents=limit):
            best.setdefault(candidate.document_id, candidate.score)
        ranked = list(best.items())[:limit]
        if not self.plan.is_diverse:
            return ranked
        return [(id_, 1 / rank) for rank, (id_, _) in enumerate(ranked, start=1)]

    def _ranked(self, query: EncodedQuery, *, documents: int) -> list[Candidate]:
        plan = self.plan
        ranked = self._gathered(query, documents=documents)
        if plan.has_threshold:
            ranked = [candidate for candidate in ranked if candidate.score >= plan.min_score]
        if self.reranker is not None:
            ranked = reranked(
                with_payloads(ranked[: plan.reranked], store=self.store, visible=self.visible),
                below=ranked[plan.reranked :],
                query=query.text,
                reranker=self.reranker,
                weight=plan.rerank_weight,
            )
        if plan.is_diverse:
            # The scores of what a reranker did not read are made up.
            size = plan.candidates if self.reranker is None else plan.reranked
            pool, rest = ranked[:size], ranked[size:]
            cosines = plan.is_calibrated and self.reranker is None
            ranked = [
                *diversified(pool, store=self.store, weight=plan.mmr, are_cosines=cosines),
                *rest,
            ]
        return ranked

    def _gathered(self, query: EncodedQuery, *, documents: int) -> list[Candidate]:
        """Take candidates, more and more until they are of so many documents, or too many."""
        depth = max(self.plan.candidates, documents)
        most = max(depth, MOST_CANDIDATES)
        while True:
            found = gather(
                self.store,
                query,
                depth=depth,
                where=self.visible,
                rescore=self.plan.rescore,
                fields=OF_DOCUMENT if documents else (),
            )
            ranked = found.ranked(self.plan)
            if not documents or not found.may_be_more or depth == most:
                return ranked
            if len({candidate.document_id for candidate in ranked}) >= documents:
                return ranked
            depth = min(2 * depth, most)
