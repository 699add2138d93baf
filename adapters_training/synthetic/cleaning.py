"""The reasons why what a model wrote is no query. No model and no corpus needed.

Nothing here knows a language but the turns of phrase of `MENTIONS_PASSAGE`, which are English.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence

from encoder.line_cleaning import normalize, repeats_itself

MENTIONS_PASSAGE = re.compile(
    r"\b(?:this|the|that) (?:(?:above|following|given) )?"
    r"(?:passage|text|paragraph|excerpt|(?:text|passage) above)\b",
    re.IGNORECASE,
)
MIN_LETTERS = 4
MAX_CHARS = 300
COPIED_WORDS = 6
COPIED_CHARS = 30
SCRIPT_SHARE = 0.05
STEM_CHARS = 6


def why_unfit(query: str, passage: str, *, prompted: Iterable[str]) -> str | None:
    """Say why a line is no query for its passage; None where nothing speaks against it.

    Args:
        query: Tidied.
        passage: What it was written for.
        prompted: The instruction and the queries of the prompt's examples.
    """
    plain, where = normalize(query), normalize(passage)
    reasons = {
        "empty": not plain,
        "too short": sum(character.isalpha() for character in query) < MIN_LETTERS,
        "too long": len(query) > MAX_CHARS,
        "repeats itself": repeats_itself(query),
        "echoes the prompt": any(_echoes(plain, normalize(text)) for text in prompted),
        "speaks of the passage": MENTIONS_PASSAGE.search(query) is not None,
        "copies the passage": _is_long(plain) and plain in where,
        "other script": not _scripts_fit(query, passage),
    }
    return next((reason for reason, holds in reasons.items() if holds), None)


def generic_queries(queries: Sequence[str], owners: Sequence[int]) -> set[int]:
    """Find queries that are nearly the same for different passages, so specific to none.

    Nearly the same: the same words in any order, endings left out.

    Args:
        queries: In any order.
        owners: The passage of each.

    Returns:
        Positions in ``queries``, of all of them.
    """
    alike: dict[frozenset[str], list[int]] = defaultdict(list)
    for position, query in enumerate(queries):
        alike[frozenset(word[:STEM_CHARS] for word in normalize(query).split())].append(position)
    return {
        position
        for positions in alike.values()
        if len({owners[i] for i in positions}) > 1
        for position in positions
    }


def scripts(text: str) -> dict[str, float]:
    """Tell which scripts the letters of a text are in, such as ``LATIN``, and their shares."""
    counts: dict[str, int] = defaultdict(int)
    for character in text:
        if character.isalpha():
            # The name of every letter begins with its script: "GREEK SMALL LETTER ALPHA".
            counts[unicodedata.name(character, "UNNAMED").split(" ", 1)[0]] += 1
    total = sum(counts.values())
    return {script: count / total for script, count in counts.items()}


def _scripts_fit(query: str, passage: str) -> bool:
    own, wanted = scripts(query), scripts(passage)
    if not own or not wanted:
        return True
    return wanted.get(max(own, key=lambda script: own[script]), 0.0) >= SCRIPT_SHARE


def _echoes(plain: str, prompted: str) -> bool:
    return plain == prompted or (_is_long(prompted) and prompted in plain)


def _is_long(normalized: str) -> bool:
    """Tell a sentence from a name or phrase, which a query may well share with its passage."""
    unspaced = " " not in normalized and len(normalized) >= COPIED_CHARS
    return unspaced or len(normalized.split()) >= COPIED_WORDS
