"""Configured sources to connectors."""

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from connectors.base import Connector
from connectors.filesystem import FolderConnector
from connectors.jsonl import JsonlConnector

_CORPUS_NAMES = ("corpus.jsonl", "corpus.jsonl.gz")


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSettings:
    """One source of a project."""

    name: str
    """Of the source in the project; deletes never reach beyond it."""

    path: Path
    """Folder or file."""

    type: str | None = None
    """``folder`` or ``jsonl``; None: told from what is at ``path``."""

    protected: bool = False
    """Its documents have access lists, and one that comes without is for nobody."""

    options: Mapping[str, object] = field(default_factory=dict)
    """The connector's own settings."""


def build_connector(source: SourceSettings) -> Connector:
    """Make the connector of a configured source.

    Args:
        source: Where it is; looked at only to tell its type, where that is not given.

    Returns:
        A connector that has read nothing yet.

    Raises:
        ValueError: unknown type or option, or an option with a wrong value.
    """
    kind = source.type or detect_type(source.path)
    if kind not in _BUILDERS:
        raise ValueError(
            f"source {source.name!r}: unknown type {kind!r}{_suggestion(kind, list(_BUILDERS))}"
        )
    build, known = _BUILDERS[kind]
    for option in source.options:
        if option not in known:
            raise ValueError(
                f"source {source.name!r}: a {kind} source has no option {option!r}"
                f"{_suggestion(option, list(known))}"
            )
    return build(source)


def detect_type(path: Path) -> str:
    """``jsonl`` for a JSONL file and for a folder with a ``corpus.jsonl``, else ``folder``."""
    if path.name.endswith((".jsonl", ".jsonl.gz")) and not path.is_dir():
        return "jsonl"
    return "folder" if _corpus_in(path) is None else "jsonl"


def _corpus_in(folder: Path) -> Path | None:
    return next((folder / name for name in _CORPUS_NAMES if (folder / name).is_file()), None)


def _build_folder(source: SourceSettings) -> Connector:
    return FolderConnector(
        source.name,
        source.path,
        include=_patterns(source, "include"),
        exclude=_patterns(source, "exclude"),
        **_limit(source, "max_file_bytes"),
    )


def _build_jsonl(source: SourceSettings) -> Connector:
    path = source.path
    if path.is_dir():
        path = _corpus_in(path) or path / _CORPUS_NAMES[0]
    return JsonlConnector(source.name, path, **_limit(source, "max_line_bytes"))


_BUILDERS: Mapping[str, tuple[Callable[[SourceSettings], Connector], tuple[str, ...]]] = (
    MappingProxyType(
        {
            "folder": (_build_folder, ("include", "exclude", "max_file_bytes")),
            "jsonl": (_build_jsonl, ("max_line_bytes",)),
        }
    )
)


def _patterns(source: SourceSettings, option: str) -> list[str]:
    value = source.options.get(option, [])
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
        raise ValueError(
            f"source {source.name!r}: {option!r} must be a list of path patterns; got {value!r}"
        )
    return list(value)


def _limit(source: SourceSettings, option: str) -> dict[str, int]:
    """The option as a keyword argument; none where the connector's own default holds."""
    value = source.options.get(option)
    if value is None:
        return {}
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(
            f"source {source.name!r}: {option!r} must be a whole number above 0; got {value!r}"
        )
    return {option: value}


def _suggestion(written: str, known: list[str]) -> str:
    close = difflib.get_close_matches(written, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; known: {', '.join(known)}"
