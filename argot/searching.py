"""Open a project's live index for searching. No SQL on this path, and no torch in sparse mode."""

import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import Self

from argot.paths import ProjectPaths
from argot.stages import Stages
from encoder.base import DenseEncoder, SparseEncoder
from encoder.bm25 import Bm25Encoder, Bm25Settings
from indexing.errors import WrongEncoderError
from indexing.stores.server_settings import ServerSettings
from indexing.versions.collection import OpenIndex
from indexing.versions.description import IndexVersion, live_version
from indexing.versions.placement import EMBEDDED
from indexing.versions.published_reader import PublishedStore, open_published
from retriever.access import AccessSettings
from retriever.search import Searcher
from retriever.settings import Mode, SearchSettings

LoadEncoder = Callable[[IndexVersion], DenseEncoder | None]
"""Loads the encoder that a version is searched with; None: the project has none."""

Searched = tuple[IndexVersion, DenseEncoder | None]
"""What is searched at present, and the encoder of the queries; None: none is loaded."""

StagesFor = Callable[[Callable[[], Searched]], Stages]
"""Names the second stages that searches may ask for, told how to learn what is searched."""


@dataclass(frozen=True, slots=True)
class _Parts:
    """What a searcher needs for an index version."""

    sparse: SparseEncoder
    dense: DenseEncoder | None
    settings: SearchSettings
    before_search: Callable[[], object]


class OpenSearch:
    """A searcher over the live index; ``close`` it, or use it in a ``with``.

    It reads a published copy, beside other readers and whoever ingests. Before each search it looks
    for a newer copy of its version. To another version, and its encoder, it moves by `refresh`.
    """

    def __init__(
        self,
        open_live: Callable[[], OpenIndex],
        *,
        parts_of: Callable[[OpenIndex, DenseEncoder | None], _Parts],
        is_live: Callable[[str], bool],
        stages_for: StagesFor,
        access: AccessSettings,
    ) -> None:
        self._open_live = open_live
        self._parts_of = parts_of
        self._is_live = is_live
        self._refreshing = threading.Lock()
        with ExitStack() as undo:
            self._index = undo.enter_context(open_live())
            self._parts = parts_of(self._index, None)
            stages = stages_for(lambda: (self._index.version, self._parts.dense))
            self.searcher = Searcher(
                self._index,
                sparse=self._parts.sparse,
                dense=self._parts.dense,
                settings=self._parts.settings,
                before_search=self._parts.before_search,
                rerankers=stages.rerankers,
                expanders=stages.expanders,
                access=access,
            )
            undo.pop_all()

    def refresh(self) -> bool:
        """Move to the newest state of the version that is live now, with that version's encoder.

        Searches go on meanwhile. After an error, which says why the live version can't be searched,
        they go on with what was open.

        Returns:
            Whether there was anything newer.
        """
        with self._refreshing:
            if self._is_newest():
                return False
            old = self._index
            with ExitStack() as undo:
                index = undo.enter_context(self._open_live())
                parts = self._parts_of(index, self._parts.dense)
                self.searcher.switch(
                    index,
                    sparse=parts.sparse,
                    dense=parts.dense,
                    settings=parts.settings,
                    before_search=parts.before_search,
                )
                undo.pop_all()
            self._index, self._parts = index, parts
            old.close()
            return True

    def close(self) -> None:
        """Let the index go."""
        self._index.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _is_newest(self) -> bool:
        store = self._index.store
        behind = isinstance(store, PublishedStore) and store.is_behind()
        return self._is_live(self._index.version.name) and not behind


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
        follow: Look for newer states by itself; False: stay with the one that is opened.

    Raises:
        NoIndexError: nothing is indexed yet.
        WrongEncoderError: the project's encoder is not the one the version was built with.
    """
    return OpenSearch(
        partial(open_published, paths.indexes, server=server),
        parts_of=partial(
            _parts_of,
            settings=settings,
            load_dense=load_dense,
            mode=mode,
            follow=follow,
        ),
        is_live=lambda name: live_version(paths.indexes) in (None, name),
        stages_for=stages_for,
        access=access,
    )


def _parts_of(
    index: OpenIndex,
    known: DenseEncoder | None,
    *,
    settings: SearchSettings,
    load_dense: LoadEncoder,
    mode: Mode | None,
    follow: bool,
) -> _Parts:
    """Choose how a version is searched; ``known`` is not loaded again if it is its encoder."""
    usable = usable_mode(mode or settings.mode, index)
    dense = None
    if usable != "sparse":
        same = known is not None and known.fingerprint == index.version.encoder
        dense = known if same else _needed(load_dense(index.version), index)
    sparse = Bm25Encoder(Bm25Settings(**index.version.bm25))
    store = index.store
    before_search = store.follow if follow and isinstance(store, PublishedStore) else _stay
    return _Parts(sparse, dense, replace(settings, mode=usable), before_search)


def _stay() -> None:
    """Search what is open."""


def _needed(dense: DenseEncoder | None, index: OpenIndex) -> DenseEncoder:
    if dense is None:
        raise WrongEncoderError(
            f"comparing vectors needs an encoder; [encoder] names none, and index "
            f"{index.version.name} was built by {index.version.encoder or 'none'}\n"
            "hint: set `model` in [encoder] and run `argot ingest --rebuild`, or use --mode sparse"
        )
    return dense


def usable_mode(wanted: Mode, index: OpenIndex) -> Mode:
    """Answer hybrid by words alone where the version has no vectors."""
    return "sparse" if index.version.encoder is None and wanted == "hybrid" else wanted
