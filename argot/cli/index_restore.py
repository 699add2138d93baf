"""`argot index restore`."""

from pathlib import Path

import click

from argot.cli.output import (
    find_project,
    json_option,
    print_json,
    progress_line,
    project_option,
    say,
)


@click.command("restore")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--force", is_flag=True, help="Let it answer in place of the live index.")
@json_option
@project_option
def command(file: Path, *, force: bool, as_json: bool, folder: Path | None) -> None:
    """Make an index of a backup, and let it answer.

    It becomes a new version, embedded or on the server that [index] names; nothing is written
    over. Every checksum is checked first and every point compared afterwards.
    """
    from argot.index.backups import restore

    project = find_project(folder)
    with progress_line() as line:
        report = restore(project, file, force=force, tell=lambda n: line.show(f"{n} points"))
    if as_json:
        print_json(
            {
                "version": report.version,
                "origin": report.origin,
                "before": report.before,
                "points": report.points,
                "rows": report.rows,
            }
        )
        return
    say(
        f"{report.version} answers now: {report.points} points of {report.origin}, compared one "
        f"by one, and {report.rows} rows of the catalog"
    )
    if report.before is not None:
        say(f"`argot index rollback` goes back to {report.before}")
