"""Text of documents on a terminal: it is shown, and does nothing."""

import re

_CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 without tab and newline, DEL, C1
    "\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069"  # marks that turn the direction of writing
    "\ud800-\udfff]"  # half a surrogate pair, which no terminal can be sent
)


def visible(text: str) -> str:
    r"""Write what a terminal would obey and not show as an escape such as ``\x1b``.

    Newlines and tabs stay.
    """
    return _CONTROLS.sub(_escape, text.replace("\r\n", "\n"))


def _escape(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()
