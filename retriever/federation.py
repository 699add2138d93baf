"""Several indexes searched as one."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Unpack

from retriever.conditions import Filter
from retriever.plan import PlanOptions, SearchPlan
from retriever.results import Hit
from retriever.search import Searcher
from retriever.settings import check_count

Principals = Sequence[str] | Mapping[str, Sequence[str]] | None
"""Who asks: the same names in every index, or the names by index."""


@dataclass(frozen=True, slots=True)
class _Found:
    """Hits that are ranked as one: a single one, or those of one document."""

    index: str
    rank: int
    key: tuple[str, ...]
    """What several indexes found under one key is one."""

    hits: Sequence[Hit]


class Federation:
    """Searches several open indexes, each with its own encoder, settings and access rules.

    Scores of different encoders do not compare, so the answers are fused by rank. Where an index is
    protected and the query does not say who asks there, the whole search fails.

    Args:
        searchers: By name of the index; they stay the caller's.
        weights: By name, >= 0; 1 where absent.
        rrf_k: Constant of reciprocal rank fusion, >= 0.

    Raises:
        ValueError: there is no searcher, a weight is out of range or of no index.
    """

    def __init__(
        self,
        searchers: Mapping[str, Searcher],
        *,
        weights: Mapping[str, float] | None = None,
        rrf_k: int = 60,
    ) -> None:
        if not searchers:
            raise ValueError("a federation must have at least one index; got none")
        given = dict(weights or {})
        for name, weight in given.items():
            if name not in searchers or not 0 <= weight < float("inf"):
                raise ValueError(
                    f"a weight must be >= 0 and of one of {', '.join(searchers)}; "
                    f"got {weight} for {name!r}"
                )
        check_count("rrf_k", rrf_k, least=0)
        self._searchers = dict(searchers)
        self._weights = dict.fromkeys(searchers, 1.0) | given
        self._rrf_k = rrf_k

    @property
    def version_name(self) -> str:
        """Which index versions answer, by name of the index."""
        named = (f"{name}/{one.version_name}" for name, one in self._searchers.items())
        return ", ".join(named)

    @property
    def encoder_fingerprint(self) -> str | None:
        """Which encoders read the queries, each once; None without any."""
        found = [one.encoder_fingerprint for one in self._searchers.values()]
        return ", ".join(dict.fromkeys(filter(None, found))) or None

    def search(
        self,
        query: str,
        *,
        where: Filter = None,
        principals: Principals = None,
        **options: Unpack[PlanOptions],
    ) -> list[Hit]:
        """Search every index as `Searcher.search` does, and fuse what they find.

        Args:
            query: In the user's words.
            where: Narrows what is searched in each.
            principals: Who asks; by index where names differ. An index that is not named there is
                asked by nobody.
            options: As for `Searcher.search`.

        Returns:
            At most `k` hits, or the hits of `k` documents, best first. The score is the fused one;
            the explanation says which index found it at what rank, with what score. A chunk that
            is in two indexes is there once.
        """
        asking = self._asking(principals)
        plans = self._plans(options)
        k = options["k"] = max(plan.k for plan in plans.values())
        found = {
            name: searcher.search(query, where=where, principals=asking[name], **options)
            for name, searcher in self._searchers.items()
        }
        return self._fused(found, plans=plans, k=k)

    async def search_async(
        self,
        query: str,
        *,
        where: Filter = None,
        principals: Principals = None,
        **options: Unpack[PlanOptions],
    ) -> list[Hit]:
        """Do the same as `search`, in all indexes at once; the event loop goes on."""
        asking = self._asking(principals)
        plans = self._plans(options)
        k = options["k"] = max(plan.k for plan in plans.values())
        searches = [
            searcher.search_async(query, where=where, principals=asking[name], **options)
            for name, searcher in self._searchers.items()
        ]
        found = dict(zip(self._searchers, await asyncio.gather(*searches), strict=True))
        return self._fused(found, plans=plans, k=k)

    def _asking(self, principals: Principals) -> dict[str, Sequence[str] | None]:
        if not isinstance(principals, Mapping):
            return dict.fromkeys(self._searchers, principals)
        unknown = [name for name in principals if name not in self._searchers]
        if unknown:
            raise ValueError(
                f"`principals` by index must name only {', '.join(self._searchers)}; "
                f"got {unknown[0]!r}"
            )
        return {name: principals.get(name) for name in self._searchers}

    def _plans(self, options: PlanOptions) -> dict[str, SearchPlan]:
        return {
            name: SearchPlan.of(searcher.settings, options)
            for name, searcher in self._searchers.items()
        }

    def _fused(
        self, found: Mapping[str, Sequence[Hit]], *, plans: Mapping[str, SearchPlan], k: int
    ) -> list[Hit]:
        ranked = [
            one
            for name, hits in found.items()
            for one in _ranked(name, hits, is_grouped=plans[name].is_grouped)
            if self._weights[name]
        ]
        alike: dict[tuple[str, ...], list[_Found]] = {}
        for one in ranked:
            alike.setdefault(one.key, []).append(one)
        scored = [(sum(map(self._share, same)), same) for same in alike.values()]
        # equal scores: the order of the indexes, which is that of insertion
        scored.sort(key=lambda pair: -pair[0])
        return [
            _explained(hit, same, score=score) for score, same in scored[:k] for hit in same[0].hits
        ]

    def _share(self, found: _Found) -> float:
        return self._weights[found.index] / (self._rrf_k + found.rank)


AnySearcher = Searcher | Federation
"""What answers queries: over one index, or over several."""


def _ranked(index: str, hits: Sequence[Hit], *, is_grouped: bool) -> Iterator[_Found]:
    """Number the hits of one index, or its documents, whose hits stand together."""
    groups: dict[tuple[str, ...], list[Hit]] = {}
    for hit in hits:
        key: tuple[str, ...] = (hit.source, hit.document_id) if is_grouped else (hit.id,)
        groups.setdefault(key, []).append(hit)
    for rank, (name, group) in enumerate(groups.items(), start=1):
        # A hit's id depends on nothing but its content. Documents of two projects may share theirs:
        # they are one if they come from the same place, or begin with the same hit.
        place = (*name, group[0].uri) if is_grouped and group[0].uri else (group[0].id,)
        yield _Found(index, rank, place, group)


def _explained(hit: Hit, found: Sequence[_Found], *, score: float) -> Hit:
    step: dict[str, Any] = {
        "score": score,
        "indexes": [
            {"index": one.index, "rank": one.rank, "score": one.hits[0].score} for one in found
        ],
    }
    explanation = {**hit.explanation, "federation": step}
    return replace(hit, score=score, index=found[0].index, explanation=explanation)
