"""Pairs that documents hold in their own structure, for a company without labels.

A title asks for the text below it, a question for its answer, a function's documentation for its
code. `document_structure` finds all that is there; here what would teach nothing is left out and
counted, and passages get the form that the index gives its chunks.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from adapters_training.pairs import Pair
from adapters_training.structure.documents import MAX_SHARING, Candidate, Kind, candidates
from adapters_training.text.documents import TrainingText
from adapters_training.text.sentences import content_words, count_words

LETTERS_SHARE = 0.6
"""Share of letters among the characters of a query, at least; part numbers are no queries."""


class Reason(StrEnum):
    """Why a query and a passage are no pair."""

    SHORT_QUERY = "query too short"
    LONG_QUERY = "query too long"
    NOT_WORDS = "query mostly no letters"
    SHORT_PASSAGE = "passage too short"
    SAME = "query equals passage"
    UNRELATED = "no word in common"
    GENERIC = "query of too many texts"
    REPEATED = "pair came before"


@dataclass(frozen=True, slots=True, kw_only=True)
class StructureSettings:
    """Which pairs are made and kept."""

    kinds: tuple[Kind, ...] = tuple(Kind)
    min_query_words: int = 2
    max_query_words: int = 30
    min_passage_words: int = 8
    sentences_per_passage: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.min_query_words <= self.max_query_words:
            raise ValueError(
                "`min_query_words` must be in [1, `max_query_words`]; "
                f"got {self.min_query_words} and {self.max_query_words}"
            )
        if self.min_passage_words < 1:
            raise ValueError(f"`min_passage_words` must be >= 1; got {self.min_passage_words}")
        if self.sentences_per_passage < 1:
            raise ValueError(
                f"`sentences_per_passage` must be >= 1; got {self.sentences_per_passage}\n"
                "hint: leave `sentence` out of `kinds` for none"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class StructureReport:
    """What came of the texts; ``asdict`` gives JSON values."""

    texts: int
    kept: dict[str, int]
    """Pairs by kind."""

    dropped: dict[str, int]
    """The others by reason."""


def structural_pairs(
    texts: Sequence[TrainingText], *, seed: int, settings: StructureSettings | None = None
) -> tuple[list[Pair], StructureReport]:
    """Make pairs from the structure of texts.

    Args:
        texts: Documents or parts of them; neighbours of one title are one document.
        seed: Decides which passage of a long text, which sentence and which titles a pair has.
        settings: Which pairs are made and kept.

    Returns:
        Pairs in the order of the texts, ``origin`` structural and ``set`` the kind, and how many
        there are and are not.
    """
    settings = settings or StructureSettings()
    made = candidates(texts, seed=seed, sentences_per_passage=settings.sentences_per_passage)
    found = [one for one in made if one.kind in settings.kinds]
    passages_of: dict[str, set[str]] = {}
    for one in found:
        passages_of.setdefault(one.query.casefold(), set()).add(one.passage)
    generic = {query for query, those in passages_of.items() if len(those) > MAX_SHARING}
    seen: set[tuple[str, str]] = set()
    pairs: list[Pair] = []
    kept: Counter[str] = Counter()
    dropped: Counter[str] = Counter()
    for one in found:
        reason = _fault(one, settings=settings, generic=generic, seen=seen)
        if reason:
            dropped[reason.value] += 1
        else:
            seen.add((one.query.casefold(), one.passage))
            kept[one.kind.value] += 1
            pairs.append(_pair(one))
    return pairs, StructureReport(texts=len(texts), kept=dict(kept), dropped=dict(dropped))


def _fault(
    one: Candidate,
    *,
    settings: StructureSettings,
    generic: set[str],
    seen: set[tuple[str, str]],
) -> Reason | None:
    """Name the first thing that is wrong with a candidate."""
    words = count_words(one.query)
    query = one.query.casefold()
    faults = (
        (words < settings.min_query_words, Reason.SHORT_QUERY),
        (words > settings.max_query_words, Reason.LONG_QUERY),
        (_letters(one.query) < LETTERS_SHARE, Reason.NOT_WORDS),
        (query in generic, Reason.GENERIC),
        (count_words(one.passage) < settings.min_passage_words, Reason.SHORT_PASSAGE),
        (query == one.passage.casefold(), Reason.SAME),
        (not _related(one), Reason.UNRELATED),
        ((query, one.passage) in seen, Reason.REPEATED),
    )
    return next((reason for holds, reason in faults if holds), None)


def _letters(text: str) -> float:
    return sum(map(str.isalpha, text)) / max(1, len("".join(text.split())))


def _related(one: Candidate) -> bool:
    """Tell whether a query shares a word with its passage; code need not."""
    if one.kind in (Kind.DOCUMENTATION, Kind.NAME):
        return True
    return bool(content_words(one.query) & content_words(one.passage))


def _pair(one: Candidate) -> Pair:
    return Pair(query=one.query, positive=one.positive, set=one.kind.value, origin="structural")
