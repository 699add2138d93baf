"""What source code says about itself: a function's documentation and its name."""

import re
from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate

from adapters_training.text.sentences import count_words, sentence_spans

PASSAGE_WORDS = 100
"""Most words of a passage of code: about the 256 tokens of an indexed chunk."""

_PYTHON_FUNCTION = re.compile(
    r"^(?P<indent>[ \t]*)(?:async[ \t]+)?def[ \t]+(?P<name>\w+)[ \t]*"
    r"\((?:(?!\n[ \t]*(?:async[ \t]+def|def|class)\b).)*?\)[^\n]*?:[ \t]*(?=\n|\#)"
    r"(?:(?:\s*\#[^\n]*)*\s*(?P<doc>[rRuUbB]{0,2}(?P<quote>\"{3}|'{3})(?P<said>.*?)(?P=quote)))?",
    re.MULTILINE | re.DOTALL,
)
_BLOCK_COMMENT = re.compile(r"^[ \t]*/\*\*(?P<said>.*?)\*/[ \t]*\n", re.MULTILINE | re.DOTALL)
_COMMENT_MARGIN = re.compile(r"^[ \t]*\*+[ \t]?", re.MULTILINE)
_FIELD = re.compile(r"^[ \t]*(?:[:@]\w|>>>|\w+[ \t]*:[ \t]*$|[-=]{3,})", re.MULTILINE)
_WORD_BORDER = re.compile(r"_+|(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def is_code(text: str) -> bool:
    """Tell whether a text is source code in which functions or their comments can be found."""
    head = text.lstrip()
    return head.startswith(("def ", "async def ", "class ", "@", "import ", "from ", "/**")) and (
        bool(_PYTHON_FUNCTION.search(text)) or bool(_BLOCK_COMMENT.search(text))
    )


def documentation_pairs(text: str) -> Iterator[tuple[str, str]]:
    """Pair what a function's documentation says first with the function without it."""
    for match, code in _python_functions(text):
        if match["doc"]:
            yield summary(match["said"]), first_lines(_without(code, match["doc"]))
    for match, following in _commented_blocks(text):
        yield summary(_COMMENT_MARGIN.sub("", match["said"])), first_lines(following)


def name_pairs(text: str) -> Iterator[tuple[str, str]]:
    """Pair the words of a function's name with the function, its name left out."""
    for match, code in _python_functions(text):
        name = match["name"]
        yield name_words(name), first_lines(re.sub(rf"\b{re.escape(name)}\b", "_", code))


def name_words(name: str) -> str:
    """Split ``get_nt_uid`` and ``getNtUid`` into words."""
    return " ".join(word.lower() for word in _WORD_BORDER.split(name) if word)


def summary(documentation: str) -> str:
    """Take the first sentence, before any list of parameters; empty where there is none."""
    field = _FIELD.search(documentation)
    prose = documentation[: field.start()] if field else documentation
    spans = sentence_spans(prose)
    return " ".join(prose[slice(*spans[0])].split()).rstrip(" .:") if spans else ""


def first_lines(code: str) -> str:
    """Cut code after the last line that fits into a passage; the first line is always kept."""
    lines = code.splitlines()
    words = list(accumulate(count_words(line) for line in lines))
    return "\n".join(lines[: max(1, bisect_right(words, PASSAGE_WORDS))])


def _python_functions(text: str) -> Iterator[tuple[re.Match[str], str]]:
    for match in _PYTHON_FUNCTION.finditer(text):
        indent = match["indent"]
        rest = text[match.end() :]
        # The body ends where a line is indented no deeper than `def`.
        after = re.search(rf"^[ \t]{{0,{len(indent)}}}[^\s)\]}}]", rest.partition("\n")[2], re.M)
        first = len(rest.partition("\n")[0]) + 1
        end = match.end() + (first + after.start() if after else len(rest))
        yield match, text[match.start() : end].rstrip()


def _commented_blocks(text: str) -> Iterator[tuple[re.Match[str], str]]:
    comments = list(_BLOCK_COMMENT.finditer(text))
    ends = [*(comment.start() for comment in comments), len(text)][1:]
    for comment, end in zip(comments, ends, strict=True):
        yield comment, text[comment.end() : end].strip()


def _without(code: str, documentation: str) -> str:
    before, _, after = code.partition(documentation)
    return f"{before.rstrip()}\n{after.lstrip(chr(10)).rstrip()}" if after.strip() else ""
