"""The searches that tuning is computed from: each side once, and a reranker once."""

import math
from collections.abc import Callable, Sequence
from typing import Any

from argot.errors import SettingsError
from argot.tuning.search_trial import DEPTHS, RERANK_DEPTHS, Found, Reranked
from retriever.evaluation.judgements import Judgements
from retriever.results import Hit
from retriever.search import Searcher
from retriever.settings import OFF, SearchSettings

AT_ONCE = 32
RERANKED_QUERIES = 50
"""A reranker reads for so many queries, at most: it takes far longer than a search."""

PLAIN: dict[str, Any] = {
    "expand": OFF,
    "min_score": -math.inf,
    "mmr": 1.0,
    "per_document": 0,
    "neighbours": 0,
    "section": False,
}
"""Switches off what would change or slow down the ranking of a side."""


def search_sides(
    searcher: Searcher,
    judgements: Judgements,
    *,
    principals: Sequence[str] | None,
    progress: Callable[[str], None],
) -> dict[str, Found]:
    """Search each query once on each side, at the greatest depth that is tried.

    Raises:
        SettingsError: no document that was found is judged.
    """
    ids = list(judgements.queries)
    depth = max(*DEPTHS, searcher.settings.depth, searcher.settings.k)
    found: dict[str, Found] = {}
    for start in range(0, len(ids), AT_ONCE):
        part = ids[start : start + AT_ONCE]
        texts = [judgements.queries[id_] for id_ in part]
        sides = (
            _side(searcher, texts, mode=mode, k=depth, principals=principals)
            for mode in ("dense", "sparse")
        )
        found |= {id_: _found(*hits) for id_, *hits in zip(part, *sides, strict=True)}
        progress(f"searched for {len(found)} of {len(ids)} queries")
    graded = {document for grades in judgements.grades.values() for document in grades}
    if not any(graded & {*one.documents.values()} for one in found.values()):
        raise SettingsError(
            f"the judgements must name documents of index {searcher.version_name}; no search "
            "found one of them\n"
            "hint: qrels name documents as `argot search --json` does, by document_id"
        )
    return found


def read_reranked(
    searcher: Searcher,
    judgements: Judgements,
    chosen: SearchSettings,
    *,
    principals: Sequence[str] | None,
) -> dict[str, Reranked]:
    """Let the reranker of `chosen` read the first chunks of the first queries, fused as it says."""
    ids = list(judgements.queries)[:RERANKED_QUERIES]
    most = max(*RERANK_DEPTHS, chosen.k)
    fusing = ("mode", "depth", "fusion", "rrf_k", "dense_weight", "sparse_weight", "rerank")
    options: dict[str, Any] = {
        **PLAIN,
        **{name: getattr(chosen, name) for name in fusing},
        "k": most,
        "rerank_depth": most,
    }
    hits = searcher.search_many(
        [judgements.queries[id_] for id_ in ids], principals=principals, **options
    )
    return {id_: _reranked(found) for id_, found in zip(ids, hits, strict=True)}


def _reranked(hits: Sequence[Hit]) -> Reranked:
    return Reranked(
        fused=[(hit.id, _before(hit)) for hit in sorted(hits, key=_rank_before)],
        scores={hit.id: hit.explanation["rerank"]["score"] for hit in hits},
        documents={hit.id: hit.document_id for hit in hits},
    )


def _rank_before(hit: Hit) -> int:
    return int(hit.explanation["rerank"]["before"])


def _before(hit: Hit) -> float:
    """Give the score that it was found with."""
    if hit.explanation["fusion"] is not None:
        return float(hit.explanation["fusion"]["score"])
    return sum(side.score for side in (hit.dense, hit.sparse) if side is not None)


def _side(
    searcher: Searcher,
    texts: Sequence[str],
    *,
    mode: str,
    k: int,
    principals: Sequence[str] | None,
) -> list[list[Hit]]:
    options: dict[str, Any] = {**PLAIN, "rerank": OFF, "mode": mode, "k": k, "depth": k}
    return searcher.search_many(texts, principals=principals, **options)


def _found(dense: Sequence[Hit], sparse: Sequence[Hit]) -> Found:
    return Found(
        dense=[(hit.id, hit.score) for hit in dense],
        sparse=[(hit.id, hit.score) for hit in sparse],
        documents={hit.id: hit.document_id for hit in (*dense, *sparse)},
    )
