"""How a LangChain vector store is written: documents in, and out again."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from langchain_core.documents import Document
from langchain_core.vectorstores import VectorStore

from argot.document_access import EVERYBODY, Unsaid
from argot.document_writing import DocumentWriter
from argot.errors import DocumentRefusedError
from argot.langchain.documents import (
    Access,
    check_ids,
    source_documents,
    texts_with_metadata,
)
from indexing.errors import IndexingError
from retriever.errors import TenantError
from retriever.langchain.asking import check_known

Written = TypeVar("Written")


class WrittenStore(VectorStore):
    """The writing half of a vector store."""

    access: Access | None
    """Who may see what is added and does not say it; None: nothing is said."""

    tenant: str | None
    """Whose documents are written and deleted; None: each document and each `delete` says it."""

    _writer: DocumentWriter

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
        """Do the same in another thread, as `in_turn` does."""
        return await self.in_turn(partial(self.add_texts, texts, metadatas, ids=ids, **kwargs))

    def add_documents(
        self,
        documents: list[Document],
        *,
        ids: Sequence[str | None] | None = None,
        access: Access | None = None,
        batch_size: int | None = None,  # noqa: ARG002 - LangChain's `index` gives it
        **kwargs: Any,  # noqa: ANN401 - LangChain's signature
    ) -> list[str]:
        """Add documents in the place of those with the same ids.

        Args:
            documents: Their metadata must be plain JSON values.
            ids: One for each, which win over their own; a document with neither gets a new one.
            access: Who may see these: a list of names, or ``"everybody"``. None: as the store was
                told; if it was told nothing, a document that is there keeps its list, and a new one
                is for everybody, and refused once others have lists.
            batch_size: Of no effect; how much is encoded at once goes by tokens.
            kwargs: None; others are refused.

        Returns:
            Their ids, in order.

        Raises:
            TypeError: `ids` or `access` is no list of strings.
            ValueError: one of these is empty or no text, or metadata would not come back as it is.
            DocumentRefusedError: some may not be written, as `put` says; all others are stored.
            IndexingError: some could not be stored; all others are.
            IndexLockedError: another writer does not end.
        """
        check_known(kwargs, ("ids", "access", "batch_size"), of="`add_documents`")
        written, failed = self.put(documents, ids=ids, access=access)
        if failed:
            raise IndexingError(_unstored(failed, of=len(written)))
        return written

    async def aadd_documents(self, documents: list[Document], **kwargs: Any) -> list[str]:  # noqa: ANN401
        """Do the same in another thread, as `in_turn` does."""
        return await self.in_turn(partial(self.add_documents, documents, **kwargs))

    def put(
        self,
        documents: Sequence[Document],
        *,
        ids: Sequence[str | None] | None = None,
        access: Access | None = None,
    ) -> tuple[list[str], dict[str, str]]:
        """Write documents, as `add_documents` does.

        Returns:
            Their ids, in order, and why some could not be stored, by id.

        Raises:
            DocumentRefusedError: a new one does not say who may see it where others do; or one
                names no tenant, one that is not the store's, or has the id of another's document.
                All others are stored.
        """
        said = self.access if access is None else access
        given = source_documents(documents, ids=ids, access=said)
        unsaid = Unsaid.OPEN if said == EVERYBODY else Unsaid.KEEP_OR_REFUSE
        report = self._writer.write(given, unsaid=unsaid, tenant=self.tenant)
        if report.refused:
            raise DocumentRefusedError(_unstored(report.failed, of=len(given)))
        return [document.id for document in given], report.failed

    def delete(
        self,
        ids: list[str] | None = None,
        *,
        tenant: str | None = None,
        **kwargs: Any,  # noqa: ANN401
    ) -> bool:
        """Delete documents; an id that is not there is no error. There are no other arguments.

        Args:
            ids: As they were put in or given out.
            tenant: Whose they are, needed where documents belong to tenants unless the store was
                told; those of others are not there.
            kwargs: None; others are refused.

        Raises:
            TypeError: `ids` is no list of strings.
            ValueError: no ids are given.
            TenantError: no tenant is named where it must be, or another than the store's.
        """
        check_known(kwargs, ("ids", "tenant"), of="`delete`")
        self.take_out(ids, tenant=tenant)
        return True

    async def adelete(self, ids: list[str] | None = None, **kwargs: Any) -> bool:  # noqa: ANN401
        """Do the same in another thread, as `in_turn` does."""
        return await self.in_turn(partial(self.delete, ids, **kwargs))

    def take_out(self, ids: Sequence[str] | None, *, tenant: str | None = None) -> list[str]:
        """Delete documents, as `delete` does; return the ids of those that were there."""
        if ids is None:
            raise ValueError(
                "`ids` must name the documents to delete; got none\n"
                "hint: nothing deletes everything at once; name all ids"
            )
        check_ids(ids)
        if self.tenant is not None and tenant not in (None, self.tenant):
            raise TenantError(
                f"this store deletes documents of tenant {self.tenant!r} only; got {tenant!r}"
            )
        return self._writer.remove(ids, tenant=self.tenant if tenant is None else tenant)

    async def in_turn(self, work: Callable[[], Written]) -> Written:
        """Write in a thread of the store's own, where its writes wait for one another.

        Who is cancelled while waiting for another writer writes nothing; what has begun to write
        goes on to its end.
        """
        return await self._writer.turns.awaited(work)


def _unstored(failed: Mapping[str, str], *, of: int) -> str:
    id_, reason = next(iter(failed.items()))
    return (
        f"{len(failed)} of {of} documents could not be stored, all others are; "
        f"the first is {id_!r}: {reason}"
    )
