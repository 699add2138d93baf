"""`argot tune`."""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

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
from argot.cli.search_options import principals_option
from argot.errors import SettingsError
from retriever.evaluation.judgements import Judgements, read_judgements

if TYPE_CHECKING:
    from argot.tuning.search import Tuning

Existing = click.Path(exists=True, path_type=Path)
CHANCE = 0.05


@click.command("tune")
@click.option("--queries", type=Existing, help="queries.jsonl of judged queries.")
@click.option("--qrels", type=Existing, help="Judgements to choose by, such as a train split.")
@click.option(
    "--held-out",
    type=Existing,
    help="Judgements of other queries to check the choice on; default: a third of --qrels, drawn "
    "at random.",
)
@click.option(
    "--beir", type=Existing, help="Folder with queries.jsonl and qrels, in place of the first two."
)
@click.option("--split", default="train", show_default=True, help="Of that folder's qrels.")
@principals_option
@click.option("--dry-run", is_flag=True, help="Write no settings.")
@click.option(
    "--plot",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Page with the plot; default: .argot/search-tuning.html, where matplotlib is installed.",
)
@json_option
@project_option
def command(
    *,
    queries: Path | None,
    qrels: Path | None,
    held_out: Path | None,
    beir: Path | None,
    split: str,
    principals: tuple[str, ...],
    dry_run: bool,
    plot: Path | None,
    as_json: bool,
    folder: Path | None,
) -> int:
    """Find how the rankings by words and by vectors are best fused.

    Tries depths, fusion methods, their constant and weights on judged queries, and the depth and
    weight of reranking where a reranker is configured; each query is searched once. Measures the
    best on held-out queries and, where it is better than the present settings there, writes it into
    [search] of argot.toml.
    """
    from argot.tuning.search import tune_search, write_search
    from argot.tuning.search_report import json_of, lines_of, write_page

    train, others = read_parts(queries, qrels, held_out=held_out, beir=beir, split=split)
    can_plot = find_spec("matplotlib") is not None
    if plot is not None and not can_plot:
        raise click.UsageError("--plot needs matplotlib\nhint: pip install 'argot-search[plots]'")
    project = find_project(folder)
    asking = list(principals) or None
    with progress_line() as line:
        tuning = tune_search(project, train, others, principals=asking, progress=line.show)
    page = plot or project.paths.state / "search-tuning.html"
    if can_plot:
        write_page(page, tuning)
    written = tuning.improves and not dry_run
    if written:
        write_search(project, tuning.chosen)
    shown = str(page) if can_plot else None
    if as_json:
        print_json({**json_of(tuning), "written": written, "plot": shown})
    else:
        click.echo("\n".join(lines_of(tuning)))
        say(advice(tuning, written=written, page=shown))
    return DONE


def read_parts(
    queries: Path | None,
    qrels: Path | None,
    *,
    held_out: Path | None,
    beir: Path | None,
    split: str,
) -> tuple[Judgements, Judgements]:
    """Read the queries to choose by and those to check on.

    Raises:
        UsageError: no judged queries are given.
        SettingsError: they are too few, or do not go together.
        JudgementsError: they can't be read.
    """
    from argot.evaluation.parts import apart, split_judgements
    from argot.index.gate import judged_questions

    questions = judged_questions(queries=queries, qrels=qrels, beir=beir, split=split)
    if questions is None:
        raise click.UsageError("tuning needs judged queries: give --queries and --qrels, or --beir")
    if held_out is None:
        return apart(*split_judgements(questions.judgements))
    texts = queries or next(
        (path for path in (beir or Path()).glob("queries.jsonl*") if path.is_file()), None
    )
    if texts is None:
        raise SettingsError(f"{beir} holds no queries.jsonl for --held-out")
    return apart(questions.judgements, read_judgements(queries=texts, qrels=held_out))


def advice(tuning: "Tuning", *, written: bool, page: str | None) -> str:
    """Say what it means and what was done."""
    tested = tuning.tested["ndcg@10"]
    if not tuning.improves:
        lines = ["the present settings stay: nothing does better on the held-out queries"]
    elif written:
        lines = ["[search] of argot.toml says so now"]
    else:
        lines = ["nothing is written; without --dry-run it would be"]
    if tuning.improves and tested.p_value >= CHANCE:
        lines.append(
            f"chance alone gives such a difference {tested.p_value:.0%} of the time: judge more "
            "queries to be sure"
        )
    lines.append(
        "hint: pip install 'argot-search[plots]' for a plot" if page is None else f"plot: {page}"
    )
    return "\n".join(lines)
