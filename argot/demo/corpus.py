"""The documentation strings of the running Python's standard library, as a BEIR folder."""

import functools
import importlib
import inspect
import json
import logging
import re
import sys
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from argot.demo.questions import Question, judged_in, read_questions
from argot.errors import DemoError

logger = logging.getLogger(__name__)

MODULES = (
    "builtins", "os", "os.path", "sys", "json", "re", "datetime", "time", "pathlib",
    "collections", "random", "math", "itertools", "functools", "subprocess", "string",
    "logging", "argparse", "csv", "shutil", "copy", "io", "glob", "tempfile", "typing",
    "dataclasses", "enum", "contextlib", "abc", "threading", "urllib.parse", "urllib.request",
    "collections.abc", "operator", "statistics", "queue", "concurrent.futures", "unittest",
    "hashlib", "pickle", "heapq", "bisect", "textwrap", "struct", "base64", "uuid", "secrets",
    "hmac", "traceback", "inspect", "warnings", "fractions", "timeit", "pprint", "configparser",
    "zipfile", "gzip", "html", "xml.etree.ElementTree", "getpass", "platform", "sqlite3",
    "difflib", "fnmatch", "shlex", "atexit", "signal", "importlib", "tomllib", "unicodedata",
    "mimetypes", "webbrowser", "graphlib", "linecache", "multiprocessing", "unittest.mock",
    "zoneinfo", "contextvars", "weakref", "types", "calendar", "asyncio",
)  # fmt: skip
"""Most used first; ``asyncio`` is last because it is the largest after ``os``."""

MAX_DOCUMENTS = 2_500
MAX_CHARACTERS = 560_000
"""Of names and texts together: 147,000 tokens of SmolLM2."""

MAX_TEXT = 1_000
"""Characters of one document; a longer one is cut after a paragraph, else a line."""

MIN_TEXT = 20
"""Characters; a shorter documentation string says no more than the name."""

MEMBER_KINDS = frozenset({"method", "property"})

_SIGNATURE_ONLY = re.compile(r"[\w.]+\(.*\)(\s*->\s*\S+)?")
"""What dataclasses and named tuples get when nobody wrote anything: ``Point(x: int, y: int)``."""

_PROPERTIES = (property, functools.cached_property)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One documented name of the standard library."""

    name: str
    """Qualified as a reader writes it: ``os.path.join``, ``str.split``."""

    module: str
    """Where a reader finds it; ``builtins`` for what needs no import."""

    kind: str
    """``module``, ``class``, ``function``, ``method`` or ``property``."""

    text: str
    """The documentation string without its indentation, at most ``MAX_TEXT`` characters."""


def write_corpus(folder: Path) -> tuple[Entry, ...]:
    """Write corpus, questions and judgements in BEIR's layout.

    Args:
        folder: Made if missing; files of an earlier run are written over.

    Returns:
        The documents, sorted by name.

    Raises:
        DemoError: Python runs without documentation strings, or lacks a judged answer.
    """
    if sys.flags.optimize >= 2:
        raise DemoError(
            "the demo indexes Python's documentation strings, and `python -OO` removes them\n"
            "hint: run without -OO and unset PYTHONOPTIMIZE"
        )
    questions = read_questions()
    judged = {name for question in questions for name in question.answers}
    entries = within_limits(standard_library(), judged=judged)
    judged_in({entry.name for entry in entries}, questions=questions)
    _write_beir(folder, entries=entries, questions=questions)
    logger.info("wrote %d documents and %d questions to %s", len(entries), len(questions), folder)
    return entries


def within_limits(
    entries: Sequence[Entry],
    *,
    judged: Collection[str] = (),
    max_documents: int = MAX_DOCUMENTS,
    max_characters: int = MAX_CHARACTERS,
) -> tuple[Entry, ...]:
    """Leave out what is over the limits: methods of the last modules.

    Args:
        entries: Most used modules first.
        judged: Names that are kept before all others, for a question without answer is no question.
        max_documents: At least 1.
        max_characters: Of names and texts together.

    Returns:
        What fits, sorted by name.
    """
    characters = 0
    kept = []
    by_worth = sorted(
        entries, key=lambda entry: (entry.name not in judged, entry.kind in MEMBER_KINDS)
    )
    for entry in by_worth[:max_documents]:
        characters += len(entry.name) + len(entry.text)
        if characters > max_characters:
            break
        kept.append(entry)
    return tuple(sorted(kept, key=lambda entry: entry.name))


def standard_library(module_names: Sequence[str] = MODULES) -> tuple[Entry, ...]:
    """Every documented public name of the modules, in the modules' order.

    A module this Python was built without is skipped. A text found twice (a re-export, an alias,
    ``bytearray.split`` beside ``bytes.split``) is kept once: in the earliest module, there under
    its own name rather than an alias, and the shortest.
    """
    by_text: dict[str, Entry] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # to read a name is not to use it
        modules = {name: module for name in module_names if (module := _imported(name))}
        items = {name: _public_items(module) for name, module in modules.items()}
        owners = {item for named in items.values() for item in named.values()}
        for name, module in modules.items():
            found = [_Found(name, "module", module, is_alias=False)]
            found += sorted(_found(name, items[name], owners=owners), key=_Found.rank)
            for one in found:
                if text := documentation(one.item):
                    entry = Entry(name=one.name, module=name, kind=one.kind, text=text)
                    by_text.setdefault(text, entry)
    return tuple(by_text.values())


def documentation(item: object) -> str:
    """The item's own documentation string, cut to ``MAX_TEXT``; empty where it says nothing."""
    raw = getattr(item, "__doc__", None)
    text = inspect.cleandoc(raw).strip() if isinstance(raw, str) else ""
    if len(text) < MIN_TEXT or _SIGNATURE_ONLY.fullmatch(text):
        return ""
    if len(text) <= MAX_TEXT:
        return text
    head = text[:MAX_TEXT]
    ends = (head.rfind(separator) for separator in ("\n\n", "\n", " "))
    return head[: next((end for end in ends if end > MAX_TEXT // 2), MAX_TEXT)].rstrip()


@dataclass(frozen=True, slots=True)
class _Found:
    """A public name and what it stands for."""

    name: str
    kind: str
    item: object
    is_alias: bool

    def rank(self) -> tuple[bool, int, str]:
        """Order within a module: the first of several names for one text is kept."""
        return self.is_alias, len(self.name), self.name


def _imported(name: str) -> ModuleType | None:
    """A module of the fixed list, or None where this Python was built without it."""
    try:
        return importlib.import_module(name)
    except ImportError:
        logger.debug("no module %s on this Python", name)
        return None


def _public_items(module: ModuleType) -> dict[str, object]:
    """The module's public classes and functions by name, without what it merely imported."""
    declared = getattr(module, "__all__", None)
    names = [name for name in declared or dir(module) if not name.startswith("_")]
    items = {name: getattr(module, name, None) for name in names}
    return {
        name: item
        for name, item in items.items()
        if (inspect.isclass(item) or inspect.isroutine(item))
        and (declared or module.__name__ == "builtins" or _home(item) == _home(module))
    }


def _home(item: object) -> str:
    """The top-level module an item says it is from; ``_csv`` and ``csv`` are one."""
    name = item.__name__ if isinstance(item, ModuleType) else getattr(item, "__module__", None)
    return (name or "").partition(".")[0].lstrip("_")


def _found(
    module: str, items: Mapping[str, object], *, owners: Collection[object]
) -> Iterator[_Found]:
    """The items of a module and the members of its classes."""
    for short_name, item in items.items():
        name = short_name if module == "builtins" else f"{module}.{short_name}"
        is_alias = getattr(item, "__name__", short_name) != short_name
        yield _Found(name, "class" if inspect.isclass(item) else "function", item, is_alias)
        if inspect.isclass(item):
            for member_name, member in _members(item, owners=owners).items():
                kind = "property" if isinstance(member, _PROPERTIES) else "method"
                yield _Found(f"{name}.{member_name}", kind, member, is_alias)


def _members(cls: type, *, owners: Collection[object]) -> dict[str, object]:
    """Documented public members of a class.

    What a private base defines counts as the class's own (``pathlib`` has been moved into such
    bases and out again); what a public base defines is found there.
    """
    members: dict[str, object] = {}
    for base in cls.__mro__:
        if base is not cls and (base in owners or not _is_private(base)):
            break
        for name, member in vars(base).items():
            is_member = inspect.isroutine(member) or isinstance(member, _PROPERTIES)
            if is_member and not name.startswith("_") and documentation(member):
                members.setdefault(name, member)
    return members


def _is_private(cls: type) -> bool:
    return any(part.startswith("_") for part in f"{cls.__module__}.{cls.__name__}".split("."))


def _write_beir(folder: Path, *, entries: Sequence[Entry], questions: Sequence[Question]) -> None:
    """``corpus.jsonl``, ``queries.jsonl`` and ``qrels/test.tsv``."""
    corpus = [
        {
            "_id": entry.name,
            "title": entry.name,
            "text": entry.text,
            "metadata": {"module": entry.module, "kind": entry.kind},
        }
        for entry in entries
    ]
    queries = [{"_id": question.id, "text": question.text} for question in questions]
    judgements = [
        f"{question.id}\t{name}\t{grade}"
        for question in questions
        for name, grade in question.answers.items()
    ]
    (folder / "qrels").mkdir(parents=True, exist_ok=True)
    _write_lines(folder / "corpus.jsonl", [json.dumps(row) for row in corpus])
    _write_lines(folder / "queries.jsonl", [json.dumps(row) for row in queries])
    _write_lines(folder / "qrels" / "test.tsv", ["query-id\tcorpus-id\tscore", *judgements])


def _write_lines(path: Path, lines: Sequence[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")
