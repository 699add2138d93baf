"""A reranker as a LangChain document compressor, for `ContextualCompressionRetriever` and alike."""

import asyncio
import math
from collections.abc import Sequence

from langchain_core.callbacks import Callbacks
from langchain_core.documents import BaseDocumentCompressor, Document
from pydantic import ConfigDict, Field, SkipValidation, field_validator

from retriever.stages import Reranker


class ArgotReranker(BaseDocumentCompressor):
    """Puts documents that were found in the order in which they answer the query.

    What comes back are copies, with the score under ``relevance_score`` in their metadata. No
    document is added, so none is seen that the retriever before did not show.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    # a protocol: pydantic could only ask for its class
    reranker: SkipValidation[Reranker] = Field(exclude=True, repr=False)
    """Any second stage, such as a cross-encoder or the LLM itself."""

    top_n: int | None = Field(default=None, ge=1)
    """Documents to keep, >= 1; None keeps all."""

    @field_validator("reranker")
    @classmethod
    def _check_reranker(cls, given: Reranker) -> Reranker:
        if not callable(getattr(given, "scores", None)):
            raise ValueError(  # noqa: TRY004 - pydantic takes no TypeError for its own
                f"`reranker` must be a loaded one, with `scores(query, texts)`; got {given!r}\n"
                "hint: CrossEncoder.load(FOLDER) gives one"
            )
        return given

    def compress_documents(
        self,
        documents: Sequence[Document],
        query: str,
        callbacks: Callbacks | None = None,  # noqa: ARG002 - LangChain's signature
    ) -> list[Document]:
        """Order documents by how well they answer the query, equal scores as they came.

        Raises:
            ValueError: the reranker gave a score for not every document, or one that is no number.
        """
        if not documents:
            return []
        scores = self.reranker.scores(query, [document.page_content for document in documents])
        if len(scores) != len(documents) or not all(map(math.isfinite, scores)):
            raise ValueError(
                f"a reranker must give {len(documents)} finite scores, one for each document; "
                f"{self.reranker.name!r} gave {scores!r}"
            )
        best = sorted(range(len(documents)), key=lambda row: -scores[row])[: self.top_n]
        return [_scored(documents[row], scores[row]) for row in best]

    async def acompress_documents(
        self,
        documents: Sequence[Document],
        query: str,
        callbacks: Callbacks | None = None,
    ) -> list[Document]:
        """Do the same in another thread; the event loop goes on."""
        return await asyncio.to_thread(self.compress_documents, documents, query, callbacks)


def _scored(document: Document, score: float) -> Document:
    metadata = {**document.metadata, "relevance_score": float(score)}
    return document.model_copy(update={"metadata": metadata})
