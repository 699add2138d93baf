"""Second stages that need no model and can be computed by hand."""

import re
from collections.abc import Sequence

from retriever.stages import Expansion

WORD = re.compile(r"\w+")


class OverlapReranker:
    """Scores a text by the share of the query's words that it has."""

    name = "overlap"

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[str, ...]]] = []
        """What it was asked."""

    def scores(self, query: str, texts: Sequence[str]) -> list[float]:
        if isinstance(texts, str):
            raise ValueError("`texts` must be a list of strings; got one string")  # noqa: TRY004
        self.calls.append((query, tuple(texts)))
        wanted = set(WORD.findall(query.lower()))
        return [
            len(wanted & set(WORD.findall(text.lower()))) / max(1, len(wanted)) for text in texts
        ]


class BackwardsExpander:
    """Widens a query by its words in reverse order, and by the passage that it has been told."""

    name = "backwards"

    def __init__(self, passages: Sequence[str] = ()) -> None:
        self._passages = tuple(passages)

    def expand(self, query: str) -> Expansion:
        if not query.strip():
            return Expansion()
        turned = " ".join(reversed(query.split()))
        others = () if turned == " ".join(query.split()) else (turned,)
        return Expansion(queries=others, passages=self._passages)
