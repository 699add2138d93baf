"""`argot index rollback`."""

from pathlib import Path

import click

from argot.cli.index_build import draw
from argot.cli.index_promote import show
from argot.cli.output import find_project, json_option, progress_line, project_option


@click.command("rollback")
@json_option
@project_option
def command(*, as_json: bool, folder: Path | None) -> int:
    """Go back to the version that answered before.

    What was ingested since is replayed into it first. Rolling back again returns to this version.
    """
    from argot.index.promotion import roll_back

    with progress_line() as line:
        switch = roll_back(find_project(folder), tell=lambda progress: draw(line, progress))
    return show(switch, as_json=as_json)
