"""Ways to fuse two rankings, tried on judged queries from one search of each side."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from retriever.candidates import fuse
from retriever.evaluation.judgements import Judgements
from retriever.evaluation.metrics import parse_metric, trec_order
from retriever.plan import HYDE
from retriever.reranking import blended
from retriever.settings import FUSIONS, SearchSettings

TARGET = "ndcg@10"
DEPTHS = (20, 50, 100, 200)
RRF_K = (5, 20, 60)
DENSE_SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
RERANK_DEPTHS = (10, 20, 50, 100)
RERANK_WEIGHTS = (0.5, 0.3, 0.15, 0.7, 1.0)

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

    fused: Scored
    scores: Mapping[str, float]
    """Of the reranker."""

    documents: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Tried:
    """One way to search, measured."""

    settings: SearchSettings
    quality: float
    """Mean nDCG@10 of the queries it was tried on."""


def fusions(present: SearchSettings) -> Iterator[SearchSettings]:
    """Take each side alone, then vary how they are fused; everything else as at present.

    Words alone are no choice beside an expansion that changes vectors.
    """
    if present.expand != HYDE:
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


def try_reranking(
    chosen: SearchSettings, read: Mapping[str, Reranked], judgements: Judgements
) -> list[Tried]:
    """Try how many of the first chunks a reranker should order anew, and how much it counts.

    It reads at least all `k` hits.

    Args:
        chosen: Settings with a reranker.
        read: By query id.
        judgements: Of those queries, among others.

    Returns:
        At least one; where `k` is above all depths, reranking stays as it is.
    """
    depths = [depth for depth in RERANK_DEPTHS if depth >= chosen.k] or [chosen.rerank_depth]
    measure = parse_metric(TARGET)
    return [
        Tried(
            replace(chosen, rerank_depth=depth, rerank_weight=weight),
            fmean(
                measure(
                    reordered(one, depth=max(depth, chosen.k), weight=weight),
                    judgements.grades[id_],
                )
                for id_, one in read.items()
            ),
        )
        for depth in depths
        for weight in RERANK_WEIGHTS
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


def reordered(read: Reranked, *, depth: int, weight: float) -> list[str]:
    """Rank documents, the first `depth` chunks with the reranker's help, as a measure ranks them.

    Args:
        read: Of one query.
        depth: Chunks that are reranked.
        weight: Of the reranker; see `blended`.
    """
    first, rest = read.fused[:depth], read.fused[depth:]
    given = [read.scores[id_] for id_, _ in first]
    best_of: dict[str, float] = {}
    for (id_, _), score in zip(
        first, blended([score for _, score in first], given, weight=weight), strict=True
    ):
        document = read.documents[id_]
        best_of[document] = max(score, best_of.get(document, score))
    ranked = trec_order(list(best_of.items()))
    return list(dict.fromkeys([*ranked, *(read.documents[id_] for id_, _ in rest)]))


def _tried(settings: SearchSettings, found: Mapping[str, Found], judgements: Judgements) -> Tried:
    measure = parse_metric(TARGET)
    values = [
        measure(documents(one, settings), judgements.grades[id_]) for id_, one in found.items()
    ]
    return Tried(settings, fmean(values))
