"""`argot adapt`."""

import importlib.util
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from adapters_training.recipes import DEFAULT_RECIPE, list_recipes
from adapters_training.selection.metrics import StepReport
from adapters_training.settings.dicts import STAGES
from argot.cli.main import DONE
from argot.cli.output import (
    ProgressLine,
    duration,
    find_project,
    json_option,
    print_json,
    progress_line,
    project_option,
    say,
)
from argot.errors import SettingsError
from argot.project import Project

if TYPE_CHECKING:
    from adapters_training.estimate.estimate import StageEstimate
    from adapters_training.settings.run import AdaptSettings


@click.command("adapt")
@click.option("--name", help="Of the new encoder; default: the next free adapted-N.")
@click.option(
    "--recipe",
    metavar="NAME|FILE",
    help=f"Stages and settings, under those of [adapt]; default: {DEFAULT_RECIPE}.",
)
@click.option("--list-recipes", "listing", is_flag=True, help="List the recipes, and end.")
@click.option(
    "--text",
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    help="Folder, txt or jsonl to learn from; repeatable; default: what is indexed.",
)
@click.option(
    "--pairs",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Labelled pairs, jsonl or jsonl.gz: query, positive, negatives; repeatable.",
)
@click.option(
    "--development",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Judged queries in BEIR's layout, to choose the weights by; default: pairs held back.",
)
@click.option("--development-split", default="dev", show_default=True, help="Of their qrels.")
@click.option("--stages", metavar="KIND,…", help=f"Of {', '.join(STAGES)}, in order.")
@click.option("--steps", type=click.IntRange(min=1), help="Optimizer steps of each stage.")
@click.option("--dry-run", is_flag=True, help="Tell what it would take, and write nothing.")
@click.option("--resume", is_flag=True, help="Go on with an interrupted run.")
@json_option
@project_option
def command(
    *,
    name: str | None,
    recipe: str | None,
    listing: bool,
    text: tuple[Path, ...],
    pairs: tuple[Path, ...],
    development: Path | None,
    development_split: str,
    stages: str | None,
    steps: int | None,
    dry_run: bool,
    resume: bool,
    as_json: bool,
    folder: Path | None,
) -> int:
    """Teach the base model the language of your documents.

    Writes a new encoder; `argot index build --encoder NAME` and `promote` put it to use.
    """
    if int(os.environ.get("RANK", "0")):  # one of several processes, and not the main one
        return help_main_process(idle=listing or dry_run)
    if listing:
        return show_recipes(as_json=as_json)
    if dry_run and resume:
        raise SettingsError("a dry run is of a new run\nhint: leave out --dry-run or --resume")
    project = find_project(folder)
    check_packages()
    from argot.training.adaptation import adapt_settings

    kinds = [kind.strip() for kind in stages.split(",")] if stages else []
    settings = adapt_settings(project, recipe=recipe, stages=kinds, steps=steps)
    data = {
        "text": text,
        "pairs": pairs,
        "development": development,
        "development_split": development_split,
    }
    if dry_run:
        return show_estimate(project, settings, data=data, as_json=as_json)
    return adapt(project, settings, data=data, name=name, resume=resume, as_json=as_json)


def help_main_process(*, idle: bool) -> int:
    """Do this process's share of the training; all else the main process does."""
    if not idle:
        check_packages()
        from adapters_training.adapt import help_adapt

        help_adapt()
    return DONE


def show_recipes(*, as_json: bool) -> int:
    """Print the names of the recipes and what they are."""
    recipes = list_recipes()
    if as_json:
        content = [{"name": recipe.name, "summary": recipe.summary} for recipe in recipes]
        print_json({"recipes": content})
        return DONE
    width = max(len(recipe.name) for recipe in recipes)
    for recipe in recipes:
        click.echo(f"{recipe.name:<{width}}  {recipe.summary}")
    return DONE


def check_packages() -> None:
    """Refuse to begin without the packages that training needs."""
    missing = [
        name for name in ("torch", "transformers", "peft") if importlib.util.find_spec(name) is None
    ]
    if missing:
        raise SettingsError(
            f"adapting needs the training packages; there is no {', '.join(missing)}\n"
            "hint: pip install 'argot-search[train]'"
        )


def show_estimate(
    project: Project, settings: "AdaptSettings", *, data: dict[str, Any], as_json: bool
) -> int:
    """Print what each stage would take."""
    from argot.training.dry_run import estimate_project

    found: list[StageEstimate] = []
    with progress_line() as line:
        line.show("preparing each stage, and taking a few of its steps")
        for stage in estimate_project(project, **data, settings=settings):
            line.show(f"{stage.label} is measured")
            found.append(stage)
    seconds = sum(stage.seconds for stage in found)
    memory = max(stage.peak_memory_bytes for stage in found)
    if as_json:
        print_json(
            {
                "stages": [estimate_to_dict(stage) for stage in found],
                "seconds": round(seconds, 1),
                "peak_memory_bytes": memory,
            }
        )
        return DONE
    for stage in found:
        click.echo(estimate_text(stage))
    click.echo(f"in all: about {duration(seconds)}, {gigabytes(memory)} of memory")
    say("nothing was written; without --dry-run it begins")
    return DONE


def estimate_to_dict(stage: "StageEstimate") -> dict[str, Any]:
    """Turn an estimate into JSON values."""
    return {
        "stage": stage.label,
        "examples": stage.examples,
        "pairs": dict(stage.pairs),
        "trained_parameters": stage.trained_parameters,
        "steps": stage.steps,
        "tokens": stage.tokens,
        "prepare_seconds": round(stage.prepare_seconds, 1),
        "train_seconds": round(stage.train_seconds, 1),
        "evaluate_seconds": round(stage.evaluate_seconds, 1),
        "seconds": round(stage.seconds, 1),
        "peak_memory_bytes": stage.peak_memory_bytes,
    }


def estimate_text(stage: "StageEstimate") -> str:
    """Write an estimate as lines."""
    pairs = ", ".join(
        f"{'up to ' if origin == 'synthetic' else ''}{count:,} {origin}"
        for origin, count in stage.pairs.items()
    )
    parts = {
        "prepare": stage.prepare_seconds,
        "train": stage.train_seconds,
        "evaluate": stage.evaluate_seconds,
    }
    times = ", ".join(f"{name} {duration(seconds)}" for name, seconds in parts.items() if seconds)
    return (
        f"{stage.label}: {stage.steps:,} steps, {stage.tokens:,} tokens of {stage.examples:,} "
        f"examples{f' ({pairs})' if pairs else ''}\n"
        f"  {duration(stage.seconds)}: {times}; {gigabytes(stage.peak_memory_bytes)} of memory"
    )


def gigabytes(count: int) -> str:
    """Write a number of bytes as a person would."""
    return f"{count / 1e9:.1f} GB"


def adapt(
    project: Project,
    settings: "AdaptSettings",
    *,
    data: dict[str, Any],
    name: str | None,
    resume: bool,
    as_json: bool,
) -> int:
    """Train, and say what came of it."""
    from argot.training.adaptation import adapt_project
    from argot.training.verdict import verdict_of

    with progress_line() as line:
        encoder = adapt_project(
            project,
            **data,
            name=name,
            settings=settings,
            resume=resume,
            progress=lambda report: draw(line, report),
            announce=line.show,
        )
    run_folder = project.paths.runs / encoder.name
    report, verdict = run_folder / "report.html", verdict_of(run_folder)
    if as_json:
        print_json(
            {
                "name": encoder.name,
                "folder": str(encoder.folder),
                "fingerprint": encoder.spec.fingerprint,
                "report": str(report),
                "helped": None if verdict is None else verdict.helped,
                "verdict": None if verdict is None else verdict.sentence,
            }
        )
        return DONE
    say(f"wrote encoder {encoder.name} to {encoder.folder}\nreport: {report}")
    if verdict is not None:
        say(verdict.sentence)
    say(
        f"to use it: `argot index build --encoder {encoder.name}`, and `argot index promote`; "
        f'or, where nothing is indexed yet, `model = "{encoder.name}"` in [encoder]'
    )
    return DONE


def draw(line: ProgressLine, report: StepReport) -> None:
    """Show how far training has come."""
    line.show(
        f"{report.stage}: step {report.step}/{report.steps}, loss {report.loss:.3f}, "
        f"{report.tokens_per_second:.0f} tokens/s, {duration(report.eta_seconds)} left"
    )
