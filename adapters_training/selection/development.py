"""Queries with known answers that training never sees: what tells whether it helps.

Shapes: Q queries · P passages · D width · K ranks.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from adapters_training.errors import CheckpointError

FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.integer[Any]]

HELD_BACK, JUDGED = "held-back pairs", "judgements"
CUTOFF = 10
"""Ranks that count."""

SHINGLE_WORDS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class DevelopmentSet:
    """Queries, passages to find, and which answer which."""

    queries: tuple[str, ...]
    passages: tuple[str, ...]
    """Each once."""

    relevant: tuple[frozenset[int], ...]
    """For each query, the places of its answers in ``passages``, at least one."""

    origin: str
    """`HELD_BACK` or `JUDGED`."""

    kinds: tuple[str, ...]
    """For each query where it is from: ``labelled``, ``structural``, ``synthetic``, ``judged``."""

    instructions: tuple[str | None, ...]
    """For each query what is read before it and not pooled; None: the stage's."""

    def __post_init__(self) -> None:
        lengths = {len(self.queries), len(self.relevant), len(self.kinds), len(self.instructions)}
        if lengths != {len(self.queries)} or not self.queries:
            raise ValueError(
                "a development set needs queries, and answers, kind and instruction of each; got "
                f"{len(self.queries)}, {len(self.relevant)}, {len(self.kinds)} and "
                f"{len(self.instructions)}"
            )
        for query, places in zip(self.queries, self.relevant, strict=True):
            if not places or not places <= set(range(len(self.passages))):
                raise ValueError(
                    f"a query's answers must be places among the {len(self.passages)} passages; "
                    f"got {sorted(places)} for {query[:80]!r}"
                )

    @property
    def composition(self) -> dict[str, int]:
        """Queries of each kind."""
        return dict(Counter(self.kinds))

    def digest(self) -> str:
        """Compute the SHA-256 of all that is in it."""
        return hashlib.sha256(json.dumps(development_to_dict(self)).encode()).hexdigest()


def ndcg_of_vectors(
    queries: FloatArray, passages: FloatArray, relevant: Sequence[frozenset[int]]
) -> FloatArray:
    """Rank all passages for each query by dot product and compute nDCG@10.

    Args:
        queries: ``[Q, D]``.
        passages: ``[P, D]``; of equal scores the first place ranks first.
        relevant: Q sets of places, none empty.

    Returns:
        ``[Q]`` in [0, 1].
    """
    rankings = np.argsort(-(queries @ passages.T), axis=1, kind="stable")
    return ndcg_of_rankings(rankings[:, :CUTOFF], relevant)


def ndcg_of_rankings(rankings: IntArray, relevant: Sequence[frozenset[int]]) -> FloatArray:
    """Compute nDCG@10 with a gain of 1 for each answer.

    Args:
        rankings: ``[Q, K]`` places of passages, best first; -1 where fewer were found.
        relevant: Q sets of places, none empty.

    Returns:
        ``[Q]`` in [0, 1].

    Source:
        Järvelin and Kekäläinen 2002, discount ``log2(rank + 1)``.
    """
    discounts = 1 / np.log2(np.arange(2, CUTOFF + 2))  # [10]
    ideal = np.cumsum(discounts)
    values = [
        discounts[np.isin(ranking[:CUTOFF], list(places)).nonzero()].sum()
        / ideal[min(len(places), CUTOFF) - 1]
        for ranking, places in zip(rankings, relevant, strict=True)
    ]
    return np.asarray(values, dtype=np.float64)


def draw_passages(
    needed: Iterable[str],
    others: Iterable[str],
    *,
    most: int,
    rng: np.random.Generator,
) -> tuple[str, ...]:
    """Put passages together in which answers are to be found.

    Args:
        needed: The answers; all of them are there.
        others: What fills up to ``most``, drawn at random. One that is much the same as an answer
            would answer too and is left out.
        most: Passages in all, unless more are needed.
        rng: Source of the draw.

    Returns:
        Each passage once, in an order that favours none.
    """
    passages = dict.fromkeys(needed)
    near = NearCopies(passages)
    pool = [text for text in dict.fromkeys(others) if text not in passages]
    for place in rng.permutation(len(pool)):
        if len(passages) >= most:
            break
        if not near.holds(pool[place]):
            passages[pool[place]] = None
    kept = list(passages)
    return tuple(kept[i] for i in rng.permutation(len(kept)))


class NearCopies:
    """Tells whether a text shares half of the shorter one's word sequences with one of these."""

    def __init__(self, texts: Iterable[str]) -> None:
        """Look at the texts once."""
        self._sizes: list[int] = []
        self._places: dict[tuple[str, ...], list[int]] = {}
        for place, text in enumerate(texts):
            found = shingles(text)
            self._sizes.append(len(found))
            for shingle in found:
                self._places.setdefault(shingle, []).append(place)

    def holds(self, text: str) -> bool:
        """Tell it of one text."""
        found = shingles(text)
        shared = Counter(place for one in found for place in self._places.get(one, ()))
        return any(2 * n >= min(self._sizes[place], len(found)) for place, n in shared.items())


def shingles(text: str) -> set[tuple[str, ...]]:
    """Cut a text into its sequences of five words; a shorter text is one."""
    words = text.casefold().split()
    last = max(1, len(words) - SHINGLE_WORDS + 1)
    return {tuple(words[i : i + SHINGLE_WORDS]) for i in range(last)}


def development_to_dict(development: DevelopmentSet) -> dict[str, Any]:
    """Turn a development set into JSON values."""
    return {
        "origin": development.origin,
        "queries": list(development.queries),
        "kinds": list(development.kinds),
        "instructions": list(development.instructions),
        "relevant": [sorted(places) for places in development.relevant],
        "passages": list(development.passages),
    }


def development_from_dict(values: Mapping[str, Any]) -> DevelopmentSet:
    """Make the development set that `development_to_dict` described."""
    lists = ("queries", "kinds", "instructions", "passages")
    return DevelopmentSet(
        origin=values["origin"],
        relevant=tuple(frozenset(places) for places in values["relevant"]),
        **{name: tuple(values[name]) for name in lists},
    )


def read_development(path: Path) -> DevelopmentSet | None:
    """Read a file of what `development_to_dict` gave; None: there is none.

    Raises:
        CheckpointError: the file can't be read.
    """
    if not path.is_file():
        return None
    try:
        return development_from_dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise CheckpointError(f"the development set {path} can't be read: {exc}") from exc
