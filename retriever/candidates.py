"""What the two sides found for one query: fused, and explained."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from indexing.filters import Condition
from indexing.stores.base import Payload, ScoredPoint
from retriever.conditions import condition_json
from retriever.fusion import (
    distribution_score_fusion,
    reciprocal_rank_fusion,
    relative_score_fusion,
)
from retriever.results import DenseMatch, Hit, SparseMatch
from retriever.settings import SearchSettings

MatchedTerms = Callable[[Payload], tuple[str, ...]]
"""Words of the query that a chunk contains."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """Points of each side, best first; None for a side that was not asked."""

    dense: Sequence[ScoredPoint] | None
    sparse: Sequence[ScoredPoint] | None

    def fills(self, depth: int) -> bool:
        """Say whether a side gave `depth` points, so that more may lie beyond."""
        return any(len(side) >= depth for side in (self.dense, self.sparse) if side)

    def ranking(self, settings: SearchSettings) -> list[tuple[str, float]]:
        """Order the ids: by the score of the side that was asked, fused if both were."""
        if self.dense is not None and self.sparse is not None:
            return fuse(
                {
                    "dense": [(point.id, point.score) for point in self.dense],
                    "sparse": [(point.id, point.score) for point in self.sparse],
                },
                settings=settings,
            )
        return [(point.id, point.score) for point in self.dense or self.sparse or ()]

    def payloads(self) -> dict[str, Payload]:
        """Give the payload of every point by its id."""
        return {point.id: point.payload for point in (*(self.dense or ()), *(self.sparse or ()))}


def fuse(
    rankings: Mapping[str, Sequence[tuple[str, float]]], *, settings: SearchSettings
) -> list[tuple[str, float]]:
    """Fuse the sides ``dense`` and ``sparse`` as the settings say; each is best first."""
    weights = _weights(settings)
    if settings.fusion == "relative_score":
        return relative_score_fusion(rankings, weights=weights)
    if settings.fusion == "dbsf":
        return distribution_score_fusion(rankings, weights=weights)
    ids = {name: [id_ for id_, _ in found] for name, found in rankings.items()}
    return reciprocal_rank_fusion(ids, k=settings.rrf_k, weights=weights)


def explained_hits(
    candidates: Candidates,
    *,
    k: int,
    settings: SearchSettings,
    matched_terms: MatchedTerms,
    where: Condition | None,
) -> Iterator[Hit]:
    """Make hits of the best `k` candidates, each with how it was found."""
    payloads = candidates.payloads()
    dense = _ranks(candidates.dense)
    sparse = _ranks(candidates.sparse)
    fused = candidates.dense is not None and candidates.sparse is not None
    for id_, score in candidates.ranking(settings)[:k]:
        payload = payloads[id_]
        yield _hit(
            id_,
            payload,
            score=score,
            dense=DenseMatch(*dense[id_]) if id_ in dense else None,
            sparse=SparseMatch(*sparse[id_], matched_terms(payload)) if id_ in sparse else None,
            fusion=_fusion(settings, score) if fused else None,
            where=where,
        )


def _ranks(side: Sequence[ScoredPoint] | None) -> dict[str, tuple[int, float]]:
    return {point.id: (rank, point.score) for rank, point in enumerate(side or (), start=1)}


def _weights(settings: SearchSettings) -> dict[str, float]:
    return {"dense": settings.dense_weight, "sparse": settings.sparse_weight}


def _fusion(settings: SearchSettings, score: float) -> dict[str, Any]:
    constant = {"k": settings.rrf_k} if settings.fusion == "rrf" else {}
    return {"method": settings.fusion, **constant, "weights": _weights(settings), "score": score}


def _hit(
    id_: str,
    payload: Payload,
    *,
    score: float,
    dense: DenseMatch | None,
    sparse: SparseMatch | None,
    fusion: dict[str, Any] | None,
    where: Condition | None,
) -> Hit:
    return Hit(
        id=id_,
        source=payload["source"],
        document_id=payload["document_id"],
        text=payload["text"],
        score=score,
        dense=dense,
        sparse=sparse,
        title=payload.get("title", ""),
        uri=payload.get("uri", ""),
        page=payload.get("page"),
        span=(payload.get("start", 0), payload.get("end", 0)),
        heading_path=tuple(payload.get("heading_path", ())),
        metadata=dict(payload.get("metadata", {})),
        explanation={
            "dense": dense and asdict(dense),
            "sparse": sparse and {**asdict(sparse), "terms": list(sparse.terms)},
            "fusion": fusion,
            "rerank": None,
            # the caller's own filter; who asked is not repeated in results
            "filter": where and condition_json(where),
        },
    )
