"""The result of tuning: a table, JSON, and a page with the Pareto front drawn."""

import html
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from argot.report import as_svg, write_report
from argot.tuning.reduction_options import Tried, pareto_front

HEAD = ("vectors", "nDCG@10", "of full", "bytes/chunk", "smaller", "p50 ms", "p95 ms", "")


def rows_of(tried: Sequence[Tried], chosen: Tried) -> list[tuple[str, ...]]:
    """Lay out each option as the cells of `HEAD`."""
    full, front = tried[0], pareto_front(tried)
    return [
        (
            one.name,
            f"{one.quality.value:.4f}",
            f"{_share(one.quality.value, full.quality.value):.1%}",
            f"{one.chunk_bytes:.0f}",
            f"{full.chunk_bytes / one.chunk_bytes:.1f}x",
            f"{one.p50_ms:.2f}",
            f"{one.p95_ms:.2f}",
            "chosen" if one is chosen else "front" if one in front else "",
        )
        for one in tried
    ]


def lines_of(tried: Sequence[Tried], chosen: Tried) -> list[str]:
    """Lay the table out as text."""
    rows = [HEAD, *rows_of(tried, chosen)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    return [
        "  ".join(
            cell.ljust(width) if column in (0, len(HEAD) - 1) else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def json_of(tried: Sequence[Tried], chosen: Tried) -> dict[str, Any]:
    """Give the form `argot index tune --json` prints."""
    front = pareto_front(tried)
    return {
        "options": [
            {
                "name": one.name,
                "settings": asdict(one.reduction),
                "ndcg@10": asdict(one.quality),
                "bytes_per_chunk": round(one.chunk_bytes, 1),
                "p50_ms": round(one.p50_ms, 3),
                "p95_ms": round(one.p95_ms, 3),
                "build_seconds": round(one.build_seconds, 2),
                "front": one in front,
            }
            for one in tried
        ],
        "chosen": chosen.name,
    }


def write_tuning_report(path: Path, tried: Sequence[Tried], chosen: Tried, *, keep: float) -> None:
    """Write the page; it needs matplotlib."""
    head = "".join(f"<th>{html.escape(name)}</th>" for name in HEAD)
    body = "\n".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>"
        for row in rows_of(tried, chosen)
    )
    write_report(
        path,
        title="Smaller vectors",
        parts=[
            ("Quality, size and latency", drawing(tried, chosen, keep=keep)),
            ("Everything that was tried", f"<table><tr>{head}</tr>\n{body}</table>"),
        ],
    )


def drawing(tried: Sequence[Tried], chosen: Tried, *, keep: float) -> str:
    """Draw nDCG@10 over bytes, coloured by p95, with the front of the two as a line; as SVG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 5.5), layout="constrained")
    axes = figure.add_subplot()
    sizes = [one.chunk_bytes for one in tried]
    values = [one.quality.value for one in tried]
    points = axes.scatter(sizes, values, c=[one.p95_ms for one in tried], cmap="viridis_r", s=45)
    edge = _upper_edge(tried)
    axes.step(
        [one.chunk_bytes for one in edge],
        [one.quality.value for one in edge],
        where="post",
        color="#888",
        linewidth=1,
        label="front",
    )
    axes.axhline(keep * values[0], color="#b04030", linestyle="--", label=f"{keep:.1%} of full")
    axes.scatter(
        [chosen.chunk_bytes],
        [chosen.quality.value],
        marker="*",
        s=220,
        color="#b04030",
        label="chosen",
    )
    for one in {id(each): each for each in (*edge, tried[0], chosen)}.values():
        axes.annotate(
            one.name,
            (one.chunk_bytes, one.quality.value),
            textcoords="offset points",
            xytext=(5, 5),
            fontsize="small",
        )
    axes.set_xscale("log", base=2)
    axes.set_xlabel("dense bytes of a chunk on disk")
    axes.set_ylabel("nDCG@10")
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small", loc="lower right")
    figure.colorbar(points, label="p95 of a dense search (ms)")
    return as_svg(figure)


def _upper_edge(tried: Sequence[Tried]) -> list[Tried]:
    """Return, from small to large, those that are better than all that are smaller."""
    edge: list[Tried] = []
    for one in sorted(tried, key=lambda each: (each.chunk_bytes, -each.quality.value)):
        if not edge or one.quality.value > edge[-1].quality.value:
            edge.append(one)
    return edge


def _share(value: float, whole: float) -> float:
    return value / whole if whole else 1.0
