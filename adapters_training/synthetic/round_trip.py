"""Keep the written queries that find their passage again: they are about it, and not about others.

Source: Dai et al. 2022, arXiv:2209.11755, round-trip consistency. They keep a query when a
retriever trained on all of them ranks its passage first; ours is BM25 and the encoder as it stands.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from adapters_training.pairs import Pair
from adapters_training.ranking import Ranker
from adapters_training.settings.synthetic import SyntheticSettings
from adapters_training.synthetic.written import WrittenQueries, WrittenQuery

NOT_FOUND = "does not find its passage"
EXAMPLES_SHOWN = 5
PASSAGE_CHARS_SHOWN = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class SyntheticReport:
    """How many queries were written, how many were kept, and why the rest fell."""

    passages: int = 0
    """How many were written for."""

    written: int = 0
    kept: int = 0
    fell: dict[str, int] = field(default_factory=dict)
    """How many fell, by reason, the most frequent first; with ``kept`` they make ``written``."""

    kept_examples: tuple[tuple[str, str], ...] = ()
    """Some queries, each with the beginning of its passage."""

    fallen_examples: dict[str, str] = field(default_factory=dict)
    """One for each reason."""

    seconds: float = 0.0
    """Of writing; little where a run was resumed."""

    def to_dict(self) -> dict[str, Any]:
        """Turn the report into JSON values."""
        return {**asdict(self), "kept_examples": [list(pair) for pair in self.kept_examples]}


def keep_found(
    written: WrittenQueries,
    passages: Sequence[str],
    *,
    rankers: Sequence[Ranker],
    settings: SyntheticSettings,
) -> tuple[list[Pair], SyntheticReport]:
    """Make pairs of the queries whose passage is among the first that are found for them.

    Args:
        written: For some of ``passages``.
        passages: All there are, in the rankers' order.
        rankers: Such as BM25 and the current encoder; none: every query is kept.
        settings: ``keep_rank`` and ``filter``.

    Returns:
        Pairs in the order of their passages, and the report.
    """
    queries = written.queries
    found = found_again(queries, passages, rankers=rankers, settings=settings)
    kept = [query for query, is_found in zip(queries, found, strict=True) if is_found]
    lost = [q.query for q, is_found in zip(queries, found, strict=True) if not is_found]
    fell = {**written.unfit, **({NOT_FOUND: tuple(lost)} if lost else {})}
    report = SyntheticReport(
        passages=written.passages,
        written=written.written,
        kept=len(kept),
        fell=dict(Counter({reason: len(texts) for reason, texts in fell.items()}).most_common()),
        kept_examples=tuple(
            (query.query, passages[query.passage][:PASSAGE_CHARS_SHOWN])
            for query in kept[:: max(1, len(kept) // EXAMPLES_SHOWN)][:EXAMPLES_SHOWN]
        ),
        fallen_examples={reason: texts[0] for reason, texts in fell.items()},
        seconds=round(written.seconds, 1),
    )
    pairs = [
        Pair(query=q.query, positive=passages[q.passage], set="synthetic", origin="synthetic")
        for q in kept
    ]
    return pairs, report


def found_again(
    queries: Sequence[WrittenQuery],
    passages: Sequence[str],
    *,
    rankers: Sequence[Ranker],
    settings: SyntheticSettings,
) -> npt.NDArray[np.bool_]:
    """Tell for each query whether its passage, or its twin of the same text, is found.

    Returns:
        ``[Q]``; all True without rankers.
    """
    if not rankers or not queries:
        return np.ones(len(queries), dtype=np.bool_)
    first: dict[str, int] = {}
    text_ids = np.array([first.setdefault(text, len(first)) for text in passages])
    own = text_ids[[query.passage for query in queries]]
    texts = [query.query for query in queries]
    k = min(settings.keep_rank, len(passages))
    votes = np.zeros(len(queries), dtype=np.int64)
    for ranker in rankers:
        ranking = ranker.rank(texts, k=k)
        # A passage that shares no word with the query has a place among the first by chance.
        hits = (text_ids[ranking.positions] == own[:, None]) & (ranking.scores > 0)
        votes += hits.any(axis=1)
    enough = 1 if settings.filter == "either" else len(rankers)
    return votes >= enough
