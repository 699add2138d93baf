"""`argot eval` on judged documents: a collection, or the project's live index."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import click
import numpy as np

from argot.cli.eval_encoders import Encoders
from argot.cli.eval_stages import StageFolders, Way, stage_models
from argot.cli.eval_table import Row
from argot.cli.ingest import draw
from argot.cli.output import find_project, progress_line, say
from argot.errors import SettingsError
from argot.evaluation.searches import SEED, Evaluation, evaluate_collection, evaluate_searcher
from argot.stage_settings import LLM_RERANKERS
from encoder.base import DenseEncoder
from retriever.evaluation.evaluation import DEFAULT_METRICS, EvaluationReport
from retriever.evaluation.evaluation import compare as compare_reports
from retriever.evaluation.judgements import read_judgements
from retriever.evaluation.metrics import parse_metric
from retriever.settings import OFF, Mode, SearchSettings

Reports = dict[str, EvaluationReport]
"""By the label of the encoder, and of the stages where it is searched with some."""


def measure_collection(
    beir: Path,
    encoders: Encoders,
    *,
    mode: Mode | None,
    split: str,
    dims: int | None,
    metrics: tuple[str, ...],
    ways: Sequence[Way] = (Way(),),
    folders: StageFolders = StageFolders(),  # noqa: B008 - it is frozen
) -> Reports:
    """Index a collection for this run only, once with each encoder, and measure it in every way.

    Raises:
        SettingsError: the mode needs an encoder and there is none, or has no use for those named.
    """
    if mode == "sparse" and encoders.named:
        raise SettingsError("mode sparse searches by words; leave --encoder out")
    usable: Mode = mode or (
        "dense" if encoders.named else "hybrid" if encoders.wanted else "sparse"
    )
    models, base = stage_models(encoders, folders)

    def measure(dense: DenseEncoder | None) -> list[EvaluationReport]:
        with progress_line() as line:
            found = evaluate_collection(
                beir,
                dense=dense,
                searches={way.label(usable): _settings(usable, way) for way in ways},
                stages_for=lambda _: models.stages(encoder=lambda: dense, base=base),
                split=split,
                dimensions=dims,
                metrics=metrics,
                progress=lambda progress: draw(line, progress),
            )
        tell(found)
        return [evaluation.report for evaluation in found.values()]

    if usable == "sparse":
        return _labelled({"words": measure(None)}, ways)
    if not encoders.wanted:
        raise SettingsError(f"mode {usable} needs an encoder\nhint: give --encoder NAME or FOLDER")
    return _labelled(encoders.measure(measure), ways)


def _settings(mode: Mode, way: Way) -> SearchSettings:
    return SearchSettings(mode=mode, rerank=way.rerank or OFF, expand=way.expand or OFF)


def _labelled(reports: dict[str, list[EvaluationReport]], ways: Sequence[Way]) -> Reports:
    return {
        way.label(label): report
        for label, found in reports.items()
        for way, report in zip(ways, found, strict=True)
    }


def tell(found: Mapping[str, Evaluation]) -> None:
    """Say how long each way took, and what could not be read."""
    first = next(iter(found.values()))
    say(f"{first.documents} documents indexed in {first.index_seconds:.1f} s")
    for name, one in found.items():
        queries = len(one.report.per_query)
        say(f"{queries} queries answered in {one.search_seconds:.1f} s, {name}")
    if first.failed:
        say(f"{first.failed} documents could not be read and are missing from the measurement")


def measure_index(
    queries: Path,
    qrels: Path,
    *,
    mode: Mode | None,
    metrics: tuple[str, ...],
    principals: Sequence[str],
    folder: Path | None,
    ways: Sequence[Way] = (Way(),),
) -> Reports:
    """Measure the project's live index, searched in every way."""
    project, judgements = find_project(folder), read_judgements(queries=queries, qrels=qrels)
    with project.search_session(
        mode=mode,
        # if any way asks the language model, it is loaded together with the encoder
        rerank=next((way.rerank for way in ways if way.rerank in LLM_RERANKERS), None),
        expand=next((way.expand for way in ways if way.expand not in (None, OFF)), None),
        follow=False,  # one state of the index for all queries, whatever is ingested meanwhile
    ) as session:
        reports = {
            way.label("the index"): evaluate_searcher(
                session.searcher,
                judgements,
                rerank=way.rerank or project.settings.search.rerank,
                expand=way.expand or project.settings.search.expand,
                rescore=way.rescore,
                metrics=metrics,
                principals=list(principals) or None,
            )
            for way in ways
        }
    if not any(report.finds_anything for report in reports.values()):
        say(
            "no query found a document that is judged relevant\n"
            f"hint: the ids in {qrels} must be those of the index's documents, as `argot search` "
            "shows them"
        )
    return reports


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
