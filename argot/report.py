"""Reports to look at: one HTML file with plots drawn into it, readable offline."""

import html
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse }
td, th { padding: .3rem .8rem; border-bottom: 1px solid #ccc; text-align: left }
td.number { text-align: right; font-variant-numeric: tabular-nums }
svg { max-width: 100%; height: auto }
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One way of searching, measured."""

    name: str
    value: float
    """nDCG@10."""

    low: float
    high: float
    seconds: float
    """To encode the corpus, build the index and answer the queries."""

    note: str = ""


def write_report(path: Path, *, title: str, parts: Sequence[tuple[str, str]]) -> None:
    """Write sections of ready HTML under their headings."""
    sections = "\n".join(f"<h2>{html.escape(name)}</h2>\n{body}" for name, body in parts)
    path.write_text(
        f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>{html.escape(title)}'
        f"</title>\n<style>{STYLE}</style>\n<h1>{html.escape(title)}</h1>\n{sections}\n</html>\n",
        encoding="utf-8",
    )


def comparison(rows: Sequence[Row]) -> str:
    """Draw nDCG@10 of each row with its interval, as SVG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 0.55 * len(rows) + 1.2), layout="constrained")
    axes = figure.add_subplot()
    places = range(len(rows))
    axes.barh(places, [row.value for row in rows], color="#4878a8")
    axes.errorbar(
        [row.value for row in rows],
        places,
        xerr=[
            [max(row.value - row.low, 0) for row in rows],
            [max(row.high - row.value, 0) for row in rows],
        ],
        fmt="none",
        ecolor="#222",
        capsize=4,
    )
    axes.set_yticks(places, [row.name for row in rows])
    axes.invert_yaxis()
    axes.set_xlabel("nDCG@10, 95 % bootstrap interval")
    axes.grid(axis="x", alpha=0.3)
    return as_svg(figure)


def table(rows: Sequence[Row]) -> str:
    """Lay the rows out as an HTML table."""
    head = "<tr><th>search</th><th>nDCG@10</th><th>95 % interval</th><th>seconds</th><th></th></tr>"
    body = "\n".join(
        f'<tr><td>{html.escape(row.name)}</td><td class="number">{row.value:.3f}</td>'
        f'<td class="number">{row.low:.3f} to {row.high:.3f}</td>'
        f'<td class="number">{row.seconds:.0f}</td><td>{html.escape(row.note)}</td></tr>'
        for row in rows
    )
    return f"<table>{head}\n{body}</table>"


def as_svg(figure: Any) -> str:  # noqa: ANN401 - matplotlib is loaded when something is drawn
    """Render a matplotlib figure for an HTML page."""
    stream = io.StringIO()
    figure.savefig(stream, format="svg")
    text = stream.getvalue()
    return text[text.index("<svg") :]
