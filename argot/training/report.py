"""Did adaptation help? One page about a training run, readable offline."""

import html
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from argot.report import as_svg, write_report
from argot.training.verdict import (
    Development,
    Verdict,
    beside_words,
    caveats,
    judge,
    measured_systems,
    read_comparison,
)


def training_report(run_folder: Path) -> Path:
    """Write report.html beside a run's metrics; return it.

    With a development set it begins with the verdict, the table and the course of its nDCG@10; the
    losses follow.
    """
    metrics = read_metrics(run_folder / "metrics.jsonl")
    development = read_comparison(run_folder)
    parts = [("Training", training_curves(metrics))]
    if development is not None:
        parts = [
            ("Did adaptation help?", answer(development, judge(development))),
            ("Development set", development_curves(development)),
            *parts,
        ]
    path = run_folder / "report.html"
    write_report(path, title=f"Adaptation {run_folder.name}", parts=parts)
    return path


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Read the lines of metrics.jsonl."""
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.strip()]


def answer(development: Development, verdict: Verdict) -> str:
    """Lay out the verdict, the table and what to bear in mind, as HTML."""
    lines = [verdict.sentence, beside_words(development)]
    spoken = "\n".join(f"<p>{html.escape(line)}</p>" for line in lines)
    notes = "\n".join(f"<li>{html.escape(line)}</li>" for line in caveats(development))
    return f"{spoken}\n{systems_table(development)}\n<ul>\n{notes}\n</ul>"


def systems_table(development: Development) -> str:
    """Lay out each system's mean nDCG@10 and its interval, as HTML."""
    head = "<tr><th>search</th><th>nDCG@10</th><th>95 % interval</th></tr>"
    body = "\n".join(
        f'<tr><td>{html.escape(name)}</td><td class="number">{mean.value:.3f}</td>'
        f'<td class="number">{mean.low:.3f} to {mean.high:.3f}</td></tr>'
        for name, mean in measured_systems(development)
    )
    return f"<table>{head}\n{body}</table>"


def development_curves(development: Development) -> str:
    """Draw the development set's nDCG@10 over the steps of each stage, as SVG.

    The chosen weights are marked, and BM25 and the unadapted base are lines across.
    """
    from matplotlib.figure import Figure

    stages = development.stages
    if not stages:
        return "<p>No stage was evaluated while it was trained.</p>"
    figure = Figure(figsize=(4.5 * len(stages), 3.2), layout="constrained")
    for position, stage in enumerate(stages, start=1):
        axes = figure.add_subplot(1, len(stages), position)
        steps = [one["step"] for one in stage["evaluations"]]
        scores = [one["score"] for one in stage["evaluations"]]
        axes.plot(steps, scores, marker="o", color="#4878a8")
        chosen = steps.index(stage["chosen_step"])
        axes.plot(
            [steps[chosen]],
            [scores[chosen]],
            "*",
            markersize=15,
            color="#b04030",
            label=f"chosen: step {steps[chosen]}",
        )
        axes.axhline(development.mean("bm25"), color="#777", linestyle="--", label="BM25")
        axes.axhline(development.mean("base"), color="#aaa", linestyle=":", label="unadapted base")
        axes.set_title(stage["stage"])
        axes.set_xlabel("step")
        axes.set_ylabel("nDCG@10")
        axes.legend(fontsize="small")
        axes.grid(alpha=0.3)
    return as_svg(figure)


def training_curves(metrics: Sequence[Mapping[str, Any]]) -> str:
    """Draw the loss of each stage over its steps, as SVG."""
    from matplotlib.figure import Figure

    steps = [line for line in metrics if "loss" in line]
    stages = list(dict.fromkeys(line["stage"] for line in steps))
    figure = Figure(figsize=(4.5 * max(len(stages), 1), 3.2), layout="constrained")
    for position, stage in enumerate(stages, start=1):
        lines = [line for line in steps if line["stage"] == stage]
        axes = figure.add_subplot(1, len(stages), position)
        axes.plot([line["step"] for line in lines], [line["loss"] for line in lines])
        axes.set_title(stage)
        axes.set_xlabel("step")
        axes.set_ylabel("loss (nats)")
        axes.grid(alpha=0.3)
    return as_svg(figure)
