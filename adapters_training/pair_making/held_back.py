"""Keep pairs out of training, so that their queries can tell whether it helps."""

import logging
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from adapters_training.pairs import Pair
from adapters_training.randomness import numpy_generator
from adapters_training.selection.development import HELD_BACK, DevelopmentSet, draw_passages

logger = logging.getLogger(__name__)

FEWEST_QUERIES = 20
"""A mean over fewer is too uncertain to choose by."""

LARGEST_SHARE = 5
"""Of the pairs of an origin at most one in so many is held back."""


def hold_back(
    pairs: Sequence[Pair],
    *,
    count: int,
    max_passages: int,
    extra_passages: Iterable[str] = (),
    seed: int,
) -> tuple[list[Pair], DevelopmentSet | None]:
    """Take queries out of training, with every pair that shares their query or their positive.

    Labelled queries come first, then the others as they are drawn; of no origin is more than a
    fifth of its pairs taken.

    Args:
        pairs: Of all origins, negatives not mined yet.
        count: Queries to take, at most.
        max_passages: They are looked for among so many, unless more are needed as answers.
        extra_passages: Passages beside those of the pairs, as the encoder is given them.
        seed: Decides which queries and passages.

    Returns:
        The pairs that are left, in order, and the development set; all pairs and None where fewer
        than 20 queries could be taken.
    """
    rng = numpy_generator(seed, "development")
    chosen, taken = choose_queries(pairs, count=count, rng=rng)
    if len(chosen) < FEWEST_QUERIES:
        logger.info("no queries held back: %d pairs are too few to spare 20", len(pairs))
        return list(pairs), None
    left = [pair for i, pair in enumerate(pairs) if i not in taken]
    answers = {key: [pairs[i] for i in places] for key, places in chosen.items()}
    needed = [pair.positive for those in answers.values() for pair in those]
    negatives = [text for those in answers.values() for pair in those for text in pair.negatives]
    passages = draw_passages(
        [*needed, *negatives[: max(0, max_passages - len(needed))]],
        [*(pair.positive for pair in left), *extra_passages],
        most=max_passages,
        rng=rng,
    )
    places = {text: place for place, text in enumerate(passages)}
    firsts = [those[0] for those in answers.values()]
    return left, DevelopmentSet(
        queries=tuple(pair.query for pair in firsts),
        passages=passages,
        relevant=tuple(
            frozenset(places[pair.positive] for pair in those) for those in answers.values()
        ),
        origin=HELD_BACK,
        kinds=tuple(pair.origin for pair in firsts),
        instructions=tuple(pair.instruction for pair in firsts),
    )


def choose_queries(
    pairs: Sequence[Pair], *, count: int, rng: np.random.Generator
) -> tuple[dict[str, list[int]], set[int]]:
    """Draw queries, as long as what goes with them is within a fifth of the pairs.

    Returns:
        Places of the pairs of each chosen query, and of all pairs that training loses.
    """
    by_query: dict[str, list[int]] = {}
    by_positive: dict[str, list[int]] = {}
    for place, pair in enumerate(pairs):
        by_query.setdefault(query_key(pair.query), []).append(place)
        by_positive.setdefault(pair.positive, []).append(place)
    room = {
        origin: n // LARGEST_SHARE for origin, n in Counter(pair.origin for pair in pairs).items()
    }
    keys = list(by_query)
    drawn = [keys[i] for i in rng.permutation(len(keys))]
    drawn.sort(key=lambda key: pairs[by_query[key][0]].origin != "labelled")
    chosen: dict[str, list[int]] = {}
    taken: set[int] = set()
    for key in drawn:
        if len(chosen) == count:
            break
        mates = {j for i in by_query[key] for j in by_positive[pairs[i].positive]}
        more = mates.union(by_query[key]) - taken
        cost = Counter(pairs[i].origin for i in more)
        if all(room[origin] >= n for origin, n in cost.items()):
            chosen[key] = by_query[key]
            taken |= more
            for origin, n in cost.items():
                room[origin] -= n
    return chosen, taken


def without_queries(pairs: Iterable[Pair], development: DevelopmentSet) -> list[Pair]:
    """Leave out the pairs that ask a query of a development set.

    Where it is held back, the pairs with its answers go too; judged passages stay, they are text of
    the collection like any other.
    """
    queries = {query_key(query) for query in development.queries}
    held = development.origin == HELD_BACK
    answers = {
        development.passages[place] for places in development.relevant for place in places if held
    }
    return [
        pair
        for pair in pairs
        if query_key(pair.query) not in queries and pair.positive not in answers
    ]


def query_key(query: str) -> str:
    """Tell queries apart that differ in more than case and white space."""
    return " ".join(query.casefold().split())
