"""What the sides found for one query, and one order made of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from indexing.filters import Condition
from indexing.stores.base import Payload, ScoredPoint, VectorStore
from retriever.fusion import (
    contributions,
    distributed_scores,
    reciprocal_ranks,
    relative_scores,
    totals,
)
from retriever.plan import SearchPlan
from retriever.queries import EncodedQuery
from retriever.settings import SearchSettings

Scored = Sequence[tuple[str, float]]
"""Ids with their scores, best first."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """What one side found for one wording of the query, best first."""

    side: str
    """``dense`` or ``sparse``."""

    wording: int
    """0 for the user's own."""

    points: Sequence[ScoredPoint]

    @property
    def name(self) -> str:
        """The side, numbered for other wordings."""
        return self.side if self.wording == 0 else f"{self.side} {self.wording}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A chunk on its way to being a hit."""

    id: str
    payload: Payload
    """What its document is, until `with_payloads` has read the whole."""

    score: float
    """Of the last step that scored it."""

    found: Mapping[str, tuple[int, float]]
    """Rank, from 1, and score by name of the ranking."""

    parts: Mapping[str, float] | None = None
    """What each ranking added to the fused score; None if nothing was fused."""

    later: Mapping[str, Any] = field(default_factory=dict)
    """What later steps say for the explanation, in plain JSON values, by name."""

    is_whole: bool = False
    """Whether the whole payload was read."""

    @property
    def document_id(self) -> str:
        """Of its source."""
        return str(self.payload["document_id"])


@dataclass(frozen=True, slots=True)
class Candidates:
    """What was found for one query."""

    rankings: tuple[Ranking, ...]
    depth: int
    """How many each ranking was asked for."""

    @property
    def may_be_more(self) -> bool:
        """Whether a ranking is as long as it was asked to be."""
        return any(len(ranking.points) >= self.depth for ranking in self.rankings)

    def ranked(self, plan: SearchPlan) -> list[Candidate]:
        """Order the chunks, best first: by the score of the only ranking, or fused."""
        points = [point for ranking in self.rankings for point in ranking.points]
        payloads = {point.id: point.payload for point in points}
        found: dict[str, dict[str, tuple[int, float]]] = {}
        for ranking in self.rankings:
            for rank, point in enumerate(ranking.points, start=1):
                found.setdefault(point.id, {})[ranking.name] = (rank, point.score)
        parts = self._parts(plan) if plan.is_fused else None
        order = [(p.id, p.score) for p in points] if parts is None else totals(parts)
        return [
            Candidate(
                id=id_,
                payload=payloads[id_],
                score=score,
                found=found[id_],
                parts=None if parts is None else parts[id_],
            )
            for id_, score in order
        ]

    def _parts(self, plan: SearchPlan) -> dict[str, dict[str, float]]:
        scored = {
            ranking.name: [(point.id, point.score) for point in ranking.points]
            for ranking in self.rankings
        }
        weights = {ranking.name: plan.weights[ranking.side] for ranking in self.rankings}
        return contributions(_scaled(scored, settings=plan), weights=weights)


def gather(
    store: VectorStore,
    query: EncodedQuery,
    *,
    depth: int,
    where: Condition | None,
    rescore: bool,
    fields: Sequence[str],
) -> Candidates:
    """Ask each side for the best `depth` chunks of each wording, with some fields of each."""
    rankings: list[Ranking] = []
    for number, wording in enumerate(query.wordings):
        blank = not wording.text.strip()
        if wording.dense is not None:
            found = (
                []
                if blank
                else store.search_dense(
                    wording.dense, limit=depth, where=where, rescore=rescore, fields=fields
                )
            )
            rankings.append(Ranking("dense", number, found))
        if wording.sparse is not None:
            empty = blank or not wording.sparse.indices
            found = (
                []
                if empty
                else store.search_sparse(wording.sparse, limit=depth, where=where, fields=fields)
            )
            rankings.append(Ranking("sparse", number, found))
    return Candidates(tuple(rankings), depth)


def with_payloads(
    candidates: Sequence[Candidate], *, store: VectorStore, visible: Condition | None
) -> list[Candidate]:
    """Read the payloads of candidates, in one request, by the condition they were found by.

    One that has gone meanwhile, or may no longer be seen, is left out.
    """
    wanted = [one.id for one in candidates if not one.is_whole]
    payloads = store.payloads_of(wanted, where=visible) if wanted else {}
    whole = (
        one if one.is_whole else replace(one, payload=payloads[one.id], is_whole=True)
        for one in candidates
        if one.is_whole or one.id in payloads
    )
    return list(whole)


def fuse(rankings: Mapping[str, Scored], *, settings: SearchSettings) -> list[tuple[str, float]]:
    """Fuse the sides ``dense`` and ``sparse`` as the settings say; each is best first."""
    weights = {"dense": settings.dense_weight, "sparse": settings.sparse_weight}
    return totals(contributions(_scaled(rankings, settings=settings), weights=weights))


def full_text(payload: Payload) -> str:
    """Give a chunk's text with its title and headings, which were encoded with it."""
    lines = (payload.get("title", ""), *payload.get("heading_path", ()), payload["text"])
    return "\n".join(line for line in lines if line)


def _scaled(rankings: Mapping[str, Scored], *, settings: SearchSettings) -> dict[str, Scored]:
    match settings.fusion:
        case "relative_score":
            return {name: relative_scores(found) for name, found in rankings.items()}
        case "dbsf":
            return {name: distributed_scores(found) for name, found in rankings.items()}
        case "rrf":
            return {
                name: reciprocal_ranks([id_ for id_, _ in found], k=settings.rrf_k)
                for name, found in rankings.items()
            }
