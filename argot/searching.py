"""Open a project's live index for searching. No SQL on this path, and no torch in sparse mode."""

import os
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from time import monotonic
from typing import Self

from argot.live_watch import LiveWatch
from argot.paths import ProjectPaths
from argot.stages import Stages
from encoder.base import DenseEncoder, SparseEncoder
from encoder.bm25 import Bm25Encoder, Bm25Settings
from indexing.errors import StoreError, WrongEncoderError
from indexing.forks import call_in_children, free_in_children
from indexing.stores.server_settings import ServerSettings
from indexing.versions.collection import OpenIndex
from indexing.versions.description import IndexVersion
from indexing.versions.placement import EMBEDDED
from indexing.versions.published_reader import PublishedStore, open_published
from retriever.access import AccessSettings
from retriever.search import Searcher
from retriever.settings import Mode, SearchSettings

LoadEncoder = Callable[[IndexVersion], DenseEncoder | None]
"""Loads the encoder that a version is searched with; None: the project has none."""

TRY_AGAIN_SECONDS = 5.0
"""After the live version could not be moved to, searches fail at once for so long."""

Searched = tuple[IndexVersion, DenseEncoder | None]
"""What is searched at present, and the encoder of the queries; None: none is loaded."""

StagesFor = Callable[[Callable[[], Searched]], Stages]
"""Names the second stages that searches may ask for, told how to learn what is searched."""


@dataclass(frozen=True, slots=True)
class _Opened:
    """An open index version and what it is searched with."""

    index: OpenIndex
    sparse: SparseEncoder
    dense: DenseEncoder | None
    settings: SearchSettings


PartsOf = Callable[[OpenIndex, DenseEncoder | None, LoadEncoder], _Opened]
"""Chooses how a version is searched: with the encoder at hand, or one that is loaded for it."""


class OpenSearch:
    """A searcher over the live index; ``close`` it, or use it in a ``with``.

    It reads a published copy, beside other readers and whoever ingests. Before each search it moves
    to the newest copy, and to the version that is live, whose access lists may be others; where
    that one has another encoder, the search that finds it loads it.
    """

    def __init__(
        self,
        open_live: Callable[[], OpenIndex],
        *,
        parts_of: PartsOf,
        load_dense: LoadEncoder,
        live: LiveWatch,
        stages_for: StagesFor,
        access: AccessSettings,
        follow: bool,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._open_live = open_live
        self._parts_of = parts_of
        self._load_dense = load_dense
        self._live = live
        self._is_following = follow
        self._process = os.getpid()
        # Held by each search. Reentrant: a search that finds another version live moves by itself.
        self._turn = free_in_children(threading.Condition())
        call_in_children(self._end_refresh)
        self._is_refreshing = self._is_closed = False
        self._clock = clock
        self._failure: tuple[Exception, float] | None = None
        with ExitStack() as undo:
            index = undo.enter_context(open_live())
            self._opened = opened = parts_of(index, None, load_dense)
            stages = stages_for(lambda: (self._opened.index.version, self._opened.dense))
            self.searcher = Searcher(
                index,
                sparse=opened.sparse,
                dense=opened.dense,
                settings=opened.settings,
                before_search=self._before_search,
                rerankers=stages.rerankers,
                expanders=stages.expanders,
                access=access,
                turn=self._turn,
            )
            undo.pop_all()

    def refresh(self) -> bool:
        """Move to the newest state of the version that is live now, with that version's encoder.

        Searches wait meanwhile; those of a session that does not follow go on. After an error,
        which says why the live version can't be searched, what was open stays.

        Returns:
            Whether there was anything newer.

        Raises:
            StoreError: it was closed.
        """
        with self._turn:
            self._turn.wait_for(lambda: not self._is_refreshing)
            self._check_open()
            self._live.forget()
            if self._is_newest():
                return False
            self._is_refreshing = True
        try:
            self._move()
        finally:
            self._end_refresh()
        return True

    def close(self) -> None:
        """Let the index go, once no search reads it; once more is fine."""
        with self._turn:
            self._is_closed = True
            self._opened.index.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _end_refresh(self) -> None:
        with self._turn:
            self._is_refreshing = False
            self._turn.notify_all()

    def _before_search(self) -> None:
        if self._opened.dense is not None and os.getpid() != self._process:
            raise StoreError(
                "vectors can't be searched by what was opened before a fork: the encoder's threads "
                "are not in the child\nhint: open the project after the fork, start the process "
                'with "spawn", or search in mode sparse'
            )
        if self._is_following:
            self._follow()

    def _follow(self) -> None:
        """Find what is newest, while it is a search's turn; an error ends that search.

        To answer from a version that is no longer live would be to go by its access lists.
        """
        self._turn.wait_for(lambda: not self._is_refreshing)
        self._check_open()
        index = self._opened.index
        if not self._live.is_live(index.version.name):
            self._try_to_move()
        elif isinstance(index.store, PublishedStore):
            index.store.follow()

    def _try_to_move(self) -> None:
        """Move, or fail as a moment ago: what was loaded in vain is not loaded for each search."""
        if self._failure is not None:
            error, failed_at = self._failure
            if self._clock() - failed_at < TRY_AGAIN_SECONDS:
                raise error.with_traceback(None)
        self._live.forget()
        try:
            self._move()
        except Exception as error:
            self._failure = error, self._clock()
            raise

    def _move(self) -> None:
        """Search what is live from now on; after an error nothing has changed."""
        old = self._opened
        with ExitStack() as undo:
            index = undo.enter_context(self._open_live())
            new = self._parts_of(index, old.dense, self._load_dense)
            with self._turn:
                self._check_open()
                self.searcher.switch(
                    index,
                    sparse=new.sparse,
                    dense=new.dense,
                    settings=new.settings,
                    before_search=self._before_search,
                )
                self._opened = new
                self._failure = None
            undo.pop_all()
        old.index.close()

    def _is_newest(self) -> bool:
        index = self._opened.index
        behind = isinstance(index.store, PublishedStore) and index.store.is_behind()
        return self._live.is_live(index.version.name) and not behind

    def _check_open(self) -> None:
        if self._is_closed:
            raise StoreError(
                f"index {self._opened.index.version.name} can't be searched: this search was "
                "closed\nhint: open the project again"
            )


def open_search(
    paths: ProjectPaths,
    *,
    settings: SearchSettings,
    access: AccessSettings,
    load_dense: LoadEncoder,
    stages_for: StagesFor = lambda _: Stages(),
    mode: Mode | None = None,
    server: ServerSettings = EMBEDDED,
    follow: bool = True,
) -> OpenSearch:
    """Open the live index version.

    Args:
        paths: The project.
        settings: Defaults of every search.
        access: What narrows every search, whoever asks.
        load_dense: Called only when the mode compares vectors and the version has any.
        stages_for: Names what searches may rerank and expand with.
        mode: How it will be searched; None: as the settings say.
        server: Where versions are that are not embedded.
        follow: Look for what is newest before each search; False: stay with what is opened, its
            access lists included, until `OpenSearch.refresh`.

    Raises:
        NoIndexError: nothing is indexed yet.
        WrongEncoderError: the project's encoder is not the one the version was built with.
    """
    return OpenSearch(
        partial(open_published, paths.indexes, server=server),
        parts_of=partial(_parts_of, settings=settings, mode=mode),
        load_dense=load_dense,
        live=LiveWatch(paths.indexes, server=server),
        stages_for=stages_for,
        access=access,
        follow=follow,
    )


def _parts_of(
    index: OpenIndex,
    known: DenseEncoder | None,
    load_dense: LoadEncoder,
    *,
    settings: SearchSettings,
    mode: Mode | None,
) -> _Opened:
    """Choose how a version is searched; ``known`` is not loaded again if it is its encoder."""
    usable = usable_mode(mode or settings.mode, index)
    dense = None
    if usable != "sparse":
        same = known is not None and known.fingerprint == index.version.encoder
        dense = known if same else _needed(load_dense(index.version), index)
    sparse = Bm25Encoder(Bm25Settings(**index.version.bm25))
    return _Opened(index, sparse, dense, replace(settings, mode=usable))


def _needed(dense: DenseEncoder | None, index: OpenIndex) -> DenseEncoder:
    if dense is None:
        raise WrongEncoderError(
            f"comparing vectors needs an encoder; [encoder] names none, and index "
            f"{index.version.name} was built by {index.version.encoder or 'none'}\n"
            "hint: set `model` in [encoder] to that one, or to another and run `argot ingest "
            "--rebuild`, or use --mode sparse"
        )
    return dense


def usable_mode(wanted: Mode, index: OpenIndex) -> Mode:
    """Answer hybrid by words alone where the version has no vectors."""
    return "sparse" if index.version.encoder is None and wanted == "hybrid" else wanted
