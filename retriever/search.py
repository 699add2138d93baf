"""Queries to ranked chunks."""

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from types import MappingProxyType
from typing import TypeVar, Unpack

from encoder.base import DenseEncoder, FloatArray, SparseEncoder
from indexing.filters import Condition
from indexing.forks import free_in_children
from indexing.stores.base import Payload
from retriever.access import NO_TENANTS, AccessSettings, check_principals, visible_where
from retriever.conditions import Filter, condition_of
from retriever.errors import PlanError
from retriever.own_thread import OwnThread
from retriever.plan import PlanOptions, SearchPlan, check_usable
from retriever.queries import (
    EncodedQuery,
    QueryEncoders,
    check_queries,
    given_vector,
    unit_vector,
    widened,
    without_text,
)
from retriever.results import Hit
from retriever.running import RunningSearch
from retriever.searchable import SearchableIndex
from retriever.settings import OFF, SearchSettings, check_count
from retriever.stages import QueryExpander, Reranker

Stage = TypeVar("Stage")

DEFAULT_SETTINGS = SearchSettings()
NO_RERANKERS: Mapping[str, Reranker] = MappingProxyType({})
NO_EXPANDERS: Mapping[str, QueryExpander] = MappingProxyType({})


class Searcher:
    """Searches one open index; safe to share between threads, which take turns.

    A query without any text finds nothing, in every mode. One whose words are all stop words is
    answered by the dense side alone.

    Args:
        index: Stays the caller's to close.
        sparse: Weighs words as when the index was built.
        dense: Must be the encoder the index was built with, else WrongEncoderError; it is compared
            here, once. None leaves mode ``sparse`` only.
        settings: What a search does unless it says otherwise.
        before_search: Called before each search, while no other runs: it may renew the index.
        rerankers: By the names that settings and searches call them.
        expanders: By the names that settings and searches call them.
        access: What narrows every search, whoever asks.
        turn: Held by each search, so that whoever holds it runs beside none; None: one of its own.
    """

    def __init__(
        self,
        index: SearchableIndex,
        *,
        sparse: SparseEncoder,
        dense: DenseEncoder | None = None,
        settings: SearchSettings = DEFAULT_SETTINGS,
        before_search: Callable[[], object] = lambda: None,
        rerankers: Mapping[str, Reranker] = NO_RERANKERS,
        expanders: Mapping[str, QueryExpander] = NO_EXPANDERS,
        access: AccessSettings = NO_TENANTS,
        turn: AbstractContextManager[object] | None = None,
    ) -> None:
        # one at a time: the store is not thread-safe, and tokenizers need not be
        self._lock = free_in_children(threading.Lock()) if turn is None else turn
        self._thread = OwnThread("argot-search")
        self._rerankers, self._expanders = rerankers, expanders
        self._access = access
        self.switch(
            index, sparse=sparse, dense=dense, settings=settings, before_search=before_search
        )

    def switch(
        self,
        index: SearchableIndex,
        *,
        sparse: SparseEncoder,
        dense: DenseEncoder | None = None,
        settings: SearchSettings = DEFAULT_SETTINGS,
        before_search: Callable[[], object] = lambda: None,
    ) -> None:
        """Search another index from now on; returns when nothing searches the old one any more.

        The arguments are those of the class; after an error nothing has changed.
        """
        if dense is not None and index.store.spec.dimensions is not None:
            index.check_encoder(dense)
            dense = index.encoder_for(dense)
        with self._lock:
            self._index, self._sparse, self._dense, self._settings = index, sparse, dense, settings
            self._before_search = before_search

    @property
    def settings(self) -> SearchSettings:
        """What a search does unless it says otherwise."""
        return self._settings

    @property
    def version_name(self) -> str:
        """Which index version answers."""
        return self._index.version.name

    @property
    def encoder_fingerprint(self) -> str | None:
        """Which encoder reads the queries; None without one."""
        return None if self._dense is None else self._dense.fingerprint

    def search(
        self,
        query: str,
        *,
        where: Filter = None,
        principals: Sequence[str] | None = None,
        **options: Unpack[PlanOptions],
    ) -> list[Hit]:
        """Find the chunks that answer a query best.

        Raises MissingPrincipalError where documents have access lists and nobody is said to ask,
        ModeError where the vectors or the encoder for a mode are not there, PlanError where options
        do not go together or name a stage that is not there.

        Args:
            query: In the user's words.
            where: Narrows the chunks that are searched: a condition, or a mapping in plain values
                such as ``{"source": "handbook", "metadata.year": {">=": 2024}}``.
            principals: Who asks, such as ``user:x`` and the groups of x. Needed where documents
                have access lists.
            options: What this search does otherwise than the settings say, such as ``k=5``,
                ``mode="dense"`` or ``rerank="none"``; see `SearchSettings`. None: as they say.

        Returns:
            At most `k` hits, best first, equal scores in order of id; grouped, the hits of `k`
            documents. Each that was asked to be diverse stands where it adds most.
        """
        return self.search_many([query], where=where, principals=principals, **options)[0]

    def search_many(
        self,
        queries: Sequence[str],
        *,
        where: Filter = None,
        principals: Sequence[str] | None = None,
        **options: Unpack[PlanOptions],
    ) -> list[list[Hit]]:
        """Search for several queries as `search` does for one, encoding them together."""
        with self._lock:
            self._before_search()
            running = self._running(options, where=where, principals=principals)
            return [running.hits(query) for query in self._encoded(queries, plan=running.plan)]

    async def search_async(
        self,
        query: str,
        *,
        where: Filter = None,
        principals: Sequence[str] | None = None,
        **options: Unpack[PlanOptions],
    ) -> list[Hit]:
        """Do the same as `search` in a thread of the searcher's own; the event loop goes on."""
        work = partial(self.search, query, where=where, principals=principals, **options)
        return await self._thread.run(work)

    def search_vector(
        self,
        vector: FloatArray | Sequence[float],
        *,
        where: Filter = None,
        principals: Sequence[str] | None = None,
        **options: Unpack[PlanOptions],
    ) -> list[Hit]:
        """Search as `search` does, in mode ``dense``, for the vector of a query.

        The vector is as the encoder gives it, ``[D]``, and then reduced as the index is, or of the
        width that is stored; of any length but zero. There is no text: what the settings widen or
        rerank with is left out.

        Raises:
            PlanError: an option needs the text of the query.
            ValueError: it is no vector of one of these widths.
        """
        options, given = without_text(options), unit_vector(vector)
        with self._lock:
            self._before_search()
            running = self._running(options, where=where, principals=principals)
            return running.hits(given_vector(self._index.vector_as_stored(given)))

    async def search_vector_async(
        self,
        vector: FloatArray | Sequence[float],
        *,
        where: Filter = None,
        principals: Sequence[str] | None = None,
        **options: Unpack[PlanOptions],
    ) -> list[Hit]:
        """Do the same as `search_vector` in a thread of the searcher's own."""
        work = partial(self.search_vector, vector, where=where, principals=principals, **options)
        return await self._thread.run(work)

    def payloads(
        self, where: Condition, *, limit: int, principals: Sequence[str] | None = None
    ) -> list[Payload]:
        """Read what is stored beside at most `limit` chunks that match and may be seen."""
        with self._lock:
            self._before_search()
            visible = self._visible(where, principals) or where
            return list(self._index.store.payloads(visible, limit=limit).values())

    def rank_documents(
        self,
        queries: Sequence[str],
        *,
        limit: int = 100,
        where: Filter = None,
        principals: Sequence[str] | None = None,
        **options: Unpack[PlanOptions],
    ) -> list[list[tuple[str, float]]]:
        """Rank documents, each by its best chunk, as an evaluation wants them.

        Takes more candidates than a search where that is needed to find `limit` documents.
        Documents of two sources with one id count as one document: qrels know no sources.

        Args:
            queries: In the user's words.
            limit: Documents wanted, >= 1.
            where: Narrows the chunks that are searched.
            principals: Who asks, as for `search`.
            options: As for `search`; what is about chunks has no effect.

        Returns:
            For each query at most `limit` pairs of document id and score, best first.
        """
        check_count("limit", limit, least=1)
        with self._lock:
            self._before_search()
            running = self._running(options, where=where, principals=principals)
            return [
                running.best_documents(query, limit=limit)
                for query in self._encoded(queries, plan=running.plan)
            ]

    def _running(
        self,
        options: PlanOptions,
        *,
        where: Filter,
        principals: Sequence[str] | None,
    ) -> RunningSearch:
        plan = SearchPlan.of(self._settings, options)
        check_usable(
            plan,
            has_vectors=self._index.store.spec.dimensions is not None,
            has_encoder=self._dense is not None,
            version=self.version_name,
        )
        return RunningSearch(
            plan=plan,
            store=self._index.store,
            sparse=self._sparse,
            reranker=_chosen(plan.rerank, self._rerankers, setting="rerank"),
            where=condition_of(where),
            visible=self._visible(where, principals),
        )

    def _visible(self, where: Filter, principals: Sequence[str] | None) -> Condition | None:
        check_principals(principals)
        given, store = condition_of(where), self._index.store
        return visible_where(store, where=given, principals=principals, access=self._access)

    def _encoded(self, queries: Sequence[str], *, plan: SearchPlan) -> list[EncodedQuery]:
        check_queries(queries)
        expander = _chosen(plan.expand, self._expanders, setting="expand")
        encoders = QueryEncoders(
            dense=None if plan.mode == "sparse" else self._dense,
            sparse=None if plan.mode == "dense" else self._sparse,
            width=self._index.store.spec.dimensions,
        )
        return encoders.encode(queries, expansions=widened(queries, expander))


def _chosen(name: str, stages: Mapping[str, Stage], *, setting: str) -> Stage | None:
    """Find a stage by name; None for none."""
    if name == OFF:
        return None
    if name not in stages:
        known = ", ".join(map(repr, (OFF, *stages)))
        raise PlanError(f"`{setting}` must be one of {known} here; got {name!r}")
    return stages[name]
