"""Queries that a model wrote, sorted out from what else it wrote."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from adapters_training.synthetic.cleaning import generic_queries, why_unfit
from adapters_training.synthetic.lines import Lines
from encoder.line_cleaning import normalize, tidy


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenQuery:
    """A query and what it was written for."""

    query: str
    passage: int
    """Position in the passages that were given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenQueries:
    """What was written for some passages, before it is tried on an index of all of them."""

    passages: int
    """How many were written for."""

    written: int
    """Lines that the model wrote."""

    queries: tuple[WrittenQuery, ...]
    """Those that are fit, in the order of the passages."""

    unfit: Mapping[str, tuple[str, ...]]
    """The others, by what speaks against them."""

    seconds: float
    """Time that it took, a restart's alone."""


def clean_lines(
    lines: Mapping[int, tuple[str, Lines]], *, prompted: Sequence[str]
) -> WrittenQueries:
    """Tidy what was written, and sort out what is no query or not specific to one passage.

    Args:
        lines: By position of the passage: its text, as the model read it, and what was written.
        prompted: The instruction and the queries of the prompt's examples.
    """
    unfit: dict[str, list[str]] = defaultdict(list)
    fit: list[WrittenQuery] = []
    for position, (text, found) in lines.items():
        seen: set[str] = set()
        for line in found:
            query = tidy(line or "")
            reason = (
                "did not end" if line is None else why_unfit(query, text, prompted=prompted)
            ) or ("duplicate" if normalize(query) in seen else None)
            if reason:
                unfit[reason].append(query)
            else:
                seen.add(normalize(query))
                fit.append(WrittenQuery(query=query, passage=position))
    generic = generic_queries([q.query for q in fit], [q.passage for q in fit])
    if generic:
        unfit["fits several passages"] = [fit[i].query for i in sorted(generic)]
    return WrittenQueries(
        passages=len(lines),
        written=sum(len(found) for _, found in lines.values()),
        queries=tuple(query for i, query in enumerate(fit) if i not in generic),
        unfit={reason: tuple(queries) for reason, queries in unfit.items()},
        seconds=0.0,
    )
