"""A project as a LangChain document index: what `langchain_core.indexing.index` fills."""

import asyncio
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Self

from langchain_core.callbacks import (
    AsyncCallbackManagerForRetrieverRun,
    CallbackManagerForRetrieverRun,
)
from langchain_core.documents import Document
from langchain_core.indexing.base import DeleteResponse, DocumentIndex, UpsertResponse
from langchain_core.retrievers import LangSmithRetrieverParams
from langchain_core.runnables import RunnableConfig
from pydantic import ConfigDict, Field, SkipValidation, field_validator

from argot.langchain.searching import ARGUMENTS
from argot.langchain.store import ArgotVectorStore
from argot.project import Project
from retriever.langchain.asking import AskedByConfig, check_known
from retriever.langchain.retriever import Filter, narrowed
from retriever.plan import PlanOptions

OF_STORE = ("embedding", "mode", "access", "tenant")
"""Options that the store takes."""


class ArgotDocumentIndex(AskedByConfig, DocumentIndex):
    """The documents that programs put into a project, as an index that is also a retriever.

    It has what `ArgotVectorStore` has of the same project. Documents come back as they were put in.
    Who asks is read from ``config["configurable"]``, as by `ArgotRetriever`.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    store: ArgotVectorStore = Field(exclude=True, repr=False)
    """Where the documents are."""

    k: int = Field(default=10, ge=1)
    """Documents wanted of a search, >= 1."""

    filter: SkipValidation[Filter] = None
    """Narrows every search."""

    options: dict[str, Any] = Field(default_factory=dict)
    """What else each search does otherwise than the settings, such as ``rerank``."""

    @field_validator("options")
    @classmethod
    def _check_options(cls, given: dict[str, Any]) -> dict[str, Any]:
        check_known(given, PlanOptions.__annotations__.keys() - {"k"}, of="`options`")
        return given

    @classmethod
    def from_project(cls, project: Project | str | Path, **options: Any) -> Self:  # noqa: ANN401
        """Make an index over a project; ``close`` it, or use it in a ``with``.

        Args:
            project: A project, or its folder.
            options: ``k`` and ``filter``; ``embedding``, ``mode``, ``access`` and ``tenant`` as for
                `ArgotVectorStore`.
        """
        of_store = {name: options.pop(name) for name in OF_STORE if name in options}
        return cls(store=ArgotVectorStore(project, **of_store), **options)

    def upsert(self, items: Sequence[Document], /, **kwargs: Any) -> UpsertResponse:  # noqa: ANN401
        """Add documents in the place of those with the same ids; one without an id gets a new one.

        ``access``, a list of names or ``"everybody"``, says who may see them, instead of what the
        store was told. Where neither says it, a document that is there keeps its list.

        Raises:
            DocumentRefusedError: some may not be written, as `ArgotVectorStore.put` says; all
                others are stored.
        """
        check_known(kwargs, ("access",), of="`upsert`")
        written, failed = self.store.put(items, access=kwargs.get("access"))
        ids = dict.fromkeys(written)
        return {"succeeded": [id_ for id_ in ids if id_ not in failed], "failed": list(failed)}

    async def aupsert(self, items: Sequence[Document], /, **kwargs: Any) -> UpsertResponse:  # noqa: ANN401
        """Do the same in another thread."""
        return await self.store.in_turn(partial(self.upsert, items, **kwargs))

    def delete(self, ids: list[str] | None = None, **kwargs: Any) -> DeleteResponse:  # noqa: ANN401
        """Delete documents; an id that is not there is no failure. There are no other arguments.

        ``tenant`` says whose they are, as for `ArgotVectorStore.delete`. Without ids it is a
        ValueError.
        """
        check_known(kwargs, ("ids", "tenant"), of="`delete`")
        gone = self.store.take_out(ids, tenant=kwargs.get("tenant"))
        return {"num_deleted": len(gone), "succeeded": gone, "failed": [], "num_failed": 0}

    async def adelete(self, ids: list[str] | None = None, **kwargs: Any) -> DeleteResponse:  # noqa: ANN401
        """Do the same in another thread."""
        return await self.store.in_turn(partial(self.delete, ids, **kwargs))

    def get(self, ids: Sequence[str], /, **kwargs: Any) -> list[Document]:  # noqa: ANN401
        """Read documents, in the order of the ids; what is not there or not to be seen is missing.

        ``principals`` says who asks; needed where documents have access lists.
        """
        check_known(kwargs, ("principals",), of="`get`")
        return self.store.get_by_ids(ids, **kwargs)

    async def aget(self, ids: Sequence[str], /, **kwargs: Any) -> list[Document]:  # noqa: ANN401
        """Do the same in another thread."""
        return await asyncio.to_thread(self.get, ids, **kwargs)

    def close(self) -> None:
        """Let the index go."""
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def ainvoke(
        self,
        input: str,  # noqa: A002 - LangChain's name
        config: RunnableConfig | None = None,
        **kwargs: object,
    ) -> list[Document]:
        """Find documents for a query without holding up the event loop."""
        # LangChain asks in the event loop what LangSmith is told.
        await self.store.open()
        return await super().ainvoke(input, config, **kwargs)

    def _get_relevant_documents(
        self,
        query: str,
        *,
        run_manager: CallbackManagerForRetrieverRun,  # noqa: ARG002 - LangChain passes it
        **arguments: Any,  # noqa: ANN401 - LangChain's signature
    ) -> list[Document]:
        return self.store.similarity_search(query, **self._asked(arguments))

    async def _aget_relevant_documents(
        self,
        query: str,
        *,
        run_manager: AsyncCallbackManagerForRetrieverRun,  # noqa: ARG002 - LangChain passes it
        **arguments: Any,  # noqa: ANN401 - LangChain's signature
    ) -> list[Document]:
        return await self.store.asimilarity_search(query, **self._asked(arguments))

    def _asked(self, arguments: dict[str, Any]) -> dict[str, Any]:
        both, k = narrowed(self.filter, arguments.get("filter")), arguments.get("k")
        wanted = self.k if k is None else k
        said = {name: value for name, value in arguments.items() if value is not None}
        return {**self.options, **said, "k": wanted, "filter": both}

    def _bound(self, said: dict[str, Any]) -> Self:
        both = narrowed(self.filter, said.pop("filter", None))
        update = {"k": said.pop("k", self.k), "filter": both}
        return self.model_copy(update={**update, "options": {**self.options, **said}})

    def _get_ls_params(self, **_kwargs: object) -> LangSmithRetrieverParams:
        return self.store.langsmith_params()

    def _argument_names(self) -> Iterable[str]:
        return [name for name in ARGUMENTS if name != "principals"]
