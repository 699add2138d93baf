"""The result of tuning searches: a table, JSON, and a page with quality by weight drawn."""

import html
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from argot.report import as_svg, write_report
from argot.tuning.search import TUNED, Tuning
from argot.tuning.search_trial import Tried
from retriever.evaluation.evaluation import EvaluationReport
from retriever.settings import OFF, SearchSettings

HEAD = ("metric", "present (95 % interval)", "chosen (95 % interval)", "difference", "p")


def described(settings: SearchSettings) -> str:
    """Say in a few words what was tuned."""
    reranked = (
        f", reranked {settings.rerank_depth}, weight {settings.rerank_weight:g}"
        if settings.rerank != OFF
        else ""
    )
    if settings.mode != "hybrid":
        return f"{settings.mode}, depth {settings.depth}{reranked}"
    fusion = f"rrf k={settings.rrf_k}" if settings.fusion == "rrf" else settings.fusion
    weights = f"dense {settings.dense_weight:g} : sparse {settings.sparse_weight:g}"
    return f"{fusion}, {weights}, depth {settings.depth}{reranked}"


def rows_of(tuning: Tuning) -> list[tuple[str, ...]]:
    """Lay the held-out measures out as the cells of `HEAD`."""
    return [
        (
            name,
            _interval(tuning.before, name),
            _interval(tuning.after, name),
            f"{tested.difference:+.4f}",
            f"{tested.p_value:.4f}",
        )
        for name, tested in tuning.tested.items()
    ]


def lines_of(tuning: Tuning) -> list[str]:
    """Lay the result out as text."""
    rows = [HEAD, *rows_of(tuning)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    return [
        f"present: {described(tuning.tried[0].settings)}",
        f"chosen:  {described(tuning.chosen)}",
        f"chosen by {tuning.queries} queries among {_count(tuning)}, measured on "
        f"{len(tuning.after.per_query)} others:",
        *(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        ),
    ]


def json_of(tuning: Tuning) -> dict[str, Any]:
    """Give the form `argot tune --json` prints."""
    return {
        "queries": {"tuning": tuning.queries, "held_out": len(tuning.after.per_query)},
        "tried": _count(tuning),
        "present": {
            "settings": _tuned(tuning.tried[0].settings),
            "metrics": _metrics(tuning.before),
        },
        "chosen": {"settings": _tuned(tuning.chosen), "metrics": _metrics(tuning.after)},
        "compare": {
            name: {"difference": tested.difference, "p": tested.p_value}
            for name, tested in tuning.tested.items()
        },
        "improves": tuning.improves,
    }


def write_page(path: Path, tuning: Tuning) -> None:
    """Write the page; it needs matplotlib."""
    head = "".join(f"<th>{html.escape(name)}</th>" for name in HEAD)
    body = "\n".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>"
        for row in rows_of(tuning)
    )
    settings = (
        f"<p>present: {html.escape(described(tuning.tried[0].settings))}<br>\n"
        f"chosen: {html.escape(described(tuning.chosen))}</p>"
    )
    write_report(
        path,
        title="How rankings are fused",
        parts=[
            (f"Quality by weight, {tuning.queries} queries to choose by", drawing(tuning)),
            (
                f"Measured on {len(tuning.after.per_query)} held-out queries",
                f"{settings}\n<table><tr>{head}</tr>\n{body}</table>",
            ),
        ],
    )


def drawing(tuning: Tuning) -> str:
    """Draw nDCG@10 over the share of the dense side, a line for each fusion; as SVG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 5), layout="constrained")
    axes = figure.add_subplot()
    present, words, vectors, *others = tuning.tried
    for label, line in _lines_by_fusion(others).items():
        shares = [0.0, *(one.settings.dense_weight for one in line), 1.0]
        values = [one.quality for one in (words, *line, vectors)]
        axes.plot(shares, values, marker=".", label=label)
    axes.axhline(present.quality, color="#888", linestyle="--", label="present settings")
    axes.set_xlabel("share of the dense side: 0 by words alone, 1 by vectors alone")
    axes.set_ylabel("nDCG@10")
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    return as_svg(figure)


def _lines_by_fusion(tried: Sequence[Tried]) -> dict[str, list[Tried]]:
    lines: dict[str, list[Tried]] = {}
    depth = tried[0].settings.depth
    for one in tried:
        chosen = one.settings
        label = f"rrf, k = {chosen.rrf_k}" if chosen.fusion == "rrf" else chosen.fusion
        if chosen.depth == depth:  # the best of them was tried at other depths, too
            lines.setdefault(label, []).append(one)
    return lines


def _count(tuning: Tuning) -> int:
    return len(tuning.tried) + len(tuning.reranked)


def _interval(report: EvaluationReport, name: str) -> str:
    found = report.metrics[name]
    return f"{found.value:.4f} ({found.low:.4f} to {found.high:.4f})"


def _tuned(settings: SearchSettings) -> dict[str, Any]:
    return {name: getattr(settings, name) for name in TUNED}


def _metrics(report: EvaluationReport) -> dict[str, Any]:
    return {name: asdict(found) for name, found in report.metrics.items()}
