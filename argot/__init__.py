"""Argot: teach your own decoder LLM your company's language, and search your documents with it.

Everything public is here; the packages beside this one are internal.
"""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from argot.ownership import check_packages_are_ours

check_packages_are_ours()

if TYPE_CHECKING:
    from argot.asking import load_chat_model
    from argot.federated import search_together
    from argot.langchain import ArgotEmbeddings, ArgotRetriever
    from argot.langchain.index import ArgotDocumentIndex
    from argot.langchain.sources import ingest_loader
    from argot.langchain.store import ArgotVectorStore
    from argot.project import Project
    from encoder.llm2vec import LLM2VecEncoder as Encoder
    from encoder.shared_weights import EncoderWithGenerator, load_with_generator
    from indexing.filters import And, AnyOf, Eq, HasWords, Not, Or, Range
    from retriever.langchain.reranking import ArgotReranker

__all__ = [
    "And",
    "AnyOf",
    "ArgotDocumentIndex",
    "ArgotEmbeddings",
    "ArgotReranker",
    "ArgotRetriever",
    "ArgotVectorStore",
    "Encoder",
    "EncoderWithGenerator",
    "Eq",
    "HasWords",
    "Not",
    "Or",
    "Project",
    "Range",
    "ingest_loader",
    "load_chat_model",
    "load_with_generator",
    "search_together",
]

# Loaded on first use: `import argot` must not load torch or LangChain.
_HOMES = {
    "And": ("indexing.filters", "And"),
    "AnyOf": ("indexing.filters", "AnyOf"),
    "ArgotDocumentIndex": ("argot.langchain.index", "ArgotDocumentIndex"),
    "ArgotEmbeddings": ("argot.langchain", "ArgotEmbeddings"),
    "ArgotReranker": ("retriever.langchain.reranking", "ArgotReranker"),
    "ArgotRetriever": ("argot.langchain", "ArgotRetriever"),
    "ArgotVectorStore": ("argot.langchain.store", "ArgotVectorStore"),
    "Encoder": ("encoder.llm2vec", "LLM2VecEncoder"),
    "EncoderWithGenerator": ("encoder.shared_weights", "EncoderWithGenerator"),
    "Eq": ("indexing.filters", "Eq"),
    "HasWords": ("indexing.filters", "HasWords"),
    "Not": ("indexing.filters", "Not"),
    "Or": ("indexing.filters", "Or"),
    "Project": ("argot.project", "Project"),
    "Range": ("indexing.filters", "Range"),
    "ingest_loader": ("argot.langchain.sources", "ingest_loader"),
    "load_chat_model": ("argot.asking", "load_chat_model"),
    "load_with_generator": ("encoder.shared_weights", "load_with_generator"),
    "search_together": ("argot.federated", "search_together"),
}

try:
    __version__ = version("argot-search")
except PackageNotFoundError:
    __version__ = "unknown"


def __getattr__(name: str) -> Any:  # noqa: ANN401 - that is what a module attribute is
    if name not in _HOMES:
        raise AttributeError(f"module 'argot' has no attribute {name!r}")
    module, attribute = _HOMES[name]
    return getattr(import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
