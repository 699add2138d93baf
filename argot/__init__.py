"""Argot: teach your own decoder LLM your company's language, and search your documents with it.

Everything public is here; the packages beside this one are internal.
"""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from argot.ownership import check_packages_are_ours

check_packages_are_ours()

if TYPE_CHECKING:
    from argot.langchain import ArgotEmbeddings, ArgotRetriever
    from argot.project import Project
    from encoder.llm2vec import LLM2VecEncoder as Encoder
    from encoder.shared_weights import EncoderWithGenerator, load_with_generator

__all__ = [
    "ArgotEmbeddings",
    "ArgotRetriever",
    "Encoder",
    "EncoderWithGenerator",
    "Project",
    "load_with_generator",
]

# Loaded on first use: `import argot` must not load torch or LangChain.
_HOMES = {
    "ArgotEmbeddings": ("argot.langchain", "ArgotEmbeddings"),
    "ArgotRetriever": ("argot.langchain", "ArgotRetriever"),
    "Encoder": ("encoder.llm2vec", "LLM2VecEncoder"),
    "EncoderWithGenerator": ("encoder.shared_weights", "EncoderWithGenerator"),
    "Project": ("argot.project", "Project"),
    "load_with_generator": ("encoder.shared_weights", "load_with_generator"),
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
