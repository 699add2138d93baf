"""`argot index grow`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from argot.cli.output import (
    find_project,
    json_option,
    print_json,
    progress_line,
    project_option,
    say,
)

if TYPE_CHECKING:
    from argot.index.growing import GrowReport


@click.command("grow")
@click.option("--to", "url", required=True, metavar="URL", help="The Qdrant server's URL.")
@click.option("--write", is_flag=True, help="Write the URL into argot.toml.")
@json_option
@project_option
def command(*, url: str, write: bool, as_json: bool, folder: Path | None) -> None:
    """Move the live index to a Qdrant server, without embedding again.

    Every point is compared afterwards. The server answers once [index] in argot.toml names it;
    until then, and until `argot index gc`, the embedded index stays. A move that was broken off is
    completed by running it again.
    """
    from argot.index.growing import grow

    project = find_project(folder)
    with progress_line() as line:
        report = grow(
            project, url=url, write=write, tell=lambda count: line.show(f"{count} points")
        )
    if as_json:
        print_json(
            {
                "version": report.version,
                "before": report.before,
                "collection": report.collection,
                "points": report.transfer.points,
                "written": report.transfer.written,
                "removed": report.transfer.removed,
                "live": report.live,
            }
        )
    else:
        say(describe(report, url=url))


def describe(report: "GrowReport", *, url: str) -> str:
    """A move as a person reads it."""
    done = report.transfer
    lines = [
        f"{done.points} points of {report.before} are in collection {report.collection}, compared "
        f"one by one; {done.written} were written, {done.removed} removed"
    ]
    if report.live:
        lines.append(
            f"{report.version} answers now; `argot index rollback` goes back to {report.before}"
        )
    else:
        lines += [
            f"{report.before} still answers. To let the server answer, put this under [index] in "
            "argot.toml",
            f'  url = "{url}"',
            "and run the same command again; or run it with --write, which does both",
        ]
    return "\n".join(lines)
