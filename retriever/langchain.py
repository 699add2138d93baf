"""Argot as LangChain components: a retriever and embeddings."""

import asyncio
import threading
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Self, TypedDict, Unpack, cast

from langchain_core.callbacks import (
    AsyncCallbackManagerForRetrieverRun,
    CallbackManagerForRetrieverRun,
)
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.retrievers import BaseRetriever, LangSmithRetrieverParams
from langchain_core.runnables import RunnableConfig, ensure_config
from pydantic import ConfigDict, Field, SkipValidation, field_validator

from encoder.base import DenseEncoder
from indexing.filters import And, Condition
from retriever.conditions import FieldFilters, condition_of
from retriever.results import Hit
from retriever.search import Searcher
from retriever.settings import Mode

Filter = Condition | FieldFilters | None
"""Condition, or value (or list of values of which one must hold) by field."""


class _InvokeArguments(TypedDict, total=False):
    k: int | None
    mode: Mode | None
    filter: Filter


class _SearchArguments(TypedDict):
    k: int | None
    mode: Mode | None
    where: Condition | None


class ArgotRetriever(BaseRetriever):
    """Finds chunks with a `Searcher` and gives them as LangChain documents.

    `k`, `mode` and `filter` may also be given to each `invoke`; there, a filter narrows the one
    of the constructor. Any other argument is an error: a dropped filter would leak documents.

    Who asks is read from ``config["configurable"]["principals"]``, a list of names, and from
    nowhere else.

    A document's metadata is that of its source, plus ``score``, ``explanation``, ``chunk_id``,
    ``document_id``, ``source``, ``title``, ``uri``, ``page``, ``span`` and ``heading_path``, which
    win over the source's own of the same name.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    # Fields, not private attributes: `configurable_fields` rebuilds the object from its fields.
    searcher: Searcher = Field(exclude=True, repr=False)
    """What answers."""

    on_close: Callable[[], None] | None = Field(default=None, exclude=True, repr=False)
    """Called by `close`; releases what the searcher reads from."""

    on_refresh: Callable[[], bool] | None = Field(default=None, exclude=True, repr=False)
    """Called by `refresh`; moves the searcher to what is newest."""

    k: int | None = None
    """Documents wanted, >= 1; None for the searcher's setting."""

    mode: Mode | None = None
    """``dense``, ``sparse`` or ``hybrid``; None for the searcher's setting."""

    # Pydantic would rebuild the conditions, or make one of a mapping that looks like one.
    filter: SkipValidation[Filter] = None
    """Condition, or value (or list of values of which one must hold) by field."""

    @field_validator("filter")
    @classmethod
    def _check_filter(cls, given: Filter) -> Filter:
        condition_of(given)
        return given

    def invoke(
        self,
        input: str,  # noqa: A002 - LangChain's name
        config: RunnableConfig | None = None,
        **kwargs: object,
    ) -> list[Document]:
        """Find documents for a query; see the class for `kwargs`."""
        _check_arguments(kwargs)
        return super().invoke(input, config, **kwargs, principals=_principals(config))

    async def ainvoke(
        self,
        input: str,  # noqa: A002 - LangChain's name
        config: RunnableConfig | None = None,
        **kwargs: object,
    ) -> list[Document]:
        """Find documents for a query without holding up the event loop."""
        _check_arguments(kwargs)
        return await super().ainvoke(input, config, **kwargs, principals=_principals(config))

    def refresh(self) -> bool:
        """Move to the index version that is live now, and to its encoder; searches go on meanwhile.

        What is ingested into the version that is open is found without this.

        Returns:
            Whether there was anything newer.
        """
        return self.on_refresh is not None and self.on_refresh()

    def close(self) -> None:
        """Release the index, if this retriever was given the means to."""
        if self.on_close is not None:
            self.on_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _get_relevant_documents(
        self,
        query: str,
        *,
        run_manager: CallbackManagerForRetrieverRun,  # noqa: ARG002 - LangChain passes it
        principals: Sequence[str] | None = None,
        **arguments: Unpack[_InvokeArguments],
    ) -> list[Document]:
        resolved = self._resolved(**arguments)
        hits = self.searcher.search(query, principals=principals, **resolved)
        return [_document(hit) for hit in hits]

    async def _aget_relevant_documents(
        self,
        query: str,
        *,
        run_manager: AsyncCallbackManagerForRetrieverRun,  # noqa: ARG002 - LangChain passes it
        principals: Sequence[str] | None = None,
        **arguments: Unpack[_InvokeArguments],
    ) -> list[Document]:
        resolved = self._resolved(**arguments)
        hits = await self.searcher.search_async(query, principals=principals, **resolved)
        return [_document(hit) for hit in hits]

    def _resolved(self, **arguments: Unpack[_InvokeArguments]) -> _SearchArguments:
        k, mode = arguments.get("k"), arguments.get("mode")
        filters = map(condition_of, (self.filter, arguments.get("filter")))
        conditions = tuple(condition for condition in filters if condition is not None)
        return {
            "k": self.k if k is None else k,
            "mode": self.mode if mode is None else mode,
            "where": And(conditions) if len(conditions) > 1 else next(iter(conditions), None),
        }

    def _get_ls_params(self, **_kwargs: object) -> LangSmithRetrieverParams:
        """Name index version and encoder in every trace."""
        return LangSmithRetrieverParams(
            ls_retriever_name="argot",
            ls_vector_store_provider=f"argot/{self.searcher.version_name}",
            ls_embedding_provider="argot",
            ls_embedding_model=self.searcher.encoder_fingerprint,
        )


class ArgotEmbeddings(Embeddings):
    """A dense encoder as LangChain embeddings; threads take turns.

    Args:
        encoder: What turns texts into vectors.
        dimensions: Width to truncate to; None for the full width.

    Raises:
        ValueError: `dimensions` is below 1 or above the full width.
    """

    def __init__(self, encoder: DenseEncoder, *, dimensions: int | None = None) -> None:
        if dimensions is not None and not 1 <= dimensions <= encoder.dimensions:
            raise ValueError(
                f"`dimensions` must be from 1 to {encoder.dimensions}, the encoder's full width; "
                f"got {dimensions}"
            )
        self._encoder = encoder
        self._dimensions = dimensions
        self._lock = threading.Lock()

    @property
    def dimensions(self) -> int:
        """Width of the vectors."""
        return self._encoder.dimensions if self._dimensions is None else self._dimensions

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Encode texts to be searched: N lists of D numbers, unit norm."""
        if not texts:
            return []
        with self._lock:
            vectors = self._encoder.encode_documents(texts, dimensions=self._dimensions)
        rows: list[list[float]] = vectors.tolist()
        return rows

    def embed_query(self, text: str) -> list[float]:
        """Encode what is searched for: D numbers, unit norm."""
        with self._lock:
            vectors = self._encoder.encode_queries([text], dimensions=self._dimensions)
        row: list[float] = vectors[0].tolist()
        return row

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        """Encode texts to be searched, in another thread."""
        return await asyncio.to_thread(self.embed_documents, texts)

    async def aembed_query(self, text: str) -> list[float]:
        """Encode what is searched for, in another thread."""
        return await asyncio.to_thread(self.embed_query, text)


def _check_arguments(arguments: Iterable[str]) -> None:
    known = tuple(_InvokeArguments.__annotations__)
    # run_id is LangChain's own
    unknown = [name for name in arguments if name not in (*known, "run_id")]
    if unknown:
        raise TypeError(
            f"`invoke` takes {', '.join(known)}; got {', '.join(unknown)}\n"
            'hint: who asks is given as `config={"configurable": {"principals": [...]}}`'
        )


def _principals(config: RunnableConfig | None) -> Sequence[str] | None:
    # Read here, at the entrance: further in, a direct call no longer sees `configurable`.
    given = ensure_config(config).get("configurable", {}).get("principals")
    return cast("Sequence[str] | None", given)  # the searcher checks it


def _document(hit: Hit) -> Document:
    return Document(
        id=hit.id,
        page_content=hit.text,
        metadata={
            **hit.metadata,
            "score": hit.score,
            "explanation": dict(hit.explanation),
            "chunk_id": hit.id,
            "document_id": hit.document_id,
            "source": hit.source,
            "title": hit.title,
            "uri": hit.uri,
            "page": hit.page,
            "span": list(hit.span),
            "heading_path": list(hit.heading_path),
        },
    )
