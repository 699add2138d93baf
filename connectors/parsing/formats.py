"""Which parser reads which file, and the one place where a foreign library's errors become ours."""

from collections.abc import Callable, Mapping
from pathlib import PurePath
from types import MappingProxyType

from connectors.errors import DocumentError
from connectors.parsing import docx, html, markdown, pdf, plain
from connectors.parsing.parsed import ParsedText

PARSERS_VERSION = 1
"""Raised with every change of a parser that changes its text, so that files are read again."""

_MAX_REASON_CHARS = 200

PARSERS: Mapping[str, Callable[..., ParsedText]] = MappingProxyType(
    {
        ".txt": plain.parse,
        ".md": markdown.parse,
        ".markdown": markdown.parse,
        ".html": html.parse,
        ".htm": html.parse,
        ".pdf": pdf.parse,
        ".docx": docx.parse,
    }
)
"""Parser by lower-case file name extension."""


def parse_file(content: bytes, *, name: str) -> ParsedText:
    """Parse a file by the extension of its name.

    Args:
        content: The whole file.
        name: File name; its extension must be one of `PARSERS`.

    Returns:
        Its text and places.

    Raises:
        DocumentError: the file can't be parsed; whatever the parser's library raised is its cause.
    """
    suffix = PurePath(name).suffix.lower()
    if not content and suffix in {".pdf", ".docx"}:
        raise DocumentError("the file is empty")
    try:
        return PARSERS[suffix](content, name=name)
    except DocumentError:
        raise
    except Exception as exc:  # parsers of hostile formats raise anything
        detail = " ".join(f"{type(exc).__name__}: {exc}".split())[:_MAX_REASON_CHARS]
        raise DocumentError(f"not a readable {suffix} file: {detail}") from exc
