"""Filters as callers write them and as explanations show them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from indexing.filters import And, AnyOf, Condition, Eq, Not, Or, Range, Scalar

FILTER_FIELDS = (
    *("source", "document_id", "ordinal", "text", "title", "uri"),
    *("start", "end", "page", "heading_path"),
)
"""What to filter on, besides ``metadata.NAME``. Access is not among them: it goes by principals."""

FieldFilters = Mapping[str, Scalar | Sequence[Scalar]]
"""Value, or values of which one must hold, by field."""


def condition_of(given: object) -> Condition | None:
    """Read a filter in any of its forms: a condition, fields with their values, or None.

    Fields are asked for all at once; none at all is no filter.

    Raises:
        TypeError: it is none of these.
    """
    where: Condition | None
    if isinstance(given, Mapping):
        conditions = tuple(_field_condition(field, value) for field, value in given.items())
        where = And(conditions) if conditions else None
    elif given is None or isinstance(given, Condition):
        where = given
    else:
        raise TypeError(
            "a filter must be a condition or a mapping from fields to values, such as "
            f'{{"source": "handbook"}}; got {given!r}'
        )
    if where is not None:
        check_fields(where)
    return where


def check_fields(where: Condition) -> None:
    """Refuse a filter on a field that no chunk has: it would match nothing, or everything."""
    for field in _fields(where):
        if field in FILTER_FIELDS or (field.startswith("metadata.") and field != "metadata."):
            continue
        raise ValueError(
            f"no chunk has the field {field!r} to filter on; they have {', '.join(FILTER_FIELDS)}\n"
            f"hint: a field of the document's own metadata is written `metadata.{field}`"
        )


def condition_json(where: Condition) -> dict[str, Any]:
    """Write a condition in plain JSON values."""
    match where:
        case Eq(field, value):
            return {"field": field, "equals": value}
        case AnyOf(field, values):
            return {"field": field, "any_of": list(values)}
        case Range(field, at_least, at_most):
            return {"field": field, "at_least": at_least, "at_most": at_most}
        case And(conditions) | Or(conditions):
            name = "and" if isinstance(where, And) else "or"
            return {name: [condition_json(condition) for condition in conditions]}
        case Not(condition):
            return {"not": condition_json(condition)}


def _field_condition(field: str, value: object) -> Condition:
    if isinstance(value, str | int):
        return Eq(field, value)
    if isinstance(value, list | tuple | set | frozenset):
        if all(isinstance(one, str) for one in value):
            return AnyOf(field, tuple(value))
        if all(isinstance(one, int) and not isinstance(one, bool) for one in value):
            return AnyOf(field, tuple(value))
    raise ValueError(
        f"the filter on {field!r} must be a string, a whole number, a boolean, or a list of "
        f"strings or of whole numbers; got {value!r}\n"
        "hint: for bounds, give a condition such as `Range(field, at_least=1)` instead of a mapping"
    )


def _fields(where: Condition) -> Iterator[str]:
    match where:
        case And(conditions) | Or(conditions):
            for condition in conditions:
                yield from _fields(condition)
        case Not(condition):
            yield from _fields(condition)
        case Eq(field) | AnyOf(field) | Range(field):
            yield field
