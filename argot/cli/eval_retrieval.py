"""`argot eval` on judged documents: a collection, or the project's live index."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click
import numpy as np

from argot.cli.eval_encoders import Encoders
from argot.cli.eval_table import Row
from argot.cli.ingest import draw
from argot.cli.output import find_project, progress_line, say
from argot.errors import SettingsError
from argot.evaluation import SEED, evaluate_collection, evaluate_searcher
from encoder.base import DenseEncoder
from retriever.evaluation import DEFAULT_METRICS, EvaluationReport
from retriever.evaluation import compare as compare_reports
from retriever.judgements import read_judgements
from retriever.metrics import parse_metric
from retriever.settings import Mode

Reports = dict[str, EvaluationReport]
"""By the encoder's label."""


def measure_collection(
    beir: Path,
    encoders: Encoders,
    *,
    mode: Mode | None,
    split: str,
    dims: int | None,
    metrics: tuple[str, ...],
) -> Reports:
    """Index a collection for this run only and measure it, once with each encoder.

    Raises:
        SettingsError: the mode needs an encoder and there is none, or has no use for those named.
    """
    if mode == "sparse" and encoders.named:
        raise SettingsError("mode sparse searches by words; leave --encoder out")
    usable: Mode = mode or (
        "dense" if encoders.named else "hybrid" if encoders.wanted else "sparse"
    )
    if usable == "sparse":
        alone = _measure(beir, None, mode=usable, split=split, dims=dims, metrics=metrics)
        return {"words": alone}
    if not encoders.wanted:
        raise SettingsError(f"mode {usable} needs an encoder\nhint: give --encoder NAME or FOLDER")
    return encoders.measure(
        lambda dense: _measure(beir, dense, mode=usable, split=split, dims=dims, metrics=metrics)
    )


def _measure(
    beir: Path,
    dense: DenseEncoder | None,
    *,
    mode: Mode,
    split: str,
    dims: int | None,
    metrics: tuple[str, ...],
) -> EvaluationReport:
    with progress_line() as line:
        found = evaluate_collection(
            beir,
            dense=dense,
            modes=[mode],
            split=split,
            dimensions=dims,
            metrics=metrics,
            progress=lambda progress: draw(line, progress),
        )[mode]
    say(
        f"{found.documents} documents indexed in {found.index_seconds:.1f} s, "
        f"{len(found.report.per_query)} queries answered in {found.search_seconds:.1f} s, {mode}"
    )
    if found.failed:
        say(f"{found.failed} documents could not be read and are missing from the measurement")
    return found.report


def measure_index(
    queries: Path,
    qrels: Path,
    *,
    mode: Mode | None,
    metrics: tuple[str, ...],
    principals: Sequence[str],
    folder: Path | None,
) -> Reports:
    """Measure the project's live index."""
    # One state of the index for all queries, whatever is ingested meanwhile.
    with find_project(folder).search_session(mode=mode, follow=False) as session:
        report = evaluate_searcher(
            session.searcher,
            read_judgements(queries=queries, qrels=qrels),
            metrics=metrics,
            principals=list(principals) or None,
        )
    return {"the index": report}


def rows_of_reports(reports: Reports, *, compare: Path | None, per_query: Path | None) -> list[Row]:
    """Make the table, each encoder but the first tested against the first; write the values.

    Args:
        reports: At least one.
        compare: A file of an earlier run's values to test a single encoder against.
        per_query: Where to write the values of a single encoder.
    """
    first = next(iter(reports.values()))
    rows = [
        Row(
            label=label,
            counts={"queries": len(report.per_query)},
            metrics=report.metrics,
            against={} if report is first else _tested(report, first),
        )
        for label, report in reports.items()
    ]
    if compare is not None:
        rows = [replace(rows[0], against=_tested(first, read_per_query(compare, like=first)))]
    if per_query is not None:
        write_per_query(per_query, first)
    return rows


def _tested(report: EvaluationReport, other: EvaluationReport) -> dict[str, dict[str, float]]:
    """Test two reports query by query.

    Raises:
        SettingsError: they are of other queries or metrics.
    """
    try:
        tested = compare_reports(report, other, rng=np.random.default_rng(SEED))
    except ValueError as exc:
        raise SettingsError(f"these can't be compared: {exc}") from exc
    return {
        name: {"difference": found.difference, "p": found.p_value} for name, found in tested.items()
    }


def write_per_query(path: Path, report: EvaluationReport) -> None:
    """Write every query's values as JSON lines."""
    with path.open("w", encoding="utf-8") as file:
        for query, values in report.per_query.items():
            file.write(json.dumps({"query": query, "metrics": dict(values)}) + "\n")


def read_per_query(path: Path, *, like: EvaluationReport) -> EvaluationReport:
    """Read a file that `write_per_query` wrote, with the metrics that ``like`` has too.

    Raises:
        SettingsError: the file is none of ours.
    """
    try:
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        values = {str(line["query"]): dict(line["metrics"]) for line in lines}
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise SettingsError(f"{path} must be a file that --per-query wrote: {exc!r}") from exc
    if not values:
        raise SettingsError(f"{path} must be a file that --per-query wrote; it is empty")
    shared = next(iter(values.values()))
    return EvaluationReport(
        {name: mean for name, mean in like.metrics.items() if name in shared}, values
    )


def checked_metrics(names: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse a metric that is not known, before anything is measured.

    Raises:
        BadParameter: naming the known ones.
    """
    try:
        for name in names:
            parse_metric(name)
    except ValueError as exc:
        raise click.BadParameter(str(exc)) from exc
    return names or DEFAULT_METRICS
