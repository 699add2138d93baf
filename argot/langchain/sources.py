"""LangChain's loaders in place of our connectors, its text splitters in place of our chunker."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Protocol

from langchain_core.documents import Document as LoadedDocument

from argot.errors import SettingsError
from argot.ingestion import ingest
from argot.langchain.splitting import SplitterChunker, TextSplitter
from argot.project import Project
from argot.settings import HANDED_OVER
from connectors.base import Change, Complete, Failed, Upsert
from connectors.document import Document
from connectors.errors import SourceError
from connectors.registry import SourceSettings
from indexing.identity import digest
from indexing.sync.options import SyncOptions
from indexing.sync.report import SyncReport

MOST_PAGES = 100_000
"""A greater number in metadata is taken for something else."""

AccessOf = Callable[[LoadedDocument], Sequence[str] | None]
"""Tells who may see a document; None: it has no access list."""


class Loader(Protocol):
    """What every `BaseLoader` of LangChain has."""

    def lazy_load(self) -> Iterator[LoadedDocument]:
        """Yield the documents one by one."""


def ingest_loader(
    project: Project,
    loader: Loader,
    *,
    name: str,
    splitter: TextSplitter | None = None,
    protected: bool = False,
    access_of: AccessOf | None = None,
) -> SyncReport:
    """Bring the index in step with what a loader delivers, as `argot ingest` does with a source.

    What has not changed since the last time is not encoded again, and what the loader does not
    deliver any more is deleted, unless that would be too much at once.

    Args:
        project: The project.
        loader: Any LangChain loader; it must deliver everything it has, each time.
        name: Of the source in the project, the same each time.
        splitter: Any LangChain text splitter; None: our own chunker.
        protected: Documents have access lists, and one that comes without is for nobody.
        access_of: Reads a document's access list, such as from its metadata; a document without one
            is then for nobody.

    Returns:
        What was done, partial failures included.

    Raises:
        SettingsError: the name belongs to another source.
        SourceError: the loader failed; what it delivered is indexed, and nothing deleted.
        DeleteGuardError: it would delete too much; everything else is done.
        IndexLockedError: another process is at it.
    """
    if name == HANDED_OVER or name in [source.name for source in project.settings.sources]:
        raise SettingsError(
            f"`name` must be that of no other source; {name!r} is one already, and its documents "
            "would be deleted"
        )
    fraction = project.settings.index.max_delete_fraction
    guarded = protected or access_of is not None  # without a list, for nobody
    return ingest(
        project.paths,
        project.settings,
        dense=project.encoder_of_live(),
        sources=[SourceSettings(name=name, path=Path(), protected=guarded)],
        connectors=[LoaderConnector(name, loader, access_of=access_of)],
        chunker=None if splitter is None else SplitterChunker(splitter),
        options=SyncOptions(max_delete_fraction=fraction, parse_processes=0),
    )


class LoaderConnector:
    """A LangChain loader as a source.

    A document's id is its own, else what its metadata name as ``source``, else a digest of its
    text; where several have one id, they are numbered in the order of the loader.

    Args:
        name: The source's name in the project.
        loader: Delivers everything it has, each time.
        access_of: Reads a document's access list; None: there are none.
    """

    def __init__(self, name: str, loader: Loader, *, access_of: AccessOf | None = None) -> None:
        self._name = name
        self._loader = loader
        self._access_of = access_of

    @property
    def name(self) -> str:
        """The source's name in the project."""
        return self._name

    def changes(self, cursor: str | None) -> Iterator[Change]:
        """List everything; ``cursor`` is not used.

        Raises:
            SourceError: the loader failed.
        """
        del cursor
        seen: Counter[str] = Counter()
        loaded = iter(self._loader.lazy_load())
        while (document := self._next(loaded)) is not None:
            base = id_ = _id_of(document)
            while seen[id_]:  # what is numbered may be another's own id, too
                seen[base] += 1
                id_ = f"{base}#{seen[base]}"
            seen[id_] += 1
            yield self._change(document, id_)
        yield Complete()

    def _next(self, loaded: Iterator[LoadedDocument]) -> LoadedDocument | None:
        try:
            return next(loaded, None)
        except Exception as exc:
            raise SourceError(
                f"the loader {type(self._loader).__name__} of {self._name!r} failed: {exc}"
            ) from exc

    def _change(self, document: LoadedDocument, id_: str) -> Change:
        try:
            # Dates, paths and the like as their texts: a loader's metadata may be anything.
            written = json.dumps(document.metadata, default=str, allow_nan=False)
        except Exception as exc:  # noqa: BLE001 - one document's misfortune
            return Failed(id_, f"its metadata can't be read: {exc}")
        try:
            access = self._access_of(document) if self._access_of else None
        except Exception as exc:  # noqa: BLE001 - likewise
            return Failed(id_, f"`access_of` failed on it: {exc!r}")
        if isinstance(access, str):
            return Failed(id_, f"its access list must be a list of names; got {access!r}")
        made = _document(document, id_, metadata=written)
        if access is not None:
            made = replace(made, access=tuple(access))
        revision = digest([document.page_content, written, *(made.access or ())])
        return Upsert(id_, revision, partial(_itself, made))


def _id_of(document: LoadedDocument) -> str:
    source = document.metadata.get("source")
    return document.id or (str(source) if source else digest([document.page_content]))


def _document(document: LoadedDocument, id_: str, *, metadata: str) -> Document:
    title = document.metadata.get("title")
    source = document.metadata.get("source")
    return Document(
        id=id_,
        text=document.page_content,
        title=title if isinstance(title, str) else "",
        uri=str(source) if source else "",
        page_starts=_page_starts(document.metadata.get("page")),
        metadata=json.loads(metadata),
    )


def _page_starts(page: object) -> tuple[int, ...]:
    """Place a text on its page; LangChain's loaders count from 0, we from 1."""
    is_page = isinstance(page, int) and not isinstance(page, bool) and 0 <= page < MOST_PAGES
    return (0,) * (page + 1) if is_page else ()  # type: ignore[operator]


def _itself(document: Document) -> Document:
    return document
