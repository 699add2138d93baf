"""A document as every connector delivers it: text with the places a reader can be sent to."""

from collections.abc import Mapping
from dataclasses import dataclass, field

JsonValue = str | int | float | bool | None | list["JsonValue"] | dict[str, "JsonValue"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """A section title and where its section starts."""

    level: int
    """1 for the outermost."""

    title: str
    """As a reader sees it, without markup."""

    start: int
    """Code point of ``Document.text`` at which the heading's own line begins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One source document after parsing.

    Every offset counts code points of ``text``, half-open; pages count from 1.
    """

    id: str
    """Unique within its source, stable from run to run."""

    text: str
    """The parsed text. Paragraphs are separated by blank lines, table rows are ``| a | b |``."""

    title: str = ""
    """For people and for the encoder; empty when the source has none."""

    uri: str = ""
    """Where a person finds the original."""

    metadata: Mapping[str, JsonValue] = field(default_factory=dict)
    """Plain JSON values; searchable by filters as ``metadata.<key>``."""

    access: tuple[str, ...] | None = None
    """Who may see it: ``user:x``, ``group:y``. None: the source has no access lists."""

    page_starts: tuple[int, ...] = ()
    """Offset at which each page starts; empty for formats without pages."""

    headings: tuple[Heading, ...] = ()
    """In order of ``start``."""
