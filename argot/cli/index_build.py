"""`argot index build`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from argot.cli.main import DONE, PARTLY
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
from indexing.sync.step_report import StepProgress, StepReport

if TYPE_CHECKING:
    from argot.index.building import BuildReport


@click.command("build")
@click.option(
    "--encoder",
    metavar="NAME",
    help="Encoder of the project, or model folder; default: as [encoder] says.",
)
@json_option
@project_option
def command(*, encoder: str | None, as_json: bool, folder: Path | None) -> int:
    """Build a version beside the live one, from the stored chunks.

    With another encoder, or with what [index] says today. No source is read; the live version
    answers and can be ingested into meanwhile. A build that was interrupted is completed by running
    it again. `argot index promote` then lets the new version answer.
    """
    from argot.index.building import build_version

    project = find_project(folder)
    with progress_line() as line:
        report = build_version(project, encoder=encoder, tell=lambda p: draw(line, p))
    if as_json:
        print_json({"version": report.version, "live": report.live, **step_json(report.step)})
    else:
        say(describe(report))
    return PARTLY if report.step.failed else DONE


def draw(line: ProgressLine, progress: StepProgress) -> None:
    """Show how far a version has come, and how long it will take at its present speed."""
    seconds = max(line.seconds, 0.001)
    left = max(progress.expected - progress.chunks, 0) / max(progress.chunks, 1) * seconds
    line.show(
        f"{progress.phase}, {progress.chunks} of {progress.expected} chunks "
        f"({progress.chunks / seconds:.1f}/s), {duration(left)} left"
    )


def step_json(step: StepReport) -> dict[str, object]:
    """What was brought in step, as the JSON output has it."""
    return {
        "documents": step.written,
        "removed": step.removed,
        "chunks_embedded": step.chunks_embedded,
        "seconds": round(step.seconds, 3),
        "failed": [
            {"source": f.source, "document": f.document_id, "reason": f.reason} for f in step.failed
        ],
    }


def describe(report: "BuildReport") -> str:
    """A build as a person reads it."""
    if report.live:
        return f"{report.version} answers already, and was built with this encoder and settings"
    lines = [f"built {report.version}: {described_step(report.step)}"]
    if report.longer:
        lines.append(
            f"  about {report.longer:.1%} of the chunks are longer than the encoder reads; their "
            "ends can be found by words only. `argot ingest --rebuild` cuts documents to fit"
        )
    lines.append(f"  `argot index promote {report.version}` lets it answer")
    return "\n".join(lines)


def described_step(step: StepReport) -> str:
    """What was brought in step, as a person reads it."""
    lines = [
        f"{step.written} documents written, {step.removed} removed, {step.chunks_embedded} chunks "
        f"encoded in {duration(step.seconds)}"
    ]
    lines += [f"  failed: {f.document_id}: {f.reason}" for f in step.failed[:10]]
    if len(step.failed) > 10:
        lines.append(f"  and {len(step.failed) - 10} more")
    return "\n".join(lines)
