"""Filters over payload fields, free of any engine.

A field is a path into the payload, such as ``source`` or ``metadata.language``.
"""

from dataclasses import dataclass

Scalar = str | int | bool


@dataclass(frozen=True, slots=True)
class Eq:
    """The field equals the value, or is a list that contains it."""

    field: str
    value: Scalar


@dataclass(frozen=True, slots=True)
class AnyOf:
    """The field equals, or contains, at least one of the values. No values: nothing matches."""

    field: str
    values: tuple[str, ...] | tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Range:
    """The field is a number within the bounds, each inclusive; None leaves a side open."""

    field: str
    at_least: float | None = None
    at_most: float | None = None


@dataclass(frozen=True, slots=True)
class And:
    """All conditions hold."""

    conditions: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class Or:
    """At least one condition holds."""

    conditions: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The condition does not hold."""

    condition: "Condition"


Condition = Eq | AnyOf | Range | And | Or | Not
