"""What a model wrote, made a query, and the reasons why it is none. No model and no corpus needed.

Nothing here knows a language but the labels and turns of phrase of `LABEL` and `MENTIONS_PASSAGE`,
which are English.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence

NUMBERING = re.compile(r"^\s*(?:[-*\u2022\u2013]+|\(?\d{1,2}[.):])\s+")
LABEL = re.compile(r"^\W*(?:question|query|search query|q)\s*\d*\s*:\W*\s", re.IGNORECASE)
QUOTES = "\"'`\u201c\u201d\u201e\u201a\u2018\u2019\u00ab\u00bb*_ \t"
MENTIONS_PASSAGE = re.compile(
    r"\b(?:this|the|that) (?:(?:above|following|given) )?"
    r"(?:passage|text|paragraph|excerpt|(?:text|passage) above)\b",
    re.IGNORECASE,
)
WORD = re.compile(r"\w+")
MIN_LETTERS = 4
MAX_CHARS = 300
COPIED_WORDS = 6
COPIED_CHARS = 30
LOOPING_WORDS = 8
SCRIPT_SHARE = 0.05
STEM_CHARS = 6


def tidy(line: str) -> str:
    """Take numbering, labels such as "Question:" and quotation marks off a line."""
    line = " ".join(line.split())
    before = None
    while line != before:
        before = line
        line = LABEL.sub("", NUMBERING.sub("", line)).strip()
        stripped = line.strip(QUOTES)
        # Quotation marks inside, or at one end alone, belong to the text.
        if line[:1] != stripped[:1] and line[-1:] != stripped[-1:]:
            line = stripped
    return line


def why_unfit(query: str, passage: str, *, prompted: Iterable[str]) -> str | None:
    """Say why a line is no query for its passage; None where nothing speaks against it.

    Args:
        query: Tidied.
        passage: What it was written for.
        prompted: The instruction and the queries of the prompt's examples.
    """
    words = WORD.findall(query.casefold())
    plain, where = normalize(query), normalize(passage)
    reasons = {
        "empty": not plain,
        "too short": sum(character.isalpha() for character in query) < MIN_LETTERS,
        "too long": len(query) > MAX_CHARS,
        "repeats itself": len(words) >= LOOPING_WORDS and len(set(words)) * 2 < len(words),
        "echoes the prompt": any(_echoes(plain, normalize(text)) for text in prompted),
        "speaks of the passage": MENTIONS_PASSAGE.search(query) is not None,
        "copies the passage": _is_long(plain) and plain in where,
        "other script": not _scripts_fit(query, passage),
    }
    return next((reason for reason, holds in reasons.items() if holds), None)


def normalize(text: str) -> str:
    """Bring texts that differ in case, punctuation and spaces alone to one form."""
    return " ".join(WORD.findall(unicodedata.normalize("NFKC", text).casefold()))


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
