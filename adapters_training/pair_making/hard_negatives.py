"""Hard negatives: passages that a retriever takes for an answer and that are none.

Source: Moreira et al. 2024, NV-Retriever, arXiv:2407.15831, TopK-PercPos: the best candidates that
score below 95 % of the positive. Here several retrievers take turns, each against its own score of
the positive, and candidates that say what the positive or the query says are left out too, since
passages of one corpus overlap.
"""

from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from adapters_training.pairs import Pair
from adapters_training.ranking import Ranker
from adapters_training.text.sentences import content_words

OVERLAP = 0.7
"""Share of the words of the shorter of two passages from which on they say the same."""

MIN_WORDS = 5
"""Words of the shorter one, at least, for that to be told."""


class Fault(StrEnum):
    """Why a candidate is no negative."""

    POSITIVE = "a positive of the query"
    HOLDS_QUERY = "holds the query word by word"
    OVERLAPS = "overlaps with the positive or a negative"
    CLOSE = "scores too close to the positive"


@dataclass(frozen=True, slots=True, kw_only=True)
class MiningSettings:
    """How negatives are chosen."""

    count: int = 4
    """Negatives of a pair, given ones included, at most."""

    skip_top: int = 0
    """Ranks passed over."""

    depth: int = 50
    """Ranks looked at."""

    positive_share: float = 0.95
    """Of the positive's score, that a negative may have at most, in (0, 1].

    A negative scores over 0 too, so a ranker that does not find the positive gives none.
    """

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ValueError(f"`count` must be >= 1; got {self.count}")
        if not 0 <= self.skip_top < self.depth:
            raise ValueError(
                f"`skip_top` must be in [0, `depth`); got {self.skip_top} and {self.depth}"
            )
        if not 0 < self.positive_share <= 1:
            raise ValueError(f"`positive_share` must be in (0, 1]; got {self.positive_share}")


@dataclass(frozen=True, slots=True, kw_only=True)
class MiningReport:
    """What came of mining; ``asdict`` gives JSON values."""

    pairs: int
    given: int
    """Negatives that the pairs had."""

    mined: int
    """Negatives found."""

    without: int
    """Pairs that have no negative."""

    passed_over: dict[str, int]
    """Candidates met on the way that are none, by reason."""


def with_positives(passages: Sequence[str], pairs: Sequence[Pair]) -> list[str]:
    """Add the positives that are not among the passages, so that every one has a score."""
    return list(dict.fromkeys([*passages, *(pair.positive for pair in pairs)]))


def mine_negatives(
    pairs: Sequence[Pair],
    passages: Sequence[str],
    *,
    rankers: Sequence[Ranker],
    settings: MiningSettings | None = None,
) -> tuple[list[Pair], MiningReport]:
    """Add hard negatives to pairs.

    Args:
        pairs: Whose negatives, where they have any, come first and stay.
        passages: All there are, the positives too; see `with_positives`.
        rankers: Over ``passages``, such as BM25 and the current encoder; each gives
            one in turn.
        settings: How many, and from which ranks.

    Returns:
        The pairs in their order, the hardest negatives first, and what came of it.

    Raises:
        ValueError: a positive is not among the passages.
    """
    settings = settings or MiningSettings()
    places = {text: place for place, text in reversed(list(enumerate(passages)))}
    own = [_place(pair, places) for pair in pairs]
    queries = [pair.query for pair in pairs]
    candidates = [
        _candidates(ranker, queries, own, passages=len(passages), settings=settings)
        for ranker in rankers
    ]
    miner = _Miner(pairs, passages, count=settings.count)
    mined = [miner.mine(pair, [rows[i] for rows in candidates]) for i, pair in enumerate(pairs)]
    given = sum(len(pair.negatives) for pair in pairs)
    report = MiningReport(
        pairs=len(pairs),
        given=given,
        mined=sum(len(pair.negatives) for pair in mined) - given,
        without=sum(not pair.negatives for pair in mined),
        passed_over=dict(miner.passed_over),
    )
    return mined, report


# A passage's place, and whether it scores too close to the positive.
_Candidate = tuple[int, bool]


def _candidates(
    ranker: Ranker,
    queries: Sequence[str],
    own: Sequence[int],
    *,
    passages: int,
    settings: MiningSettings,
) -> list[list[_Candidate]]:
    """List one ranker's candidates of each query, best first."""
    if not queries:
        return []
    ranking = ranker.rank(queries, k=min(settings.depth, passages))
    positive = ranker.scores(queries, own)
    close = ranking.scores > settings.positive_share * positive[:, None]
    related = (ranking.scores > 0).sum(axis=1)
    return [
        list(zip(places[:end], too_close[:end], strict=True))[settings.skip_top :]
        for places, too_close, end in zip(
            ranking.positions.tolist(), close.tolist(), related.tolist(), strict=True
        )
    ]


class _Miner:
    """Chooses among the candidates of one pair after another."""

    def __init__(self, pairs: Sequence[Pair], passages: Sequence[str], *, count: int) -> None:
        self._passages = passages
        self._count = count
        self._plain = [plain_form(text) for text in passages]
        self._words: dict[int, set[str]] = {}
        self._positives: dict[str, set[str]] = {}
        for pair in pairs:
            own = self._positives.setdefault(plain_form(pair.query), set())
            own.add(plain_form(pair.positive))
        self.passed_over: Counter[str] = Counter()

    def mine(self, pair: Pair, rankings: Sequence[Sequence[_Candidate]]) -> Pair:
        """Add negatives to a pair, one of each ranking in turn, until it has enough."""
        chosen = list(pair.negatives)
        taken = {plain_form(text) for text in chosen}
        said = [content_words(text) for text in (pair.positive, *chosen)]
        turns = deque(
            self._fitting(ranking, query=plain_form(pair.query), taken=taken, said=said)
            for ranking in rankings
        )
        while turns and len(chosen) < self._count:
            found = next(turns[0], None)
            if found is None:
                turns.popleft()
                continue
            chosen.append(self._passages[found])
            taken.add(self._plain[found])
            said.append(self._words_at(found))
            turns.rotate(-1)
        return replace(pair, negatives=tuple(chosen))

    def _fitting(
        self,
        ranking: Sequence[_Candidate],
        *,
        query: str,
        taken: set[str],
        said: Sequence[set[str]],
    ) -> Iterator[int]:
        """Give places that may be negatives; ``taken`` and ``said`` grow with what is chosen."""
        for place, is_close in ranking:
            if self._plain[place] in taken:
                continue
            fault = self._fault(place, query=query, said=said, is_close=is_close)
            if fault is None:
                yield place
            else:
                self.passed_over[fault.value] += 1

    def _fault(
        self, place: int, *, query: str, said: Sequence[set[str]], is_close: bool
    ) -> Fault | None:
        text = self._plain[place]
        if text in self._positives[query]:
            return Fault.POSITIVE
        if is_close:
            return Fault.CLOSE
        if query in text:
            return Fault.HOLDS_QUERY
        words = self._words_at(place)
        repeats = any(says_the_same(words, others) for others in said)
        return Fault.OVERLAPS if repeats else None

    def _words_at(self, place: int) -> set[str]:
        if place not in self._words:
            self._words[place] = content_words(self._passages[place])
        return self._words[place]


def plain_form(text: str) -> str:
    """Make texts equal that differ by case and white space alone."""
    return " ".join(text.casefold().split())


def says_the_same(one: set[str], other: set[str]) -> bool:
    """Tell from the words of two passages whether one is a part of the other, or nearly so."""
    shorter = min(len(one), len(other))
    return shorter >= MIN_WORDS and len(one & other) >= OVERLAP * shorter


def _place(pair: Pair, places: Mapping[str, int]) -> int:
    if pair.positive not in places:
        raise ValueError(
            f"the positive of {pair.query!r} must be among the passages; got {len(places)} others\n"
            "hint: make the rankers over `with_positives(passages, pairs)`"
        )
    return places[pair.positive]
