"""`argot eval`."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np

from argot.cli.ingest import draw
from argot.cli.main import DONE, FAILED
from argot.cli.output import (
    find_project,
    json_option,
    print_json,
    progress_line,
    project_option,
    say,
)
from argot.encoders import load_encoder
from argot.errors import NoProjectError, SettingsError
from argot.evaluation import SEED, evaluate_collection, evaluate_searcher
from argot.project import Project
from argot.settings import EncoderChoice
from encoder.base import DenseEncoder
from encoder.spec import POOLINGS
from retriever.evaluation import DEFAULT_METRICS, EvaluationReport
from retriever.evaluation import compare as compare_reports
from retriever.judgements import read_judgements
from retriever.metrics import parse_metric
from retriever.settings import MODES, Mode

Existing = click.Path(exists=True, path_type=Path)


@click.command("eval")
@click.option(
    "--beir", type=Existing, help="Collection in BEIR's layout, indexed for this run only."
)
@click.option("--split", help="Of the collection's qrels; default: test.")
@click.option("--queries", type=Existing, help="queries.jsonl, for the project's own index.")
@click.option("--qrels", type=Existing, help="Judgements of those queries.")
@click.option("--encoder", "model", help="Name or folder, for --beir; default: the project's.")
@click.option("--causal", is_flag=True, help="Leave the decoder's attention as it was trained.")
@click.option("--pooling", type=click.Choice(POOLINGS), help="Instead of the encoder's own.")
@click.option(
    "--dtype", type=click.Choice(["float32", "bfloat16", "float16"]), help="To compute in."
)
@click.option(
    "--mode", type=click.Choice(MODES), help="Default: dense with --encoder, else as configured."
)
@click.option(
    "--dims", type=click.IntRange(min=1), help="Truncate the vectors to so many dimensions."
)
@click.option("--metric", "metrics", multiple=True, help="Such as ndcg@10; repeatable.")
@click.option(
    "--fail-under", "gates", multiple=True, metavar="METRIC=VALUE", help="Exit with 1 below it."
)
@click.option(
    "--per-query", type=click.Path(path_type=Path), help="Write every query's values here."
)
@click.option("--compare", type=Existing, help="Test against a file that --per-query wrote.")
@click.option("--as", "principals", multiple=True, metavar="PRINCIPAL", help="Who asks.")
@json_option
@project_option
def command(
    *,
    beir: Path | None,
    split: str | None,
    queries: Path | None,
    qrels: Path | None,
    model: str | None,
    causal: bool,
    pooling: str | None,
    dtype: str | None,
    mode: Mode | None,
    dims: int | None,
    metrics: tuple[str, ...],
    gates: tuple[str, ...],
    per_query: Path | None,
    compare: Path | None,
    principals: tuple[str, ...],
    as_json: bool,
    folder: Path | None,
) -> int:
    """Measure retrieval against judged queries.

    With --beir any encoder is measured on any collection, in a throw-away index and outside of any
    project. With --queries and --qrels the project's live index is measured.
    """
    wanted = checked_metrics(metrics)
    check_combination(
        beir,
        for_beir={
            "--encoder": model,
            "--causal": causal,
            "--pooling": pooling,
            "--dtype": dtype,
            "--dims": dims,
            "--split": split,
        },
        for_index={"--queries": queries, "--qrels": qrels, "--as": principals},
    )
    limits = parse_gates(gates, wanted)
    if beir is not None:
        choice = EncoderChoice(
            model=model or "", causal=causal or None, pooling=pooling, dtype=dtype
        )
        report = measure_collection(
            beir, choice, mode=mode, split=split or "test", dims=dims, metrics=wanted, folder=folder
        )
    elif queries is not None and qrels is not None:
        with find_project(folder).search_session(mode=mode) as session:
            report = evaluate_searcher(
                session.searcher,
                read_judgements(queries=queries, qrels=qrels),
                metrics=wanted,
                principals=list(principals) or None,
            )
    else:
        raise click.UsageError("give --beir DIR, or --queries FILE and --qrels FILE")
    differences = against(report, compare) if compare else {}
    if as_json:
        print_json({**report.to_json(), **({"compare": differences} if compare else {})})
    else:
        click.echo("\n".join([describe(report), *compared_lines(differences)]))
    if per_query is not None:
        write_per_query(per_query, report)
    below = [name for name, limit in limits.items() if report.metrics[name].value < limit]
    for name in below:
        say(f"{name} must be at least {limits[name]}; it is {report.metrics[name].value:.4f}")
    return FAILED if below else DONE


def measure_collection(
    beir: Path,
    choice: EncoderChoice,
    *,
    mode: Mode | None,
    split: str,
    dims: int | None,
    metrics: tuple[str, ...],
    folder: Path | None,
) -> EvaluationReport:
    """Index a collection for this run only and measure it."""
    project = project_or_none(folder)
    dense: DenseEncoder | None = None
    if mode != "sparse":
        paths = project.paths if project else None
        if choice.model:
            dense = load_encoder(choice, paths)
        elif project is not None:
            own = replace(project.settings.encoder, **given(choice))
            dense = load_encoder(own, paths)
    usable: Mode = mode or ("dense" if choice.model else "hybrid" if dense else "sparse")
    if dense is None and usable != "sparse":
        raise SettingsError(f"mode {usable} needs an encoder\nhint: give --encoder NAME or FOLDER")
    with progress_line() as line:
        found = evaluate_collection(
            beir,
            dense=dense,
            modes=[usable],
            split=split,
            dimensions=dims,
            metrics=metrics,
            progress=lambda progress: draw(line, progress),
        )[usable]
    say(
        f"{found.documents} documents indexed in {found.index_seconds:.1f} s, "
        f"{len(found.report.per_query)} queries answered in {found.search_seconds:.1f} s, {usable}"
    )
    if found.failed:
        say(f"{found.failed} documents could not be read and are missing from the measurement")
    return found.report


def given(choice: EncoderChoice) -> dict[str, Any]:
    """The fields of a choice that the command line set."""
    return {
        name: value
        for name in ("causal", "pooling", "dtype")
        if (value := getattr(choice, name)) is not None
    }


def project_or_none(folder: Path | None) -> Project | None:
    """Open the project here if there is one."""
    try:
        return find_project(folder)
    except NoProjectError:
        return None


def parse_gates(gates: tuple[str, ...], metrics: tuple[str, ...]) -> dict[str, float]:
    """Read ``metric=value`` pairs.

    Raises:
        BadParameter: no number, or a metric that is not measured.
    """
    limits: dict[str, float] = {}
    for gate in gates:
        name, _, value = gate.partition("=")
        try:
            limits[name] = float(value)
        except ValueError as exc:
            raise click.BadParameter(f"a gate must be METRIC=NUMBER; got {gate!r}") from exc
        if name not in metrics:
            known = ", ".join(metrics)
            raise click.BadParameter(f"{name!r} is not measured; measured: {known}")
    return limits


def write_per_query(path: Path, report: EvaluationReport) -> None:
    """Write every query's values as JSON lines."""
    with path.open("w", encoding="utf-8") as file:
        for query, values in report.per_query.items():
            file.write(json.dumps({"query": query, "metrics": dict(values)}) + "\n")


def against(report: EvaluationReport, path: Path) -> dict[str, dict[str, float]]:
    """Test a report against an earlier one, query by query.

    Raises:
        SettingsError: the file is none of ours, or is of other queries.
    """
    try:
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        other = {str(line["query"]): dict(line["metrics"]) for line in lines}
    except (ValueError, KeyError, TypeError) as exc:
        raise SettingsError(f"{path} must be a file that --per-query wrote: {exc!r}") from exc
    if not other:
        raise SettingsError(f"{path} must be a file that --per-query wrote; it is empty")
    earlier = EvaluationReport(
        {name: mean for name, mean in report.metrics.items() if name in next(iter(other.values()))},
        other,
    )
    try:
        tested = compare_reports(report, earlier, rng=np.random.default_rng(SEED))
    except ValueError as exc:
        raise SettingsError(f"{path} can't be compared: {exc}") from exc
    return {
        name: {"difference": found.difference, "p": found.p_value} for name, found in tested.items()
    }


def compared_lines(differences: dict[str, dict[str, float]]) -> list[str]:
    """A comparison as a person reads it."""
    return [
        f"{name:12} {found['difference']:+.4f} against the earlier file, p = {found['p']:.4f}"
        for name, found in differences.items()
    ]


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


def check_combination(
    beir: Path | None, *, for_beir: dict[str, object], for_index: dict[str, object]
) -> None:
    """Refuse options that would be ignored.

    Raises:
        UsageError: naming the first.
    """
    ignored, needed = (for_index, "without --beir") if beir else (for_beir, "with --beir")
    given = [name for name, value in ignored.items() if value]
    if given:
        raise click.UsageError(f"{given[0]} works {needed} only")


def describe(report: EvaluationReport) -> str:
    """A report as a person reads it."""
    lines = [f"{len(report.per_query)} queries"]
    lines += [
        f"{name:12} {mean.value:.4f}  95 % interval {mean.low:.4f} to {mean.high:.4f}"
        for name, mean in report.metrics.items()
    ]
    return "\n".join(lines)
