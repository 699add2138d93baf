"""`argot adapt`."""

from dataclasses import replace
from pathlib import Path

import click

from adapters_training.config_dicts import STAGES
from adapters_training.metrics import StepReport
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


@click.command("adapt")
@click.option("--name", help="Of the new encoder; default: the next free adapted-N.")
@click.option(
    "--text",
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    help="Folder, txt or jsonl to learn from; repeatable; default: what is indexed.",
)
@click.option("--stages", metavar="KIND,…", help=f"Of {', '.join(STAGES)}, in order.")
@click.option("--steps", type=click.IntRange(min=1), help="Optimizer steps of each stage.")
@click.option("--resume", is_flag=True, help="Go on with an interrupted run.")
@json_option
@project_option
def command(
    *,
    name: str | None,
    text: tuple[Path, ...],
    stages: str | None,
    steps: int | None,
    resume: bool,
    as_json: bool,
    folder: Path | None,
) -> int:
    """Teach the base model the language of your documents.

    Writes a new encoder; `model` in [encoder] and `argot ingest --rebuild` put it to use.
    """
    project = find_project(folder)
    try:
        from argot.adaptation import adapt_project, adapt_settings
    except ImportError as exc:
        raise SettingsError(
            f"adapting needs the training packages: {exc}\nhint: pip install 'argot-search[train]'"
        ) from exc
    if stages is not None:
        chosen = [kind.strip() for kind in stages.split(",")]
        project.settings = replace(
            project.settings, adapt={**project.settings.adapt, "stages": chosen}
        )
    with progress_line() as line:
        encoder = adapt_project(
            project,
            name=name,
            text=text,
            settings=adapt_settings(project, steps=steps),
            resume=resume,
            progress=lambda report: draw(line, report),
        )
    report = project.paths.runs / encoder.name / "report.html"
    if as_json:
        print_json(
            {
                "name": encoder.name,
                "folder": str(encoder.folder),
                "fingerprint": encoder.spec.fingerprint,
                "report": str(report),
            }
        )
        return DONE
    say(f"wrote encoder {encoder.name} to {encoder.folder}\ntraining curves: {report}")
    say(f'to use it: set `model = "{encoder.name}"` in [encoder], then `argot ingest --rebuild`')
    return DONE


def draw(line: ProgressLine, report: StepReport) -> None:
    """Show how far training has come."""
    line.show(
        f"{report.stage}: step {report.step}/{report.steps}, loss {report.loss:.3f}, "
        f"{report.tokens_per_second:.0f} tokens/s, {duration(report.eta_seconds)} left"
    )
