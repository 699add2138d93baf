"""Timers around what a `Searcher` is given, so that the product needs none of its own."""

from collections.abc import Callable
from time import perf_counter
from typing import ParamSpec, TypeVar

from encoder.base import DenseEncoder, SparseEncoder
from indexing.versions.published_reader import PublishedStore

P = ParamSpec("P")
R = TypeVar("R")


class Stopwatch:
    """Adds up the seconds of one search by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def timed(self, stage: str, call: Callable[P, R], *, once: bool = False) -> Callable[P, R]:
        """Time a function; with ``once`` only its first call in a search that has no such time."""

        def timing(*args: P.args, **kwargs: P.kwargs) -> R:
            if once and stage in self.seconds:
                return call(*args, **kwargs)
            began = perf_counter()
            answer = call(*args, **kwargs)
            self.seconds[stage] = self.seconds.get(stage, 0.0) + perf_counter() - began
            return answer

        return timing


class TimedEncoder:
    """A dense encoder whose queries are timed."""

    def __init__(self, dense: DenseEncoder, watch: Stopwatch) -> None:
        self.fingerprint, self.dimensions = dense.fingerprint, dense.dimensions
        self.encode_documents = dense.encode_documents
        self.encode_queries = watch.timed("encode", dense.encode_queries)


class TimedTerms:
    """A sparse encoder whose query is timed, and not the hits that are explained with it."""

    def __init__(self, sparse: SparseEncoder, watch: Stopwatch) -> None:
        self.encode_documents, self.terms = sparse.encode_documents, sparse.terms
        self.encode_queries = watch.timed("sparse", sparse.encode_queries, once=True)


def time_store(store: PublishedStore, watch: Stopwatch) -> None:
    """Time what a search asks of an open index."""
    store.search_dense = watch.timed("dense", store.search_dense)  # type: ignore[method-assign]
    store.search_sparse = watch.timed("sparse", store.search_sparse)  # type: ignore[method-assign]
    store.count = watch.timed("access", store.count)  # type: ignore[method-assign]
