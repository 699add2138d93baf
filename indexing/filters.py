"""Filters over payload fields, free of any engine.

A field is a path into the payload, such as ``source`` or ``metadata.language``. Where it is a list,
a condition holds if it holds for one of the items.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time

Scalar = str | int | bool
Bound = float | date
"""Of a range: a number, a date, or a date with a time (a `datetime`)."""


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
    """The field is a number, or a date, within the bounds; None leaves a side open.

    A date is stored as text in an ISO 8601 form such as ``2024-01-31`` or ``2024-01-31T10:20:30Z``,
    and is in UTC unless it says otherwise, as is a `datetime` given as a bound. A bound that is a
    day means the whole of it: nothing of that day is ``above`` it, and ``at_most`` has it all.
    """

    field: str
    at_least: Bound | None = None
    at_most: Bound | None = None
    above: Bound | None = None
    below: Bound | None = None

    @property
    def bounds(self) -> dict[str, Bound]:
        """Those bounds that are given, by name."""
        named = {
            "at_least": self.at_least,
            "at_most": self.at_most,
            "above": self.above,
            "below": self.below,
        }
        return {name: bound for name, bound in named.items() if bound is not None}

    @property
    def is_of_dates(self) -> bool:
        """Whether a bound is a date."""
        return any(isinstance(bound, date) for bound in self.bounds.values())

    def numbers(self) -> dict[str, float]:
        """Bounds that are numbers, under the engines' names: ``gte``, ``lte``, ``gt``, ``lt``."""
        return {
            _ENGINE_NAMES[name]: bound
            for name, bound in self.bounds.items()
            if not isinstance(bound, date)
        }

    def moments(self) -> dict[str, str]:
        """Bounds that are dates, as moments in ISO 8601 form, under the engines' names."""
        return {
            _ENGINE_NAMES[name]: _moment(name, bound)
            for name, bound in self.bounds.items()
            if isinstance(bound, date)
        }


@dataclass(frozen=True, slots=True)
class HasWords:
    """The field is text that contains every word of `words`, in any order and any case.

    Words are whole, without stems: ``leave`` is not in ``leaves``. A run of a script without
    spaces, such as Chinese or Thai, may stand anywhere. Accents may be composed or decomposed.
    """

    field: str
    words: str


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


Condition = Eq | AnyOf | Range | HasWords | And | Or | Not

_ENGINE_NAMES = {"at_least": "gte", "at_most": "lte", "above": "gt", "below": "lt"}


def _moment(name: str, bound: date) -> str:
    if not isinstance(bound, datetime):
        # engines count microseconds, so `time.max` is the last moment of the day
        edge = time.max if name in ("at_most", "above") else time.min
        bound = datetime.combine(bound, edge)
    return (bound if bound.tzinfo else bound.replace(tzinfo=UTC)).isoformat()
