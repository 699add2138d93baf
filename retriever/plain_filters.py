"""Filters written as plain values: what JSON, a chain or a command line can give.

::

    {"source": "handbook"}                              the field equals the value
    {"source": ["handbook", "wiki"]}                    ... one of the values
    {"metadata.year": {">=": 2024, "<": 2026}}          numbers within bounds
    {"metadata.date": {">": "2024-01-31"}}              dates, in ISO 8601 form
    {"text": {"words": "annual leave"}}                 text that contains every word
    {"page": {"!=": 1}, "title": {"not in": ["A"]}}     all entries of a mapping hold
    {"or": [{...}, {...}]}  {"and": [...]}  {"not": {...}}
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import date, datetime
from math import isfinite
from sys import float_info

from indexing.filters import And, AnyOf, Bound, Condition, Eq, HasWords, Not, Or, Range

MAX_DEPTH = 16
"""Mappings within mappings; engines read conditions recursively."""


def read_mapping(given: Mapping[object, object], *, depth: int = 1) -> Condition:
    """Read a filter that is a mapping with at least one entry; all its entries must hold.

    Raises:
        ValueError: an operator is unknown, a value does not fit, or it is nested too deep.
    """
    if depth > MAX_DEPTH:
        raise ValueError(f"a filter may be nested {MAX_DEPTH} deep at most")
    if not given:
        raise ValueError("a filter within a filter must have an entry; got {}")
    parts = tuple(_entry(key, value, depth=depth) for key, value in given.items())
    return parts[0] if len(parts) == 1 else And(parts)


def _entry(key: object, value: object, *, depth: int) -> Condition:
    if key in ("and", "or"):
        if not isinstance(value, list | tuple):
            raise ValueError(f"{key!r} must have a list of filters; got {value!r}")
        parts = tuple(_nested(str(key), part, depth=depth) for part in value)
        return And(parts) if key == "and" else Or(parts)
    if key == "not":
        return Not(_nested("not", value, depth=depth))
    if not isinstance(key, str):
        raise ValueError(f"a filter's field must be text; got {key!r}")  # noqa: TRY004
    if isinstance(value, Mapping):
        if not value:
            raise ValueError(f"the filter on {key!r} must have an operator; got {{}}")
        parts = tuple(_operation(key, name, operand) for name, operand in value.items())
        return parts[0] if len(parts) == 1 else And(parts)
    return _equality(key, value)


def _nested(key: str, value: object, *, depth: int) -> Condition:
    if not isinstance(value, Mapping):
        raise ValueError(f"{key!r} must hold filters, each a mapping; got {value!r}")  # noqa: TRY004
    return read_mapping(value, depth=depth + 1)


def _equality(field: str, value: object) -> Condition:
    if isinstance(value, list | tuple | set | frozenset):
        return _any_of(field, value)
    if isinstance(value, str | int):
        return Eq(field, value)
    if isinstance(value, float) and isfinite(value):
        return Range(field, at_least=value, at_most=value)  # engines know no equal fractions
    if value is None:
        raise ValueError(
            f"the filter on {field!r} must have a value; got None\n"
            f"hint: leave {field!r} out of the filter to find documents whatever it is"
        )
    raise ValueError(
        f"the filter on {field!r} must be a string, a finite number, a boolean, or a list of "
        f"such; got {value!r}\n"
        f'hint: bounds are written {{"{field}": {{">=": 1}}}}; the operators are '
        f"{', '.join(_OPERATIONS)}"
    )


def _any_of(field: str, values: Iterable[object]) -> Condition:
    texts: list[str] = []
    whole: list[int] = []
    others: list[Condition] = []
    for value in values:
        if isinstance(value, str):
            texts.append(value)
        elif isinstance(value, int) and not isinstance(value, bool):
            whole.append(value)
        elif isinstance(value, bool | float):
            others.append(_equality(field, value))
        else:
            raise ValueError(  # noqa: TRY004
                f"a list in the filter on {field!r} must have strings, finite numbers and "
                f"booleans alone; got {value!r}"
            )
    both: tuple[AnyOf, ...] = (AnyOf(field, tuple(texts)), AnyOf(field, tuple(whole)))
    parts = (*(part for part in both if part.values), *others)
    return Or(parts) if len(parts) > 1 else parts[0] if parts else both[0]


def _operation(field: str, operator: object, operand: object) -> Condition:
    if operator not in _OPERATIONS:
        ours = _ELSEWHERE.get(str(operator))
        raise ValueError(
            f"the filter on {field!r} has no operator {operator!r}; "
            f"there are {', '.join(_OPERATIONS)}" + (f"\nhint: write {ours!r}" if ours else "")
        )
    return _OPERATIONS[str(operator)](field, operand)


def _one_of(field: str, operand: object) -> Condition:
    if not isinstance(operand, list | tuple | set | frozenset):
        raise ValueError(f"'in' and 'not in' on {field!r} must have a list; got {operand!r}")  # noqa: TRY004
    return _equality(field, operand)


def _words(field: str, operand: object) -> Condition:
    if not isinstance(operand, str) or not any(map(str.isalnum, operand)):
        raise ValueError(f"'words' on {field!r} must have text with a word in it; got {operand!r}")
    return HasWords(field, operand)


def _bound(field: str, operand: object) -> Bound:
    if isinstance(operand, str):
        for kind in (date, datetime):  # a day is all of it, in whatever form it is written
            with suppress(ValueError):
                return kind.fromisoformat(operand.strip())
        raise ValueError(
            f"a bound of {field!r} must be a number or a date such as 2024-01-31 or "
            f"2024-01-31T10:20:30Z; got {operand!r}"
        )
    if isinstance(operand, date):
        return operand
    if isinstance(operand, int | float) and not isinstance(operand, bool):
        finite = -float_info.max <= operand <= float_info.max  # a whole number may be any size
        if finite:
            return operand
    raise ValueError(f"a bound of {field!r} must be a finite number or a date; got {operand!r}")


_ELSEWHERE = {
    "$eq": "=",
    "$ne": "!=",
    "$gt": ">",
    "$gte": ">=",
    "$lt": "<",
    "$lte": "<=",
    "$in": "in",
    "$nin": "not in",
    "==": "=",
    "match": "words",
    "$like": "words",
}
"""What other filter languages call our operators."""

_OPERATIONS: dict[str, Callable[[str, object], Condition]] = {
    "=": _equality,
    "!=": lambda field, operand: Not(_equality(field, operand)),
    "in": _one_of,
    "not in": lambda field, operand: Not(_one_of(field, operand)),
    ">=": lambda field, operand: Range(field, at_least=_bound(field, operand)),
    "<=": lambda field, operand: Range(field, at_most=_bound(field, operand)),
    ">": lambda field, operand: Range(field, above=_bound(field, operand)),
    "<": lambda field, operand: Range(field, below=_bound(field, operand)),
    "words": _words,
}
