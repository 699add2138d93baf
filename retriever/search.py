"""Queries to ranked chunks."""

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from encoder.base import DenseEncoder, FloatArray, SparseEncoder, SparseVector
from indexing.filters import Condition
from indexing.stores.base import Payload
from retriever.access import check_principals, visible_where
from retriever.candidates import Candidates, explained_hits
from retriever.conditions import check_fields
from retriever.errors import ModeError
from retriever.results import Hit
from retriever.searchable import SearchableIndex
from retriever.settings import Mode, SearchSettings, check_count, check_mode

DEFAULT_SETTINGS = SearchSettings()


@dataclass(frozen=True, slots=True)
class _Query:
    """A query as the store takes it; None for a side that is not asked."""

    text: str
    dense: FloatArray | None
    """``[D]``."""

    sparse: SparseVector | None


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
    """

    def __init__(
        self,
        index: SearchableIndex,
        *,
        sparse: SparseEncoder,
        dense: DenseEncoder | None = None,
        settings: SearchSettings = DEFAULT_SETTINGS,
        before_search: Callable[[], object] = lambda: None,
    ) -> None:
        # one at a time: the store is not thread-safe, and tokenizers need not be
        self._lock = threading.Lock()
        # for event loops: waiting queries then queue here, not in the loop's own few threads
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="argot-search")
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
        k: int | None = None,
        mode: Mode | None = None,
        where: Condition | None = None,
        principals: Sequence[str] | None = None,
    ) -> list[Hit]:
        """Find the chunks that answer a query best.

        Raises MissingPrincipalError where documents have access lists and nobody is said to ask,
        ModeError where the vectors or the encoder for `mode` are not there.

        Args:
            query: In the user's words.
            k: Hits wanted, >= 1; None for the setting.
            mode: None for the setting.
            where: Narrows the chunks that are searched.
            principals: Who asks, such as ``user:x`` and the groups of x. Needed where documents
                have access lists.

        Returns:
            At most `k` hits, best first, equal scores in order of id.
        """
        return self.search_many([query], k=k, mode=mode, where=where, principals=principals)[0]

    def search_many(
        self,
        queries: Sequence[str],
        *,
        k: int | None = None,
        mode: Mode | None = None,
        where: Condition | None = None,
        principals: Sequence[str] | None = None,
    ) -> list[list[Hit]]:
        """Search for several queries as `search` does for one, encoding them together."""
        with self._searching():
            k = self._settings.k if k is None else k
            check_count("k", k, least=1)
            mode = self._usable(mode)
            depth = max(k, self._settings.depth)
            visible = self._visible(where, principals)
            return [
                list(
                    explained_hits(
                        self._candidates(query, depth=depth, where=visible),
                        k=k,
                        settings=self._settings,
                        matched_terms=partial(self._matched_terms, self._sparse.terms(query.text)),
                        where=where,
                    )
                )
                for query in self._encoded(queries, mode=mode)
            ]

    async def search_async(
        self,
        query: str,
        *,
        k: int | None = None,
        mode: Mode | None = None,
        where: Condition | None = None,
        principals: Sequence[str] | None = None,
    ) -> list[Hit]:
        """Do the same as `search` in a thread of the searcher's own; the event loop goes on."""
        work = partial(self.search, query, k=k, mode=mode, where=where, principals=principals)
        return await asyncio.get_running_loop().run_in_executor(self._worker, work)

    def rank_documents(
        self,
        queries: Sequence[str],
        *,
        limit: int = 100,
        mode: Mode | None = None,
        where: Condition | None = None,
        principals: Sequence[str] | None = None,
    ) -> list[list[tuple[str, float]]]:
        """Rank documents, each by its best chunk, as an evaluation wants them.

        Takes more candidates than a search where that is needed to find `limit` documents.
        Documents of two sources with one id count as one document: qrels know no sources.

        Args:
            queries: In the user's words.
            limit: Documents wanted, >= 1.
            mode: None for the setting.
            where: Narrows the chunks that are searched.
            principals: Who asks, as for `search`.

        Returns:
            For each query at most `limit` pairs of document id and score, best first.
        """
        check_count("limit", limit, least=1)
        with self._searching():
            mode = self._usable(mode)
            visible = self._visible(where, principals)
            return [
                self._best_documents(query, limit=limit, where=visible)
                for query in self._encoded(queries, mode=mode)
            ]

    @contextmanager
    def _searching(self) -> Iterator[None]:
        with self._lock:
            self._before_search()
            yield

    def _best_documents(
        self, query: _Query, *, limit: int, where: Condition | None
    ) -> list[tuple[str, float]]:
        depth = max(limit, self._settings.depth)
        while True:
            candidates = self._candidates(query, depth=depth, where=where)
            payloads = candidates.payloads()
            best: dict[str, float] = {}
            for id_, score in candidates.ranking(self._settings):
                best.setdefault(payloads[id_]["document_id"], score)
            if len(best) >= limit or not candidates.fills(depth):
                return list(best.items())[:limit]
            depth *= 2

    def _usable(self, mode: Mode | None) -> Mode:
        mode = self._settings.mode if mode is None else mode
        check_mode(mode)
        if mode == "sparse":
            return mode
        if self._index.store.spec.dimensions is None:
            raise ModeError(
                f"mode {mode!r} needs vectors, and index version {self.version_name!r} was built "
                "without an encoder\n"
                "hint: search with mode 'sparse', or configure an encoder and build a new version"
            )
        if self._dense is None:
            raise ModeError(
                f"mode {mode!r} needs an encoder for the query, and none was given\n"
                "hint: search with mode 'sparse', or give the encoder the index was built with"
            )
        return mode

    def _visible(
        self, where: Condition | None, principals: Sequence[str] | None
    ) -> Condition | None:
        check_principals(principals)
        if where is not None:
            check_fields(where)
        return visible_where(self._index.store, where=where, principals=principals)

    def _encoded(self, queries: Sequence[str], *, mode: Mode) -> list[_Query]:
        _check_texts(queries)
        if not queries:
            return []
        dense: Sequence[FloatArray | None] = [None] * len(queries)
        sparse: Sequence[SparseVector | None] = [None] * len(queries)
        if mode != "sparse" and self._dense is not None:
            width = self._index.store.spec.dimensions
            dense = list(self._dense.encode_queries(queries, dimensions=width))  # [N, D]
        if mode != "dense":
            sparse = self._sparse.encode_queries(queries)
        return [_Query(*parts) for parts in zip(queries, dense, sparse, strict=True)]

    def _candidates(self, query: _Query, *, depth: int, where: Condition | None) -> Candidates:
        store, blank = self._index.store, not query.text.strip()
        dense = sparse = None
        if query.dense is not None:
            dense = [] if blank else store.search_dense(query.dense, limit=depth, where=where)
        if query.sparse is not None:
            empty = blank or not query.sparse.indices
            sparse = [] if empty else store.search_sparse(query.sparse, limit=depth, where=where)
        return Candidates(dense, sparse)

    def _matched_terms(self, terms: dict[int, str], payload: Payload) -> tuple[str, ...]:
        # title and headings were encoded with the text, so their words match too
        context = (payload.get("title", ""), *payload.get("heading_path", ()), payload["text"])
        found = self._sparse.terms("\n".join(context))
        return tuple(word for term, word in terms.items() if term in found)


def _check_texts(queries: object) -> None:
    if isinstance(queries, str) or not isinstance(queries, Sequence):
        raise TypeError(f"`queries` must be a list of strings; got {queries!r}")
    for query in queries:
        if not isinstance(query, str):
            raise TypeError(f"a query must be a string; got {query!r}")
