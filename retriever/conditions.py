"""Filters as callers write them and as explanations show them."""

from collections.abc import Iterator, Mapping
from typing import Any

from indexing.filters import And, AnyOf, Bound, Condition, Eq, HasWords, Not, Or, Range
from indexing.stores.validation import check_condition
from retriever.plain_filters import read_mapping

FILTER_FIELDS = (
    *("source", "document_id", "ordinal", "text", "title", "uri"),
    *("start", "end", "page", "heading_path"),
)
"""What to filter on, besides ``metadata.NAME``. Access is not among them: it goes by principals."""

FieldFilters = Mapping[str, object]
"""A filter in plain values; `retriever.plain_filters` has the forms."""

Filter = Condition | FieldFilters | None
"""A filter in any of its forms; None or an empty mapping for none."""


def condition_of(given: object) -> Condition | None:
    """Read a filter in any of its forms: a condition, a mapping in plain values, or None.

    All entries of a mapping must hold; none at all is no filter.

    Raises:
        TypeError: it is none of these.
        ValueError: a value of it does not fit, or no chunk has the field.
    """
    where: Condition | None
    if isinstance(given, Mapping):
        where = read_mapping(given) if given else None
    elif given is None or isinstance(given, Condition):
        where = given
    else:
        raise TypeError(
            "a filter must be a condition or a mapping from fields to values, such as "
            f'{{"source": "handbook"}}; got {given!r}'
        )
    if where is not None:
        check_fields(where)
        check_condition(where)
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
        case And(conditions) | Or(conditions):
            name = "and" if isinstance(where, And) else "or"
            return {name: [condition_json(condition) for condition in conditions]}
        case Not(condition):
            return {"not": condition_json(condition)}
        case Eq() | AnyOf() | Range() | HasWords():
            return {"field": where.field, **_test_json(where)}


def _test_json(where: Eq | AnyOf | Range | HasWords) -> dict[str, Any]:
    match where:
        case Eq(_, value):
            return {"equals": value}
        case AnyOf(_, values):
            return {"any_of": list(values)}
        case HasWords(_, words):
            return {"words": words}
        case Range():
            return {name: _plain(bound) for name, bound in where.bounds.items()}


def _plain(bound: Bound) -> float | str:
    return bound if isinstance(bound, int | float) else bound.isoformat()


def _fields(where: Condition) -> Iterator[str]:
    match where:
        case And(conditions) | Or(conditions):
            for condition in conditions:
                yield from _fields(condition)
        case Not(condition):
            yield from _fields(condition)
        case Eq(field) | AnyOf(field) | Range(field) | HasWords(field):
            yield field
