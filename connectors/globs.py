"""Path patterns of a folder source, as in .gitignore, without negation."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

_PIECE = re.compile(r"\*\*/|/\*\*$|\*\*|\*|\?|\[!?[^\]/]+\]|.", re.DOTALL)
_TRANSLATED = {"**/": "(?:.*/)?", "/**": "/.*", "**": ".*", "*": "[^/]*", "?": "[^/]"}


@dataclass(frozen=True, slots=True)
class PathPatterns:
    """Several patterns; a path matches when one of them matches it or a folder above it.

    ``*`` and ``?`` stay within a name, ``**`` crosses folders. A pattern without ``/`` matches at
    any depth (``*.md``, ``drafts``), one with ``/`` from the root (``docs/*.md``, ``docs/drafts``).
    """

    compiled: tuple[re.Pattern[str], ...]

    @classmethod
    def compile(cls, patterns: Sequence[str]) -> "PathPatterns":
        """Compile patterns once for many paths."""
        return cls(tuple(_compile(pattern) for pattern in patterns))

    def match(self, path: str) -> bool:
        """Whether a POSIX path relative to the root matches."""
        return any(pattern.fullmatch(path) for pattern in self.compiled)


def _compile(pattern: str) -> re.Pattern[str]:
    anchored = pattern.strip("/")
    if not anchored:
        raise ValueError(f"a path pattern must not be empty; got {pattern!r}")
    anywhere = "" if "/" in pattern.rstrip("/") else "(?:.*/)?"
    body = "".join(_translate_piece(piece) for piece in _PIECE.findall(anchored))
    try:
        return re.compile(f"{anywhere}{body}(?:/.*)?", re.DOTALL)
    except re.error as exc:
        raise ValueError(f"path pattern {pattern!r} can't be read: {exc}") from exc


def _translate_piece(piece: str) -> str:
    if piece.startswith("[") and len(piece) > 1:
        negated = piece.startswith("[!")
        members = piece[2:-1] if negated else piece[1:-1]
        return f"[{'^/' if negated else ''}{members.replace(chr(92), chr(92) * 2)}]"
    return _TRANSLATED.get(piece, re.escape(piece))
