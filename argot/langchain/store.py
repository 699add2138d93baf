"""A project as a LangChain vector store."""

import asyncio
import threading
from pathlib import Path
from typing import Any, Self

from langchain_core.embeddings import Embeddings

from argot.document_access import check_tenant
from argot.document_writing import DocumentWriter
from argot.langchain.documents import Access, access_list
from argot.langchain.embeddings import encoder_of
from argot.langchain.searching import SearchedStore
from argot.langchain.writing import WrittenStore
from argot.project import Project, project_at
from argot.searching import OpenSearch
from argot.settings import FILE
from argot.starter import write_project
from encoder.base import DenseEncoder
from indexing.errors import NoIndexError
from indexing.forks import free_in_children
from retriever.langchain.retriever import ArgotEmbeddings
from retriever.search import Searcher
from retriever.settings import Mode


class ArgotVectorStore(WrittenStore, SearchedStore):
    """The documents that programs put into a project; those of its sources are not among them.

    Each document is one point and comes back as it was put in: id, text and metadata. Every search
    takes, besides what LangChain names, ``filter`` (as `ArgotRetriever`), ``principals`` (who asks;
    needed where documents have access lists) and the options of a search such as ``mode`` and
    ``rerank``. Anything else is an error. `as_retriever` asks for whom the chain runs.

    A call that writes locks the index while it lasts; readers, in any process, go on. ``close`` the
    store, or use it in a ``with``.

    What a write does not say does not change: a document that is there keeps its access list unless
    ``access`` is given, here or with the write. A new one is for everybody if nothing is said; once
    others have lists, it must be said. In a project with tenants each document names its own in its
    metadata, no other tenant can replace or delete it, and deleting names the tenant.

    Args:
        project: A project, or its folder.
        embedding: What the texts are encoded with; None: the project's encoder, and where there is
            none the texts are found by their words.
        mode: How a search is done that does not say; None: as the project says.
        access: Who may see what is added from now on: a list of names, or ``"everybody"``.
        tenant: Whose documents are written and deleted, and no others; None: each document says
            it, and each `delete`. Searches and reads name theirs among the principals all the same.

    Raises:
        TypeError: `access` or `tenant` is of another kind.
        ValueError: a name in `access` is empty.
        TenantError: `tenant` is empty, or the project has no tenants.
    """

    def __init__(
        self,
        project: Project | str | Path,
        *,
        embedding: Embeddings | DenseEncoder | None = None,
        mode: Mode | None = None,
        access: Access | None = None,
        tenant: str | None = None,
    ) -> None:
        self.project = project_at(project)
        access_list(access)
        check_tenant(tenant, field=self.project.settings.access.tenant_field)
        self._embeddings = embedding if isinstance(embedding, Embeddings) else None
        if embedding is not None:
            self.project = self.project.with_encoder(encoder_of(embedding))
        self._mode = mode
        self.access, self.tenant = access, tenant
        self._writer = DocumentWriter(self.project)
        self._session: OpenSearch | None = None
        self._opening = free_in_children(threading.Lock())

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
            kwargs: ``mode``, ``access`` and ``tenant``, as for the class.

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
        """What the texts are encoded with, at its full width; None without an encoder.

        Where the index keeps fewer dimensions, a search by vector reduces such a vector itself.
        """
        if self._embeddings is not None:
            return self._embeddings
        dense = self.project.encoder_of_live()
        return None if dense is None else ArgotEmbeddings(dense)

    def refresh(self) -> None:
        """Find what is newest, and load its encoder where a version went live that has another.

        A search finds all else by itself.
        """
        session = self._session
        if session is not None:
            session.refresh()

    def close(self) -> None:
        """Let the index go, until the next search opens it again; once more is fine."""
        with self._opening:
            session, self._session = self._session, None
        if session is not None:
            session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _searcher(self) -> Searcher | None:
        session = self._session
        if session is not None:
            return session.searcher
        with self._opening:
            if self._session is None:
                try:
                    self._session = self.project.search_session(mode=self._mode)
                except NoIndexError:
                    return None
            return self._session.searcher

    async def _asearcher(self) -> Searcher | None:
        session = self._session
        return await asyncio.to_thread(self._searcher) if session is None else session.searcher
