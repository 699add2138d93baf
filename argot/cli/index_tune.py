"""`argot index tune`."""

from importlib.util import find_spec
from pathlib import Path

import click

from argot.cli.main import DONE
from argot.cli.output import (
    find_project,
    json_option,
    print_json,
    progress_line,
    project_option,
    say,
)
from argot.cli.search_options import not_nan

Existing = click.Path(exists=True, path_type=Path)


@click.command("tune")
@click.option("--queries", type=Existing, help="queries.jsonl of judged queries.")
@click.option("--qrels", type=Existing, help="Judgements of those queries.")
@click.option(
    "--beir", type=Existing, help="Folder with queries.jsonl and qrels, in place of both."
)
@click.option("--split", default="test", show_default=True, help="Of that folder's qrels.")
@click.option(
    "--keep",
    type=click.FloatRange(min=0, max=1, min_open=True),
    callback=not_nan,
    default=0.99,
    show_default=True,
    help="Share of the whole vectors' nDCG@10 that the chosen ones must keep.",
)
@click.option(
    "--chunks",
    type=click.IntRange(min=1),
    default=20_000,
    show_default=True,
    help="Try on about so many: those of judged documents and a random share of the others.",
)
@click.option("--index", "name", metavar="VERSION", help="Its vectors; default: the live version.")
@click.option("--write", is_flag=True, help="Write the choice into [index] of argot.toml.")
@click.option(
    "--plot",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Page with the plot; default: .argot/tuning.html, where matplotlib is installed.",
)
@json_option
@project_option
def command(
    *,
    queries: Path | None,
    qrels: Path | None,
    beir: Path | None,
    split: str,
    keep: float,
    chunks: int,
    name: str | None,
    write: bool,
    plot: Path | None,
    as_json: bool,
    folder: Path | None,
) -> int:
    """Find the smallest vectors that search as well as the whole ones.

    Tries truncation, SVD, PCA, whitening, smaller storage, quantization and two-stage search on the
    vectors of the index, with your judged queries. Prints nDCG@10, bytes on disk and latency of
    each, which are on the Pareto front, and the smallest that keeps enough of the quality. Nothing
    is encoded but the queries, and the index stays as it is.
    """
    from argot.index.gate import judged_questions
    from argot.tuning.reduction import tune, write_choice
    from argot.tuning.reduction_options import choose
    from argot.tuning.reduction_report import json_of, lines_of, write_tuning_report

    questions = judged_questions(queries=queries, qrels=qrels, beir=beir, split=split)
    if questions is None:
        raise click.UsageError("tuning needs judged queries: give --queries and --qrels, or --beir")
    can_plot = find_spec("matplotlib") is not None
    if plot is not None and not can_plot:
        raise click.UsageError("--plot needs matplotlib\nhint: pip install 'argot-search[plots]'")
    project = find_project(folder)
    with progress_line() as line:
        tried = tune(project, questions.judgements, name=name, limit=chunks, progress=line.show)
    chosen = choose(tried, keep=keep)
    page = plot or project.paths.state / "tuning.html"
    if can_plot:
        write_tuning_report(page, tried, chosen, keep=keep)
    if write:
        write_choice(project, chosen.reduction)
    if as_json:
        print_json({**json_of(tried, chosen), "written": write, "plot": _shown(page, can_plot)})
    else:
        click.echo("\n".join(lines_of(tried, chosen)))
        say(_advice(chosen.name, keep=keep, written=write, page=_shown(page, can_plot)))
    return DONE


def _shown(page: Path, drawn: bool) -> str | None:
    return str(page) if drawn else None


def _advice(name: str, *, keep: float, written: bool, page: str | None) -> str:
    lines = [f"chosen: {name}, the smallest that keeps {keep:.1%} of the quality"]
    lines.append(
        "[index] of argot.toml says so now; `argot index build` makes a version with it"
        if written
        else "--write puts it into [index] of argot.toml"
    )
    lines.append(
        "hint: pip install 'argot-search[plots]' for a plot" if page is None else f"plot: {page}"
    )
    return "\n".join(lines)
