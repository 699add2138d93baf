"""How a LangChain vector store is searched: every method as one search of ours."""

import asyncio
import math
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from langchain_core.documents import Document
from langchain_core.retrievers import LangSmithRetrieverParams
from langchain_core.vectorstores import VectorStore

from argot.document_writing import SOURCE
from argot.langchain.documents import check_ids, document_of, stored_document
from argot.langchain.store_retriever import ArgotStoreRetriever
from indexing.filters import And, AnyOf, Condition, Eq
from retriever.errors import PlanError
from retriever.langchain.asking import check_known
from retriever.langchain.retriever import langsmith_params, narrowed
from retriever.langchain.tracing import trace
from retriever.plan import PlanOptions
from retriever.results import Hit
from retriever.search import Searcher
from retriever.settings import OFF, check_count

OWN = Eq("source", SOURCE)
IDS_PER_READ = 500
CALIBRATED = {"mode": "dense", "rescore": True, "expand": OFF, "rerank": OFF}
"""Only a cosine means the same for every query; a relevance is one, whatever the settings say."""
PLAIN: dict[str, Any] = {"mmr": 1.0, "min_score": -math.inf, "per_document": 0}
"""What [search] may say of other searches; a search for relevance has it only if it is asked to."""
ARGUMENTS = ("filter", "principals", *PlanOptions.__annotations__)
"""What every search takes besides what LangChain names."""

Scored = list[tuple[Document, float]]


class SearchedStore(VectorStore):
    """The reading half of a vector store."""

    @abstractmethod
    def _searcher(self) -> Searcher | None:
        """Return what answers; None: nothing was ever put in."""

    @abstractmethod
    async def _asearcher(self) -> Searcher | None:
        """Return the same; the event loop goes on while it is opened."""

    def similarity_search(self, query: str, k: int = 4, **kwargs: Any) -> list[Document]:  # noqa: ANN401
        """Find the documents that answer a query best."""
        return [document for document, _ in self.similarity_search_with_score(query, k, **kwargs)]

    async def asimilarity_search(self, query: str, k: int = 4, **kwargs: Any) -> list[Document]:  # noqa: ANN401
        """Find the documents that answer a query best; the event loop goes on."""
        found = await self.asimilarity_search_with_score(query, k, **kwargs)
        return [document for document, _ in found]

    def similarity_search_with_score(self, query: str, k: int = 4, **kwargs: Any) -> Scored:  # noqa: ANN401
        """Find documents with the score of the search; higher is better.

        It is a cosine in mode ``dense``, BM25 in mode ``sparse``, and else that of the fusion; with
        a reranker its own and that, weighed and added.
        """
        return _scored(self._search(query, k=k, **kwargs))

    async def asimilarity_search_with_score(self, query: str, k: int = 4, **kwargs: Any) -> Scored:  # noqa: ANN401
        """Find documents with the score of the search; the event loop goes on."""
        return _scored(await self._asearch(query, k=k, **kwargs))

    def similarity_search_by_vector(
        self,
        embedding: list[float],
        k: int = 4,
        **kwargs: Any,  # noqa: ANN401
    ) -> list[Document]:
        """Find the documents nearest to a vector, which is one of the store's `embeddings`.

        Where the index keeps fewer dimensions it is reduced as they are; one of the width that is
        stored is fine too. Options that need the text of a query are errors.
        """
        return [document_of(hit) for hit in self._search_vector(embedding, k=k, **kwargs)]

    async def asimilarity_search_by_vector(
        self,
        embedding: list[float],
        k: int = 4,
        **kwargs: Any,  # noqa: ANN401
    ) -> list[Document]:
        """Find the documents nearest to a vector; the event loop goes on."""
        return [document_of(hit) for hit in await self._asearch_vector(embedding, k=k, **kwargs)]

    def max_marginal_relevance_search(
        self,
        query: str,
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        **kwargs: Any,  # noqa: ANN401
    ) -> list[Document]:
        """Find documents that answer a query and do not repeat each other.

        Args:
            query: In the user's words.
            k: Documents wanted.
            fetch_k: Candidates to choose from, the best ones.
            lambda_mult: In [0, 1]: 1 is relevance alone, 0 difference alone.
            kwargs: As for every search.
        """
        found = self._search(
            query, k=k, **_diverse(kwargs, fetch_k=fetch_k, lambda_mult=lambda_mult)
        )
        return [document_of(hit) for hit in found]

    async def amax_marginal_relevance_search(
        self,
        query: str,
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        **kwargs: Any,  # noqa: ANN401
    ) -> list[Document]:
        """Do the same; the event loop goes on."""
        found = await self._asearch(
            query, k=k, **_diverse(kwargs, fetch_k=fetch_k, lambda_mult=lambda_mult)
        )
        return [document_of(hit) for hit in found]

    def max_marginal_relevance_search_by_vector(
        self,
        embedding: list[float],
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        **kwargs: Any,  # noqa: ANN401
    ) -> list[Document]:
        """Find documents near a vector that do not repeat each other."""
        found = self._search_vector(
            embedding, k=k, **_diverse(kwargs, fetch_k=fetch_k, lambda_mult=lambda_mult)
        )
        return [document_of(hit) for hit in found]

    async def amax_marginal_relevance_search_by_vector(
        self,
        embedding: list[float],
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        **kwargs: Any,  # noqa: ANN401
    ) -> list[Document]:
        """Do the same; the event loop goes on."""
        found = await self._asearch_vector(
            embedding, k=k, **_diverse(kwargs, fetch_k=fetch_k, lambda_mult=lambda_mult)
        )
        return [document_of(hit) for hit in found]

    def get_by_ids(
        self, ids: Sequence[str], /, *, principals: Sequence[str] | None = None
    ) -> list[Document]:
        """Read documents, in the order of the ids; what is not there or not to be seen is missing.

        Args:
            ids: As they were put in or given out.
            principals: Who asks; needed where documents have access lists.
        """
        check_ids(ids)
        searcher = self._searcher()
        if searcher is None:
            return []
        found: dict[str, Document] = {}
        for start in range(0, len(ids), IDS_PER_READ):
            wanted = tuple(ids[start : start + IDS_PER_READ])
            where = And((OWN, AnyOf("document_id", wanted)))
            # while one is replaced, it is there twice
            stored = searcher.payloads(where, limit=2 * len(wanted), principals=principals)
            found.update({payload["document_id"]: stored_document(payload) for payload in stored})
        return [found[id_] for id_ in dict.fromkeys(ids) if id_ in found]

    async def aget_by_ids(
        self, ids: Sequence[str], /, *, principals: Sequence[str] | None = None
    ) -> list[Document]:
        """Do the same in another thread."""
        return await asyncio.to_thread(self.get_by_ids, ids, principals=principals)

    def as_retriever(self, **kwargs: Any) -> ArgotStoreRetriever:  # noqa: ANN401
        """Make a retriever that asks for whom the chain runs, as `ArgotRetriever` does.

        Args:
            kwargs: ``search_type`` is ``similarity``, ``similarity_score_threshold`` or ``mmr``;
                ``search_kwargs`` are arguments of that search.
        """
        tags = kwargs.pop("tags", None) or [*self._get_retriever_tags()]
        return ArgotStoreRetriever(vectorstore=self, tags=tags, **kwargs)

    async def open(self) -> None:
        """Open the index now, so that nothing opens it in the event loop; a search does it too."""
        await self._asearcher()

    def langsmith_params(self) -> LangSmithRetrieverParams:
        """Name index version and encoder, once there is something to search."""
        searcher = self._searcher()
        if searcher is None:
            return LangSmithRetrieverParams(ls_retriever_name="argot")
        return langsmith_params(searcher)

    def _get_retriever_tags(self) -> list[str]:
        # without asking for the embeddings, which would load a model
        return [type(self).__name__]

    def _select_relevance_score_fn(self) -> Callable[[float], float]:
        return relevance

    def _similarity_search_with_relevance_scores(
        self,
        query: str,
        k: int = 4,
        **kwargs: Any,  # noqa: ANN401
    ) -> Scored:
        found = self._search(query, k=k, **_calibrated(kwargs))
        return [(document_of(hit), relevance(hit.score)) for hit in found]

    async def _asimilarity_search_with_relevance_scores(
        self,
        query: str,
        k: int = 4,
        **kwargs: Any,  # noqa: ANN401
    ) -> Scored:
        found = await self._asearch(query, k=k, **_calibrated(kwargs))
        return [(document_of(hit), relevance(hit.score)) for hit in found]

    def _search(self, query: str, **kwargs: Any) -> list[Hit]:  # noqa: ANN401
        asked, searcher = _asked(kwargs), self._searcher()
        return _traced(searcher, searcher.search(query, **asked)) if searcher else []

    async def _asearch(self, query: str, **kwargs: Any) -> list[Hit]:  # noqa: ANN401
        asked, searcher = _asked(kwargs), await self._asearcher()
        return _traced(searcher, await searcher.search_async(query, **asked)) if searcher else []

    def _search_vector(self, vector: list[float], **kwargs: Any) -> list[Hit]:  # noqa: ANN401
        asked, searcher = _asked(kwargs), self._searcher()
        row = np.asarray(vector, dtype=np.float32)
        return _traced(searcher, searcher.search_vector(row, **asked)) if searcher else []

    async def _asearch_vector(self, vector: list[float], **kwargs: Any) -> list[Hit]:  # noqa: ANN401
        asked, searcher = _asked(kwargs), await self._asearcher()
        row = np.asarray(vector, dtype=np.float32)
        if searcher is None:
            return []
        return _traced(searcher, await searcher.search_vector_async(row, **asked))


def relevance(cosine: float) -> float:
    """Bring a cosine to [0, 1]; 0.5 is unrelated."""
    return min(1.0, max(0.0, (1.0 + cosine) / 2.0))


def _asked(arguments: dict[str, Any]) -> dict[str, Any]:
    """Check the arguments of a search, and narrow it to the store's own documents."""
    check_known(arguments, ARGUMENTS, of="a search")
    where: Condition | None = narrowed(OWN, arguments.pop("filter", None))
    return {**arguments, "where": where}


def _calibrated(arguments: dict[str, Any]) -> dict[str, Any]:
    """Ask for cosines; what would give other scores is refused."""
    for name, needed in CALIBRATED.items():
        given = arguments.get(name)
        if given not in (None, needed):
            raise PlanError(
                f"a relevance is a cosine, so `{name}` must be {needed!r}; got {given!r}\n"
                "hint: `similarity_search_with_score` gives the scores of any search"
            )
    return {**PLAIN, **arguments, **CALIBRATED}


def _diverse(arguments: dict[str, Any], *, fetch_k: int, lambda_mult: float) -> dict[str, Any]:
    """Say it as our options, which LangChain's names stand for here."""
    check_count("fetch_k", fetch_k, least=1)
    for ours, theirs in (("depth", "fetch_k"), ("mmr", "lambda_mult")):
        if ours in arguments:
            raise TypeError(f"a diverse search takes `{theirs}` in place of `{ours}`")
    return {**arguments, "depth": fetch_k, "mmr": lambda_mult}


def _traced(searcher: Searcher, hits: list[Hit]) -> list[Hit]:
    trace(searcher, hits)
    return hits


def _scored(hits: Sequence[Hit]) -> Scored:
    return [(document_of(hit), hit.score) for hit in hits]
