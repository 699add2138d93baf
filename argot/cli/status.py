"""`argot status`."""

from pathlib import Path

import click

from argot.cli.output import find_project, json_option, print_json, project_option, show
from argot.status import Status


@click.command("status")
@json_option
@project_option
def command(*, as_json: bool, folder: Path | None) -> None:
    """Show what is indexed and what failed."""
    from argot.status import read_status

    status = read_status(find_project(folder))
    if as_json:
        print_json(status.to_json())
    else:
        show(describe(status))


def describe(status: Status) -> str:
    """The state as a person reads it."""
    if status.live is None:
        return "nothing is indexed yet; run `argot ingest`"
    lines = [f"live index: {status.live}"]
    lines += [
        f"  {name}: encoder {encoder[:12] if encoder else 'none (words only)'}, "
        f"{dimensions or 'no'} dimensions"
        for name, encoder, dimensions in status.versions
    ]
    for source in status.sources:
        strange = "" if source.source in status.configured else "; not a source of argot.toml"
        lines.append(
            f"source {source.source}: {source.documents} documents, {source.chunks} chunks, "
            f"{source.failed} failed{strange}"
        )
    lines += [f"  failed: {f.document_id}: {f.reason}" for f in status.failures]
    for run in status.runs:
        counts = ", ".join(f"{value} {name}" for name, value in run.counts.items() if value)
        lines.append(f"last run of {run.source}: {run.status}, began {run.started}; {counts}")
    return "\n".join(lines)
