"""The ports of what may come before and after a search: expanding the query, reranking the hits."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


class Reranker(Protocol):
    """Reads a query and a text together, and says how well the text answers it."""

    @property
    def name(self) -> str:
        """What explanations, traces and evaluations call it."""

    def scores(self, query: str, texts: Sequence[str]) -> list[float]:
        """Score texts for one query; higher is better, comparable within one query only.

        Args:
            query: In the user's words.
            texts: N candidates, with their context; none may be dropped.

        Returns:
            N finite numbers, in the order of the texts.
        """


@dataclass(frozen=True, slots=True)
class Expansion:
    """What a query was widened by."""

    queries: tuple[str, ...] = ()
    """Other wordings, each searched like the query itself; the rankings are fused."""

    passages: tuple[str, ...] = ()
    """Texts that might answer it (HyDE): the mean of their vectors joins that of the query."""


class QueryExpander(Protocol):
    """Widens a query before it is searched."""

    @property
    def name(self) -> str:
        """What explanations, traces and evaluations call it."""

    def expand(self, query: str) -> Expansion:
        """Widen one query; an empty `Expansion` leaves it as it is."""
