"""`argot ingest`."""

from pathlib import Path

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
from argot.cli.search_options import not_nan
from argot.ingest_progress import IngestProgress
from indexing.sync.report import SyncReport

SHOWN_FAILURES = 10


@click.command("ingest")
@click.argument("sources", nargs=-1, metavar="[SOURCE]...")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@click.option("--retry-failed", is_flag=True, help="Try again what failed before.")
@click.option("--rebuild", is_flag=True, help="Fill a new index version, then switch to it.")
@click.option(
    "--max-delete-fraction",
    type=click.FloatRange(0, 1),
    callback=not_nan,
    help="Refuse to remove a larger share of a source.",
)
@json_option
@project_option
def command(
    sources: tuple[str, ...],
    *,
    dry_run: bool,
    retry_failed: bool,
    rebuild: bool,
    max_delete_fraction: float | None,
    as_json: bool,
    folder: Path | None,
) -> int:
    """Bring the index in step with its sources.

    SOURCE is a configured name or a path; without one, all configured sources are ingested. A run
    that was interrupted is completed by running it again.
    """
    project = find_project(folder)
    chosen = list(sources) or None
    if dry_run and rebuild:
        raise click.UsageError("--dry-run says what a plain ingest would do; leave out --rebuild")
    if dry_run:
        report = project.preview(
            chosen, retry_failed=retry_failed, max_delete_fraction=max_delete_fraction
        )
    else:
        with progress_line() as line:
            report = project.ingest(
                chosen,
                retry_failed=retry_failed,
                rebuild=rebuild,
                max_delete_fraction=max_delete_fraction,
                progress=lambda progress: draw(line, progress),
            )
    if as_json:
        print_json(report_json(report))
    else:
        say(describe(report, dry_run=dry_run))
    return PARTLY if report.failed else DONE


def draw(line: ProgressLine, progress: IngestProgress) -> None:
    """Show how far an ingestion has come, and how long it will take at its present speed."""
    left = progress.seconds_left
    line.show(
        f"{progress.source}: {progress.phase}, {progress.documents} of {progress.expected} "
        f"documents ({progress.documents_per_second:.1f}/s), {progress.chunks} chunks encoded "
        f"({progress.chunks_per_second:.1f}/s)" + (f", {duration(left)} left" if left else "")
    )


def report_json(report: SyncReport) -> dict[str, object]:
    """A report as the JSON output has it."""
    return {
        **report.counts,
        "failed": [
            {"source": f.source, "document": f.document_id, "reason": f.reason}
            for f in report.failed
        ],
        "ignored": dict(report.ignored),
    }


def describe(report: SyncReport, *, dry_run: bool) -> str:
    """A report as a person reads it."""
    lines = [
        f"{'would be' if dry_run else 'done'}: {report.added} added, {report.changed} changed, "
        f"{report.metadata_only} with new metadata, {report.deleted} deleted, {report.kept} kept, "
        f"{len(report.failed)} failed; {report.chunks_embedded} chunks encoded in "
        f"{duration(report.seconds)}"
    ]
    lines += [f"  failed: {f.document_id}: {f.reason}" for f in report.failed[:SHOWN_FAILURES]]
    if len(report.failed) > SHOWN_FAILURES:
        lines.append(f"  and {len(report.failed) - SHOWN_FAILURES} more: `argot status` lists them")
    if report.failed:
        lines.append(
            "  the next runs retry, three times; after that only a change or --retry-failed does"
        )
    if report.ignored:
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(report.ignored.items()))
        lines.append(f"  not read, for want of a parser: {kinds}")
    return "\n".join(lines)
