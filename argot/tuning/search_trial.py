"""Ways to fuse two rankings, tried on judged queries from one search of each side."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from retriever.candidates import fuse
from retriever.evaluation.judgements import Judgements
from retriever.evaluation.metrics import parse_metric, trec_order
from retriever.settings import FUSIONS, SearchSettings

TARGET = "ndcg@10"
DEPTHS = (20, 50, 100, 200)
RRF_K = (5, 20, 60)
DENSE_SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
RERANK_DEPTHS = (10, 20, 50, 100)

Scored = Sequence[tuple[str, float]]
"""Ids of chunks with their scores, best first."""


@dataclass(frozen=True, slots=True)
class Found:
    """What each side found for one query, at the greatest depth."""

    dense: Scored
    sparse: Scored
    documents: Mapping[str, str]
    """The document of each chunk."""


@dataclass(frozen=True, slots=True)
class Reranked:
    """The first chunks of one query as the fusion ordered them, with what a reranker says."""

    fused: Sequence[str]
    scores: Mapping[str, float]
    documents: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Tried:
    """One way to search, measured."""

    settings: SearchSettings
    quality: float
    """Mean nDCG@10 of the queries it was tried on."""


def fusions(present: SearchSettings) -> Iterator[SearchSettings]:
    """Take each side alone, then vary how they are fused; everything else as at present."""
    yield replace(present, mode="sparse")
    yield replace(present, mode="dense")
    for fusion in FUSIONS:
        for constant in RRF_K if fusion == "rrf" else (SearchSettings().rrf_k,):
            for share in DENSE_SHARES:
                yield replace(
                    present,
                    mode="hybrid",
                    fusion=fusion,
                    rrf_k=constant,
                    dense_weight=share,
                    sparse_weight=round(1 - share, 1),
                )


def try_fusions(
    present: SearchSettings, found: Mapping[str, Found], judgements: Judgements
) -> list[Tried]:
    """Try every fusion at the present depth, then the best of them at other depths.

    Args:
        present: The settings to vary.
        found: By query id.
        judgements: Of those queries.

    Returns:
        The present settings first, then what was tried.
    """
    tried = [_tried(settings, found, judgements) for settings in (present, *fusions(present))]
    winner = best(tried).settings
    others = [depth for depth in DEPTHS if depth != winner.depth and depth >= winner.k]
    deeper = [replace(winner, depth=depth) for depth in others if winner.mode == "hybrid"]
    return tried + [_tried(settings, found, judgements) for settings in deeper]


def try_rerank_depths(
    chosen: SearchSettings, read: Mapping[str, Reranked], judgements: Judgements
) -> list[Tried]:
    """Try how many of the first chunks a reranker should order anew.

    Args:
        chosen: Settings with a reranker.
        read: By query id.
        judgements: Of those queries, among others.
    """
    depths = [depth for depth in RERANK_DEPTHS if depth >= chosen.k]
    measure = parse_metric(TARGET)
    return [
        Tried(
            replace(chosen, rerank_depth=depth),
            fmean(
                measure(reordered(one, depth=depth), judgements.grades[id_])
                for id_, one in read.items()
            ),
        )
        for depth in depths
    ]


def best(tried: Sequence[Tried]) -> Tried:
    """Choose the best; of equals the one that reads fewer candidates, then the earlier one."""
    return min(tried, key=lambda one: (-one.quality, one.settings.depth, one.settings.rerank_depth))


def documents(found: Found, settings: SearchSettings) -> list[str]:
    """Rank documents, each by its best chunk, as a search with these settings would."""
    depth = max(settings.depth, settings.k)
    dense, sparse = found.dense[:depth], found.sparse[:depth]
    if settings.mode == "dense":
        ranking: Scored = dense
    elif settings.mode == "sparse":
        ranking = sparse
    else:
        ranking = fuse({"dense": dense, "sparse": sparse}, settings=settings)
    scores: dict[str, float] = {}
    for id_, score in ranking:
        scores.setdefault(found.documents[id_], score)
    return trec_order(list(scores.items()))


def reordered(read: Reranked, *, depth: int) -> list[str]:
    """Rank documents, the first `depth` chunks ordered by the reranker."""
    first = sorted(read.fused[:depth], key=lambda id_: (-read.scores[id_], id_))
    return list(dict.fromkeys(read.documents[id_] for id_ in (*first, *read.fused[depth:])))


def _tried(settings: SearchSettings, found: Mapping[str, Found], judgements: Judgements) -> Tried:
    measure = parse_metric(TARGET)
    values = [
        measure(documents(one, settings), judgements.grades[id_]) for id_, one in found.items()
    ]
    return Tried(settings, fmean(values))
