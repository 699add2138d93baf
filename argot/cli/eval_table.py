"""What `argot eval` prints: one encoder as lines, several as a table."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import click

from retriever.evaluation.significance import Interval

Differences = Mapping[str, Mapping[str, float]]
"""By metric: ``difference``, and ``p`` or the bounds ``low`` and ``high``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What was measured of one encoder."""

    label: str
    counts: Mapping[str, int]
    """What was measured on, such as ``{"queries": 323}``."""

    metrics: Mapping[str, Interval]
    against: Differences = field(default_factory=dict)
    """This one minus the first of the table, or minus an earlier file's."""

    scale: int = 1
    """What the printed values are multiplied by, as papers on the task do; JSON keeps them."""


def json_of(rows: Sequence[Row], *, compared: bool) -> dict[str, Any]:
    """One encoder's measures; or, of several, a list of them, each against the first."""
    if len(rows) == 1:
        (row,) = rows
        return {**_json_of_row(row), **({"compare": row.against} if compared else {})}
    return {
        "encoders": [
            {"encoder": row.label, **_json_of_row(row), "against_first": row.against}
            for row in rows
        ]
    }


def _json_of_row(row: Row) -> dict[str, Any]:
    metrics = {
        name: {"value": found.value, "low": found.low, "high": found.high}
        for name, found in row.metrics.items()
    }
    return {**row.counts, "metrics": metrics}


def lines_of(rows: Sequence[Row]) -> list[str]:
    """Write the measures as a person reads them."""
    counts = ", ".join(f"{count} {what}" for what, count in rows[0].counts.items())
    scale = rows[0].scale
    head = [f"{counts}; values times {scale}" if scale > 1 else counts]
    return [*head, *(_lines_of_one(rows[0]) if len(rows) == 1 else _table(rows))]


def _lines_of_one(row: Row) -> list[str]:
    lines = []
    for name, found in row.metrics.items():
        low, high = _number(found.low, row.scale), _number(found.high, row.scale)
        lines.append(f"{name:12} {_number(found.value, row.scale)}  95 % interval {low} to {high}")
    return lines + [
        f"{name:12} {_difference(found, row.scale)} against the earlier file"
        for name, found in row.against.items()
    ]


def _table(rows: Sequence[Row]) -> list[str]:
    names = list(rows[0].metrics)
    measures = [["", *(f"{name} (95 % interval)" for name in names)]] + [
        [row.label, *(_with_interval(row.metrics[name], row.scale) for name in names)]
        for row in rows
    ]
    differences = [[f"minus {rows[0].label}", *names]] + [
        [row.label, *(_difference(row.against[name], row.scale) for name in names)]
        for row in rows[1:]
    ]
    return [*_aligned(measures), "", *_aligned(differences)]


def _aligned(cells: list[list[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    ]


def _with_interval(found: Interval, scale: int) -> str:
    value, low, high = (_number(part, scale) for part in (found.value, found.low, found.high))
    return f"{value} ({low} to {high})"


def _difference(found: Mapping[str, float], scale: int) -> str:
    moved = f"{'+' if found['difference'] >= 0 else ''}{_number(found['difference'], scale)}"
    if "p" in found:
        return f"{moved}, p = {found['p']:.4f}"
    return f"{moved} ({_number(found['low'], scale)} to {_number(found['high'], scale)})"


def _number(value: float, scale: int) -> str:
    return f"{value:.4f}" if scale == 1 else f"{value * scale:.2f}"


def parse_gates(gates: Sequence[str], metrics: Sequence[str]) -> dict[str, float]:
    """Read ``metric=value`` pairs.

    Raises:
        BadParameter: no number, or a metric that is not measured.
    """
    limits: dict[str, float] = {}
    for gate in gates:
        name, _, value = gate.partition("=")
        limits[name] = _limit(value)
        if math.isnan(limits[name]):  # nothing is below it
            raise click.BadParameter(f"a gate must be METRIC=NUMBER; got {gate!r}")
        if name not in metrics:
            known = ", ".join(metrics)
            raise click.BadParameter(f"{name!r} is not measured; measured: {known}")
    return limits


def _limit(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def missed_gates(rows: Sequence[Row], limits: Mapping[str, float]) -> list[str]:
    """Say which encoders stay below a limit.

    Raises:
        UsageError: a limit is of a measure that these data do not have.
    """
    unmeasured = [name for name in limits if name not in rows[0].metrics]
    if unmeasured:
        raise click.UsageError(f"{unmeasured[0]} can't be measured here: no tag marks a span")
    return [
        f"{name} of {row.label} must be at least {limit}; it is {row.metrics[name].value:.4f}"
        for row in rows
        for name, limit in limits.items()
        if row.metrics[name].value < limit
    ]
