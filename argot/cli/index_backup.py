"""`argot index backup`."""

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


@click.command("backup")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--version", "name", metavar="NAME", help="Another version than the live one.")
@json_option
@project_option
def command(file: Path, *, name: str | None, as_json: bool, folder: Path | None) -> None:
    """Write the live index into one file, with what the catalog knows of it.

    FILE is a tar, complete or not there; it is the same for an embedded index and for one on a
    server, and `argot index restore` makes either of it. It holds the texts of the documents, but
    not the encoder.
    """
    from argot.index.backups import back_up

    project = find_project(folder)
    with progress_line() as line:
        report = back_up(project, file, name=name, tell=lambda n: line.show(f"{n} points"))
    if as_json:
        print_json(
            {
                "file": str(file),
                "version": report.version,
                "points": report.points,
                "rows": report.rows,
                "bytes": report.size,
            }
        )
    else:
        say(
            f"{file}: {report.version}, {report.points} points, {report.rows} rows of the catalog, "
            f"{report.size / 1e6:.1f} MB"
        )
