"""A vector store as a retriever that is told who asks by the configuration."""

from collections.abc import Iterable
from typing import Any, Protocol, Self, runtime_checkable

from langchain_core.callbacks import (
    AsyncCallbackManagerForRetrieverRun,
    CallbackManagerForRetrieverRun,
)
from langchain_core.documents import Document
from langchain_core.retrievers import LangSmithRetrieverParams
from langchain_core.runnables import RunnableConfig
from langchain_core.vectorstores import VectorStoreRetriever
from pydantic import ConfigDict, field_validator

from retriever.langchain.asking import WHO_ASKS, AskedByConfig, check_known
from retriever.langchain.retriever import narrowed
from retriever.plan import PlanOptions

OF_SEARCH_TYPES = ("score_threshold", "fetch_k", "lambda_mult")


@runtime_checkable
class NamesItself(Protocol):
    """A vector store that says what LangSmith is told of it, once it is open."""

    async def open(self) -> None:
        """Open the index in another thread."""

    def langsmith_params(self) -> LangSmithRetrieverParams:
        """Name index version and encoder."""


class ArgotStoreRetriever(AskedByConfig, VectorStoreRetriever):
    """What `ArgotVectorStore.as_retriever` gives.

    Who asks is read from ``config["configurable"]``; a filter given to `invoke` narrows the one of
    ``search_kwargs``.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    k: int | None = None
    """Documents wanted, >= 1; None: as ``search_kwargs`` say."""

    @field_validator("search_kwargs")
    @classmethod
    def _check_search_kwargs(cls, given: dict[str, Any]) -> dict[str, Any]:
        known = ("filter", *PlanOptions.__annotations__, *OF_SEARCH_TYPES)
        check_known(given, known, of="`search_kwargs`", hint=WHO_ASKS)
        return given

    async def ainvoke(
        self,
        input: str,  # noqa: A002 - LangChain's name
        config: RunnableConfig | None = None,
        **kwargs: object,
    ) -> list[Document]:
        """Find documents for a query without holding up the event loop."""
        # LangChain asks in the event loop what LangSmith is told.
        if isinstance(self.vectorstore, NamesItself):
            await self.vectorstore.open()
        return await super().ainvoke(input, config, **kwargs)

    def _get_relevant_documents(
        self,
        query: str,
        *,
        run_manager: CallbackManagerForRetrieverRun,
        **kwargs: Any,  # noqa: ANN401 - LangChain's signature
    ) -> list[Document]:
        return super()._get_relevant_documents(
            query, run_manager=run_manager, **self._narrowed(kwargs)
        )

    async def _aget_relevant_documents(
        self,
        query: str,
        *,
        run_manager: AsyncCallbackManagerForRetrieverRun,
        **kwargs: Any,  # noqa: ANN401 - LangChain's signature
    ) -> list[Document]:
        return await super()._aget_relevant_documents(
            query, run_manager=run_manager, **self._narrowed(kwargs)
        )

    def _narrowed(self, given: dict[str, Any]) -> dict[str, Any]:
        """Keep the filter of the constructor, which LangChain would replace."""
        both = narrowed(self.search_kwargs.get("filter"), given.get("filter"))
        wanted = {} if self.k is None else {"k": self.k}
        return {**wanted, **given, "filter": both}

    def _bound(self, said: dict[str, Any]) -> Self:
        both = narrowed(self.search_kwargs.get("filter"), said.pop("filter", None))
        own = {"k": said.pop("k")} if "k" in said else {}
        return self.model_copy(
            update={**own, "search_kwargs": {**self.search_kwargs, **said, "filter": both}}
        )

    def _argument_names(self) -> Iterable[str]:
        return ("filter", *PlanOptions.__annotations__, *OF_SEARCH_TYPES)

    def _get_ls_params(self, **_kwargs: object) -> LangSmithRetrieverParams:
        # LangChain's own would load the embeddings to name their class.
        if isinstance(self.vectorstore, NamesItself):
            return self.vectorstore.langsmith_params()
        return LangSmithRetrieverParams(ls_retriever_name="argot")
