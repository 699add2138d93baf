"""Filters on the command line."""

import json
import math
import re
from collections.abc import Iterable
from typing import Any

import click

from indexing.filters import Condition
from retriever.conditions import condition_of

MAX_DIGITS = 20
TEXT_FIELDS = ("source", "document_id", "title", "uri", "text", "heading_path")
"""Always text, even if it looks like a number."""

FORMS = "FIELD=VALUE, FIELD!=VALUE, FIELD>=BOUND, FIELD~WORDS or a JSON object"

_INT64 = range(-(2**63), 2**63)
_WHOLE = re.compile(r"0|-?[1-9][0-9]{0,18}")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+)?")
_FILTER = re.compile(r"(?P<field>[^=!<>~]+)(?P<sign>!=|>=|<=|=|>|<|~)(?P<value>.*)", re.DOTALL)


def parse_filters(filters: Iterable[str]) -> Condition | None:
    """Read filters, all of which must hold; ``=`` more than once for one field: one of the values.

    Args:
        filters: Such as ``source=handbook``, ``page!=1``, ``metadata.year>=2024``,
            ``metadata.date<2024-01-31``, ``text~annual leave``, or a JSON object in the form of
            `retriever.plain_filters`.

    Raises:
        BadParameter: one is in none of these forms, or no chunk has the field.
    """
    equal: dict[str, list[Any]] = {}
    others: list[dict[str, Any]] = []
    for text in filters:
        found = _FILTER.fullmatch(text)
        if text.lstrip().startswith("{"):
            others.append(_json_object(text))
        elif found is None or not found["field"].strip():
            raise click.BadParameter(f"a filter must be {FORMS}; got {text!r}")
        elif found["sign"] == "=":
            field = found["field"].strip()
            equal.setdefault(field, []).append(_value(field, found["value"]))
        else:
            others.append(_operation(found["field"].strip(), found["sign"], found["value"]))
    wanted = {name: values if len(values) > 1 else values[0] for name, values in equal.items()}
    parts = [part for part in (wanted, *others) if part]
    try:
        return condition_of(parts[0] if len(parts) == 1 else {"and": parts} if parts else None)
    except (ValueError, TypeError) as exc:
        raise click.BadParameter(str(exc)) from exc


def _operation(field: str, sign: str, text: str) -> dict[str, Any]:
    if sign == "~":
        return {field: {"words": text}}
    if sign == "!=":
        return {field: {"!=": _value(field, text)}}
    return {field: {sign: _number(text)}}


def _json_object(text: str) -> dict[str, Any]:
    try:
        given = json.loads(text, parse_int=_whole)
    except (ValueError, RecursionError) as exc:
        raise click.BadParameter(f"a filter in braces must be JSON; got {text!r}: {exc}") from exc
    if not isinstance(given, dict) or not given:
        raise click.BadParameter(f"a filter must be {FORMS}; got {text!r}")
    return given


def _whole(digits: str) -> int | float:
    """Read a whole number of JSON; one that no index can hold is infinite, and refused as such."""
    return int(digits) if len(digits) <= MAX_DIGITS else math.copysign(math.inf, float(digits))


def _value(field: str, text: str) -> str | int | bool:
    """Read a value as the kind it looks like; a number only in the form that numbers are written.

    ``01234``, ``+49``, ``1e5`` and more digits than an index can hold are texts.
    """
    if field in TEXT_FIELDS:
        return text
    if text in ("true", "false"):
        return text == "true"
    if _WHOLE.fullmatch(text) and int(text) in _INT64:
        return int(text)
    return text


def _number(text: str) -> float | str:
    """Read a bound: a number if it is one, else what may be a date."""
    given = text.strip()
    if not _NUMBER.fullmatch(given):
        return text
    return int(given) if _WHOLE.fullmatch(given) else float(given)
