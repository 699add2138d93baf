"""Argot as LangChain components: a retriever and embeddings."""

import asyncio
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol, Self

from langchain_core.callbacks import (
    AsyncCallbackManagerForRetrieverRun,
    CallbackManagerForRetrieverRun,
)
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.retrievers import LangSmithRetrieverParams
from langchain_core.tools import BaseTool, create_retriever_tool
from pydantic import ConfigDict, Field, SkipValidation, field_validator

from encoder.base import DenseEncoder
from indexing.filters import And, Condition
from indexing.forks import free_in_children
from retriever.conditions import FieldFilters, condition_of
from retriever.federation import AnySearcher
from retriever.langchain.asking import AskedByConfig
from retriever.langchain.tracing import trace
from retriever.plan import PlanOptions
from retriever.results import Hit
from retriever.settings import Mode

Filter = Condition | FieldFilters | None
"""Condition, or value (or list of values of which one must hold) by field."""


class OpenedSearch(Protocol):
    """A search that can be renewed and closed."""

    @property
    def searcher(self) -> AnySearcher:
        """What answers."""

    def refresh(self) -> bool:
        """Move to what is newest; tell whether there was anything newer."""

    def close(self) -> None:
        """Let the index go."""


class ArgotRetriever(AskedByConfig):
    """Finds chunks with a `Searcher` or a `Federation` and gives them as LangChain documents.

    `filter`, `k`, `mode` and all that a search can be told may also be given to each `invoke`;
    there, a filter narrows the one of the constructor. Any other argument is an error: a dropped
    filter would leak documents.

    Who asks is read from ``config["configurable"]``, and from nowhere else: ``principals``, a list
    of names, and where documents belong to tenants ``tenant``, a name. Over several indexes,
    ``principals`` may also be lists of names by index.

    A document's metadata is that of its source, plus ``score``, ``explanation``, ``chunk_id``,
    ``document_id``, ``source``, ``title``, ``uri``, ``page``, ``span`` and ``heading_path``, which
    win over the source's own of the same name. Where neighbours or sections were asked for, it has
    ``context`` too: the text to read around the chunk. Over several indexes, ``index`` names its.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    # Fields, not private attributes: `configurable_fields` rebuilds the object from its fields.
    searcher: AnySearcher = Field(exclude=True, repr=False)
    """What answers, from one index or from several."""

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

    options: dict[str, Any] = Field(default_factory=dict)
    """What else each search does otherwise than the searcher's settings, such as ``rerank``."""

    @field_validator("filter")
    @classmethod
    def _check_filter(cls, given: Filter) -> Filter:
        condition_of(given)
        return given

    @field_validator("options")
    @classmethod
    def _check_options(cls, given: dict[str, Any]) -> dict[str, Any]:
        unknown = sorted(given.keys() - PlanOptions.__annotations__.keys())
        if unknown:
            known = ", ".join(PlanOptions.__annotations__)
            raise ValueError(f"`options` may have {known}; got {', '.join(unknown)}")
        return given

    @classmethod
    def over(cls, search: OpenedSearch, **options: Any) -> Self:  # noqa: ANN401
        """Make a retriever of an open search; closing it, or a wrong option, closes the search."""
        try:
            return cls(
                searcher=search.searcher,
                on_close=search.close,
                on_refresh=search.refresh,
                **options,
            )
        except BaseException:
            search.close()
            raise

    def as_search_tool(
        self,
        name: str = "search_documents",
        description: str = "Search the company's documents. The query is a question or keywords.",
    ) -> BaseTool:
        """Make a tool for an agent: its content are the texts, its artifact the documents.

        It searches for whom the agent runs: the principals are those of the agent's own config,
        and the model that calls the tool can name nobody.

        Args:
            name: As the model sees it.
            description: Likewise.
        """
        return create_retriever_tool(
            self, name, description, response_format="content_and_artifact"
        )

    def refresh(self) -> bool:
        """Move to the index version that is live now, and load its encoder.

        A retriever that follows does it by itself, in the next search.

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

    def __exit__(self, *_: object) -> None:
        self.close()

    def _get_relevant_documents(
        self,
        query: str,
        *,
        run_manager: CallbackManagerForRetrieverRun,  # noqa: ARG002 - LangChain passes it
        principals: Sequence[str] | None = None,
        filter: Filter = None,  # noqa: A002 - LangChain's name
        **options: Any,  # noqa: ANN401 - checked against `PlanOptions`
    ) -> list[Document]:
        resolved = self._resolved(filter, options)
        hits = self.searcher.search(query, principals=principals, **resolved)
        return self._found(hits)

    async def _aget_relevant_documents(
        self,
        query: str,
        *,
        run_manager: AsyncCallbackManagerForRetrieverRun,  # noqa: ARG002 - LangChain passes it
        principals: Sequence[str] | None = None,
        filter: Filter = None,  # noqa: A002 - LangChain's name
        **options: Any,  # noqa: ANN401 - checked against `PlanOptions`
    ) -> list[Document]:
        resolved = self._resolved(filter, options)
        hits = await self.searcher.search_async(query, principals=principals, **resolved)
        return self._found(hits)

    def _resolved(self, given: Filter, options: dict[str, Any]) -> dict[str, Any]:
        said = {"k": self.k, "mode": self.mode}, options
        chosen = {n: value for part in said for n, value in part.items() if value is not None}
        return {**self.options, **chosen, "where": narrowed(self.filter, given)}

    def _found(self, hits: Sequence[Hit]) -> list[Document]:
        trace(self.searcher, hits)
        return [_document(hit) for hit in hits]

    def _bound(self, said: dict[str, Any]) -> Self:
        both = narrowed(self.filter, said.pop("filter", None))
        own: dict[str, Any] = {name: said.pop(name) for name in ("k", "mode") if name in said}
        return self.model_copy(update={**own, "filter": both, "options": {**self.options, **said}})

    def _argument_names(self) -> Iterable[str]:
        return ("filter", *PlanOptions.__annotations__)

    def _get_ls_params(self, **_kwargs: object) -> LangSmithRetrieverParams:
        """Name index version and encoder in every trace."""
        return langsmith_params(self.searcher)


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
        self._lock = free_in_children(threading.Lock())

    @property
    def encoder(self) -> DenseEncoder:
        """What turns texts into vectors, at their full width."""
        return self._encoder

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


def langsmith_params(searcher: AnySearcher) -> LangSmithRetrieverParams:
    """Say to LangSmith which index version answers, and which encoder reads the queries."""
    return LangSmithRetrieverParams(
        ls_retriever_name="argot",
        ls_vector_store_provider=f"argot/{searcher.version_name}",
        ls_embedding_provider="argot",
        ls_embedding_model=searcher.encoder_fingerprint,
    )


def narrowed(*filters: Filter) -> Condition | None:
    """Ask for all of the filters at once; None for none."""
    conditions = tuple(found for given in filters if (found := condition_of(given)) is not None)
    return And(conditions) if len(conditions) > 1 else next(iter(conditions), None)


def _document(hit: Hit) -> Document:
    ours = {
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
        **({"index": hit.index} if hit.index else {}),
        **({"context": hit.context} if hit.section or hit.before or hit.after else {}),
    }
    # What we do not know does not hide what the document's own metadata say.
    empty = [name for name, value in ours.items() if value in (None, "") and name in hit.metadata]
    metadata = {**hit.metadata, **ours, **{name: hit.metadata[name] for name in empty}}
    return Document(id=hit.id, page_content=hit.text, metadata=metadata)
