"""`argot index list`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from argot.cli.output import find_project, json_option, print_json, project_option, say, size

if TYPE_CHECKING:
    from argot.index.versions import VersionSummary


@click.command("list")
@json_option
@project_option
def command(*, as_json: bool, folder: Path | None) -> None:
    """Show the versions of the index, oldest first: `*` answers, `-` answered before."""
    from argot.index.versions import summaries

    found = summaries(find_project(folder))
    if as_json:
        print_json({"versions": [content(summary) for summary in found]})
        return
    if not found:
        say("nothing is indexed yet; run `argot ingest`")
    for summary in found:
        click.echo(line(summary))


def content(summary: "VersionSummary") -> dict[str, Any]:
    """A version as the JSON output has it."""
    version = summary.version
    return {
        "name": version.name,
        "live": summary.live,
        "previous": summary.previous,
        "created": version.created,
        "encoder": version.encoder,
        "model": version.encoder_settings.get("model") or None,
        "dimensions": version.dimensions,
        "built_from": version.built_from,
        "documents": summary.documents,
        "chunks": summary.chunks,
        "bytes": summary.size,
    }


def line(summary: "VersionSummary") -> str:
    """A version as a person reads it."""
    version = summary.version
    mark = "*" if summary.live else "-" if summary.previous else " "
    model = version.encoder_settings.get("model") or ""
    encoder = (
        f"encoder {version.encoder[:12]} {model}".rstrip() if version.encoder else "words only"
    )
    return (
        f"{mark} {version.name}  {encoder}, {version.dimensions or 'no'} dimensions, "
        f"{summary.documents} documents, {summary.chunks} chunks, {size(summary.size)}, "
        f"made {version.created}"
    )
