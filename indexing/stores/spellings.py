"""Words of a filter, in all the forms in which a text may hold them.

An engine compares characters, and takes a run of letters for one word. BM25 weighs terms in one
form of Unicode and splits scripts without spaces, and a filter should not hide what it finds.
"""

import unicodedata
from dataclasses import dataclass

from encoder.scripts import UNSPACED


@dataclass(frozen=True, slots=True)
class Part:
    """What an engine can test of a text."""

    text: str

    inside: bool = False
    """It may stand within a run of letters; otherwise its words are whole, in any case."""


_FULL_WIDTH = str.maketrans(
    "0123456789", "\uff10\uff11\uff12\uff13\uff14\uff15\uff16\uff17\uff18\uff19"
)

Spelling = tuple[Part, ...]
"""All parts must be in the text."""


def spellings(words: str) -> list[Spelling]:
    """List the spellings of `words`: a text that has all of them holds one spelling at least.

    Letters are looked for composed, decomposed and in their compatibility form, digits full-width
    too. A run of Chinese, Japanese, Thai or the like counts wherever it stands, since only a
    dictionary could tell its words apart.
    """
    words = " ".join(filter(_is_word, words.split()))
    found: dict[Spelling, None] = {}  # ordered, and each once
    forms = [unicodedata.normalize(name, words) for name in ("NFC", "NFD", "NFKC")]
    for form in (words, *forms, forms[-1].translate(_FULL_WIDTH)):
        if not all(map(_is_word, form.split())):
            continue  # it makes a mark of a letter: left out, that word would be in every text
        apart = UNSPACED.sub(lambda run: f" {run[0]} ", form)
        for pieces in (form.split(), apart.split()):  # "2024\u5e74" is one word to an engine
            found[_spelling(pieces)] = None
    return list(found)


def _spelling(pieces: list[str]) -> Spelling:
    pieces = list(filter(_is_word, pieces))
    inside = [Part(piece, inside=True) for piece in pieces if UNSPACED.search(piece)]
    # Together, so that in a list one text has to hold them all.
    whole = " ".join(piece for piece in pieces if not UNSPACED.search(piece))
    return (*inside, *([Part(whole)] if whole else []))


def _is_word(piece: str) -> bool:
    return any(map(str.isalnum, piece))
