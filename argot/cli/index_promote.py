"""`argot index promote`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from argot.cli.index_build import described_step, draw, step_json
from argot.cli.main import DONE, FAILED
from argot.cli.output import (
    find_project,
    json_option,
    print_json,
    progress_line,
    project_option,
    say,
)
from argot.cli.search_options import principals_option

if TYPE_CHECKING:
    from argot.index.gate import Verdict
    from argot.index.promotion import Switch

Existing = click.Path(exists=True, path_type=Path)


@click.command("promote")
@click.argument("name")
@click.option("--queries", type=Existing, help="queries.jsonl of judged queries.")
@click.option("--qrels", type=Existing, help="Judgements of those queries.")
@click.option(
    "--beir", type=Existing, help="Folder with queries.jsonl and qrels, in place of both."
)
@click.option("--split", default="test", show_default=True, help="Of that folder's qrels.")
@click.option("--no-gate", is_flag=True, help="Switch without measuring.")
@principals_option
@json_option
@project_option
def command(
    name: str,
    *,
    queries: Path | None,
    qrels: Path | None,
    beir: Path | None,
    split: str,
    no_gate: bool,
    principals: tuple[str, ...],
    as_json: bool,
    folder: Path | None,
) -> int:
    """Judge a version against the live one, and let it answer.

    What was ingested since it was built is replayed into it first. It is refused, with exit code 1,
    if nDCG@10 or recall@100 are worse by more than chance (paired test, p below 0.05), or if it
    lacks documents. Without judged queries, headings of the documents are searched for: that shows
    a version that is broken, not one that is a little worse.
    """
    from argot.index.gate import judged_questions
    from argot.index.promotion import promote

    questions = judged_questions(queries=queries, qrels=qrels, beir=beir, split=split)
    if no_gate and questions:
        raise click.UsageError("--no-gate measures nothing; leave out the queries")
    with progress_line() as line:
        switch = promote(
            find_project(folder),
            name,
            gate=not no_gate,
            questions=questions,
            principals=principals,
            tell=lambda progress: draw(line, progress),
        )
    return show(switch, as_json=as_json)


def show(switch: "Switch", *, as_json: bool) -> int:
    """Print what a promotion or a rollback did; return the exit code."""
    if as_json:
        print_json(content(switch))
    else:
        say(describe(switch))
    return DONE if switch.done else FAILED


def content(switch: "Switch") -> dict[str, Any]:
    """A switch as the JSON output has it."""
    return {
        "version": switch.version,
        "before": switch.before,
        "promoted": switch.done,
        "replayed": step_json(switch.replayed),
        "gate": None if switch.verdict is None else verdict_json(switch.verdict),
    }


def verdict_json(verdict: "Verdict") -> dict[str, Any]:
    """What was measured, as the JSON output has it."""
    return {
        "origin": verdict.origin,
        "queries": verdict.queries,
        "worse": verdict.worse,
        "metrics": {
            name: {
                "live": verdict.live.metrics[name].value,
                "new": verdict.new.metrics[name].value,
                "difference": found.difference,
                "p": found.p_value,
            }
            for name, found in verdict.tested.items()
        },
    }


def describe(switch: "Switch") -> str:
    """A switch as a person reads it."""
    lines = [f"replayed: {described_step(switch.replayed)}"]
    if switch.verdict is not None:
        lines += verdict_lines(switch.verdict)
    if switch.version == switch.before:
        return f"{switch.version} answers already"
    if not switch.done:
        why = "it is worse by more than chance" if switch.verdict else "it lacks documents"
        lines.append(f"refused: {why}; {switch.before} stays live\nhint: --no-gate switches anyway")
        return "\n".join(lines)
    if switch.verdict is None:
        lines.append("nothing was measured")
    lines.append(f"{switch.version} answers now; `argot index rollback` goes back")
    return "\n".join(lines)


def verdict_lines(verdict: "Verdict") -> list[str]:
    """What was measured, as a person reads it."""
    lines = [f"measured on {verdict.queries} queries, {verdict.origin}:"]
    lines += [
        f"  {name}: live {verdict.live.metrics[name].value:.4f}, new "
        f"{verdict.new.metrics[name].value:.4f} ({found.difference:+.4f}, p {found.p_value:.3f})"
        for name, found in verdict.tested.items()
    ]
    if verdict.few:
        lines.append("  these are few queries: only a large loss can be told from chance")
    return lines
