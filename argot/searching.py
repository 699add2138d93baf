"""Open a project's live index for searching. No SQL on this path, and no torch in sparse mode."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

from argot.paths import ProjectPaths
from encoder.base import DenseEncoder
from encoder.bm25 import Bm25Encoder, Bm25Settings
from indexing.collection import OpenIndex, open_index
from indexing.errors import WrongEncoderError
from retriever.search import Searcher
from retriever.settings import Mode, SearchSettings


@dataclass(frozen=True, slots=True)
class OpenSearch:
    """A searcher and the index it holds open; ``close`` it, or use it in a ``with``."""

    searcher: Searcher
    index: OpenIndex

    def close(self) -> None:
        """Let the index go."""
        self.index.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_search(
    paths: ProjectPaths,
    *,
    settings: SearchSettings,
    load_dense: Callable[[], DenseEncoder | None],
    mode: Mode | None = None,
) -> OpenSearch:
    """Open the live index version.

    Args:
        paths: The project.
        settings: Defaults of every search.
        load_dense: Called only when the mode compares vectors and the version has any.
        mode: How it will be searched; None: as the settings say.

    Raises:
        NoIndexError: nothing is indexed yet.
        IndexLockedError: another process has the index open.
        WrongEncoderError: the project's encoder is not the one the version was built with.
    """
    index = open_index(paths.indexes)
    try:
        usable = usable_mode(mode or settings.mode, index)
        dense = None if usable == "sparse" else _needed(load_dense(), index)
        searcher = Searcher(
            index,
            sparse=Bm25Encoder(Bm25Settings(**index.version.bm25)),
            dense=dense,
            settings=replace(settings, mode=usable),
        )
    except BaseException:
        index.close()
        raise
    return OpenSearch(searcher, index)


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
