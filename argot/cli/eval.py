"""`argot eval`."""

import json
from pathlib import Path

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
from retriever.judgements import read_judgements
from retriever.settings import MODES, Mode
from retriever.significance import randomisation_test

Existing = click.Path(exists=True, path_type=Path)


@click.command("eval")
@click.option(
    "--beir", type=Existing, help="Collection in BEIR's layout, indexed for this run only."
)
@click.option("--split", default="test", show_default=True, help="Of the collection's qrels.")
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
    split: str,
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
    folder: Path,
) -> int:
    """Measure retrieval against judged queries.

    With --beir any encoder is measured on any collection, in a throw-away index and outside of any
    project. With --queries and --qrels the project's live index is measured.
    """
    wanted = tuple(metrics) or DEFAULT_METRICS
    limits = parse_gates(gates, wanted)
    if beir is not None:
        choice = EncoderChoice(
            model=model or "", causal=causal or None, pooling=pooling, dtype=dtype
        )
        report = measure_collection(
            beir, choice, mode=mode, split=split, dims=dims, metrics=wanted, folder=folder
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
    if per_query is not None:
        write_per_query(per_query, report)
    if as_json:
        print_json({**report.to_json(), **({"compare": differences} if compare else {})})
    else:
        click.echo(describe(report))
        for name, difference in differences.items():
            click.echo(
                f"{name:12} {difference['difference']:+.4f} against {compare}, "
                f"p = {difference['p']:.4f}"
            )
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
    folder: Path,
) -> EvaluationReport:
    """Index a collection for this run only and measure it."""
    project = project_or_none(folder)
    dense: DenseEncoder | None = None
    if mode != "sparse":
        paths = project.paths if project else None
        if choice.model:
            dense = load_encoder(choice, paths)
        elif project is not None:
            dense = project.encoder
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


def project_or_none(folder: Path) -> Project | None:
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
    if other.keys() != report.per_query.keys():
        raise SettingsError(f"{path} must be of the same queries; it is of others")
    shared = [name for name in report.metrics if all(name in values for values in other.values())]
    result: dict[str, dict[str, float]] = {}
    for name in shared:
        tested = randomisation_test(
            [values[name] for values in report.per_query.values()],
            [other[query][name] for query in report.per_query],
            rng=np.random.default_rng(SEED),
        )
        result[name] = {"difference": tested.difference, "p": tested.p_value}
    return result


def describe(report: EvaluationReport) -> str:
    """A report as a person reads it."""
    lines = [f"{len(report.per_query)} queries"]
    lines += [
        f"{name:12} {mean.value:.4f}  95 % interval {mean.low:.4f} to {mean.high:.4f}"
        for name, mean in report.metrics.items()
    ]
    return "\n".join(lines)
