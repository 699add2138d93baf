"""Lines that a model wrote: what stands around them taken off, and like ones told.

Nothing here knows a language but the labels of `LABEL`, which are English. No torch.
"""

import re
import unicodedata

NUMBERING = re.compile(r"^\s*(?:[-*\u2022\u2013]+|\(?\d{1,2}[.):])\s+")
LABEL = re.compile(r"^\W*(?:question|query|search query|q)\s*\d*\s*:\W*\s", re.IGNORECASE)
QUOTES = "\"'`\u201c\u201d\u201e\u201a\u2018\u2019\u00ab\u00bb*_ \t"
WORD = re.compile(r"\w+")
LOOPING_WORDS = 8


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


def normalize(text: str) -> str:
    """Bring texts that differ in case, punctuation and spaces alone to one form."""
    return " ".join(WORD.findall(unicodedata.normalize("NFKC", text).casefold()))


def repeats_itself(text: str) -> bool:
    """Tell a text that goes in circles, as small models do: most of its words come again."""
    words = WORD.findall(text.casefold())
    return len(words) >= LOOPING_WORDS and len(set(words)) * 2 < len(words)
