"""The stages of a search as stacked bars: p50 and p95 of each index, with and without encoding."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

COLOURS = {
    "encode": "#4878a8",
    "dense": "#d8973c",
    "rescore": "#b04030",
    "sparse": "#6a9a58",
    "fuse": "#7a6aa0",
    "access": "#999",
}
STAGES = tuple(COLOURS)
"""In the order of the bars."""

SHARES = ("p50", "p95")
LIMIT_MS = 10
"""Wanted of everything but encoding, at p95."""


def draw(measured: Mapping[str, Mapping[str, Any]], path: Path, *, title: str) -> None:
    """Write the plot, in the format of the file's name; it needs matplotlib.

    A bar stacks the percentiles of the stages, which are not reached by the same search: the
    percentile of whole searches is a mark beside it.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 0.8 * len(measured) + 2.4), layout="constrained")
    whole, without = figure.subplots(1, 2, sharey=True)
    _bars(whole, measured, stages=STAGES, total="total")
    _bars(without, measured, stages=STAGES[1:], total="without encoding")
    without.axvline(LIMIT_MS, color="#222", linestyle="--", linewidth=1, label="10 ms")
    whole.set_xlabel("ms, whole search")
    without.set_xlabel("ms, all but encoding")
    whole.invert_yaxis()
    found = {
        label: handle
        for axes in (whole, without)
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(
        found.values(), found.keys(), loc="outside lower center", ncols=len(found), fontsize="small"
    )
    figure.suptitle(title)
    figure.savefig(path, dpi=150)


def _bars(
    axes: Any,  # noqa: ANN401 - matplotlib is loaded when something is drawn
    measured: Mapping[str, Mapping[str, Any]],
    *,
    stages: tuple[str, ...],
    total: str,
) -> None:
    rows = [(name, share) for name in measured for share in SHARES]
    places, left = range(len(rows)), [0.0] * len(rows)
    for stage in stages:
        times = [measured[name]["ms"].get(stage, {}).get(share, 0.0) for name, share in rows]
        if any(times):
            axes.barh(places, times, left=left, color=COLOURS[stage], label=stage)
        left = [start + time for start, time in zip(left, times, strict=True)]
    totals = [measured[name]["ms"][total][share] for name, share in rows]
    axes.plot(totals, places, "|", color="#222", markersize=16, label="of whole searches")
    axes.set_yticks(places, [f"{name} {share}" for name, share in rows])
    axes.set_axisbelow(True)
    axes.grid(axis="x", alpha=0.3)
