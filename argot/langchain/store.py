"""A project as a LangChain vector store."""

import asyncio
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Self

from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings

from argot.document_writing import DocumentWriter
from argot.langchain.documents import source_documents, texts_with_metadata
from argot.langchain.embeddings import encoder_of
from argot.langchain.searching import SearchedStore
from argot.project import Project
from argot.searching import OpenSearch
from argot.settings import FILE
from argot.starter import write_project
from connectors.document import Document as SourceDocument
from encoder.base import DenseEncoder
from indexing.errors import IndexingError, NoIndexError
from retriever.langchain.asking import check_known
from retriever.langchain.retriever import ArgotEmbeddings
from retriever.search import Searcher
from retriever.settings import Mode


class ArgotVectorStore(SearchedStore):
    """The documents that programs put into a project; those of its sources are not among them.

    Each document is one point and comes back as it was put in: id, text and metadata. Every search
    takes, besides what LangChain names, ``filter`` (as `ArgotRetriever`), ``principals`` (who asks;
    needed where documents have access lists) and the options of a search such as ``mode`` and
    ``rerank``. Anything else is an error. `as_retriever` asks for whom the chain runs.

    A call that writes locks the index while it lasts; readers, in any process, go on. ``close`` the
    store, or use it in a ``with``.

    Args:
        project: A project, or its folder.
        embedding: What the texts are encoded with; None: the project's encoder, and where there is
            none the texts are found by their words.
        mode: How a search is done that does not say; None: as the project says.
        access: Who may see what is added from now on; None: everybody.
    """

    def __init__(
        self,
        project: Project | str | Path,
        *,
        embedding: Embeddings | DenseEncoder | None = None,
        mode: Mode | None = None,
        access: Sequence[str] | None = None,
    ) -> None:
        self.project = project if isinstance(project, Project) else Project.open(project)
        self._embeddings = embedding if isinstance(embedding, Embeddings) else None
        if embedding is not None:
            self.project.encoder = encoder_of(embedding)
        self._mode = mode
        self.access = access
        self._writer = DocumentWriter(self.project)
        self._session: OpenSearch | None = None
        self._opening = threading.Lock()

    @classmethod
    def from_texts(
        cls,
        texts: list[str],
        embedding: Embeddings | None = None,
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        path: str | Path | None = None,
        **kwargs: Any,  # noqa: ANN401 - LangChain's signature
    ) -> Self:
        """Put texts into a project, which is made if there is none.

        Args:
            texts: The texts.
            embedding: As for the class.
            metadatas: One for each text, plain JSON values.
            ids: One for each text; None: new ones.
            path: The project's folder.
            kwargs: ``mode`` and ``access``, as for the class.

        Raises:
            ValueError: no `path` is given.
        """
        if path is None:
            raise ValueError("`path` must be given: the folder of the project that keeps the texts")
        if not (Path(path) / FILE).exists():
            write_project(Path(path))
        store = cls(path, embedding=embedding, **kwargs)
        try:
            store.add_texts(texts, metadatas, ids=ids)
        except BaseException:
            store.close()
            raise
        return store

    @classmethod
    async def afrom_texts(
        cls,
        texts: list[str],
        embedding: Embeddings | None = None,
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        **kwargs: Any,  # noqa: ANN401 - LangChain's signature
    ) -> Self:
        """Do the same in another thread."""
        return await asyncio.to_thread(
            cls.from_texts, texts, embedding, metadatas, ids=ids, **kwargs
        )

    @property
    def embeddings(self) -> Embeddings | None:
        """What the texts are encoded with; None in a project without an encoder."""
        if self._embeddings is not None:
            return self._embeddings
        dense = self.project.encoder_of_live()
        return None if dense is None else ArgotEmbeddings(dense)

    def add_texts(
        self,
        texts: Iterable[str],
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        **kwargs: Any,  # noqa: ANN401 - LangChain's signature
    ) -> list[str]:
        """Add texts, as `add_documents` does; a generator is fine."""
        return self.add_documents(list(texts_with_metadata(texts, metadatas)), ids=ids, **kwargs)

    async def aadd_texts(
        self,
        texts: Iterable[str],
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        **kwargs: Any,  # noqa: ANN401 - LangChain's signature
    ) -> list[str]:
        """Do the same in another thread."""
        return await asyncio.to_thread(self.add_texts, texts, metadatas, ids=ids, **kwargs)

    def add_documents(
        self,
        documents: list[Document],
        *,
        ids: Sequence[str | None] | None = None,
        access: Sequence[str] | None = None,
        batch_size: int | None = None,  # noqa: ARG002 - LangChain's `index` gives it
        **kwargs: Any,  # noqa: ANN401 - LangChain's signature
    ) -> list[str]:
        """Add documents in the place of those with the same ids.

        Args:
            documents: Their metadata must be plain JSON values.
            ids: One for each, which win over their own; a document with neither gets a new one.
            access: Who may see these; None: as the store was told.
            batch_size: Of no effect; how much is encoded at once goes by tokens.
            kwargs: None; others are refused.

        Returns:
            Their ids, in order.

        Raises:
            IndexingError: some could not be stored; all others are.
            IndexLockedError: another process writes to the index.
        """
        check_known(kwargs, ("ids", "access", "batch_size"), of="`add_documents`")
        given = source_documents(
            documents, ids=ids, access=self.access if access is None else access
        )
        failed = self.put(given)
        if failed:
            id_, reason = next(iter(failed.items()))
            raise IndexingError(
                f"{len(failed)} of {len(given)} documents could not be stored, all others are; "
                f"the first is {id_!r}: {reason}"
            )
        return [document.id for document in given]

    async def aadd_documents(self, documents: list[Document], **kwargs: Any) -> list[str]:  # noqa: ANN401
        """Do the same in another thread."""
        return await asyncio.to_thread(self.add_documents, documents, **kwargs)

    def put(self, documents: Iterable[SourceDocument]) -> dict[str, str]:
        """Write documents; return why some could not be, by id."""
        failed = self._writer.write(documents).failed
        self.refresh()
        return failed

    def delete(self, ids: list[str] | None = None, **kwargs: Any) -> bool:  # noqa: ANN401
        """Delete documents; an id that is not there is no error. There are no other arguments.

        Raises:
            ValueError: no ids are given.
        """
        check_known(kwargs, ("ids",), of="`delete`")
        self.take_out(ids)
        return True

    async def adelete(self, ids: list[str] | None = None, **kwargs: Any) -> bool:  # noqa: ANN401
        """Do the same in another thread."""
        return await asyncio.to_thread(self.delete, ids, **kwargs)

    def take_out(self, ids: Sequence[str] | None) -> list[str]:
        """Delete documents; return the ids of those that were there.

        Raises:
            ValueError: no ids are given.
        """
        if ids is None:
            raise ValueError(
                "`ids` must name the documents to delete; got none\n"
                "hint: nothing deletes everything at once; name all ids"
            )
        removed = self._writer.remove(ids)
        self.refresh()
        return removed

    def refresh(self) -> None:
        """Find what is newest: by itself a store follows its version, not a switch to another."""
        with self._opening:
            if self._session is not None:
                self._session.refresh()

    def close(self) -> None:
        """Let the index go; once more is fine."""
        with self._opening:
            if self._session is not None:
                self._session.close()
            self._session = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _searcher(self) -> Searcher | None:
        with self._opening:
            if self._session is None:
                try:
                    self._session = self.project.search_session(mode=self._mode)
                except NoIndexError:
                    return None
            return self._session.searcher
