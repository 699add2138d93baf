"""`argot index gc`."""

from pathlib import Path

import click

from argot.cli.output import find_project, json_option, print_json, project_option, say, size


@click.command("gc")
@click.option("--waiting", is_flag=True, help="Also versions that wait to be promoted.")
@click.option("--dry-run", is_flag=True, help="Say what would be removed, and remove nothing.")
@json_option
@project_option
def command(*, waiting: bool, dry_run: bool, as_json: bool, folder: Path | None) -> None:
    """Remove versions that nobody needs, from disk and from the catalog.

    The live version stays, the one before it, those that a process has open, and those that are
    newer than the live one and were never promoted.
    """
    from argot.index.versions import collect

    found, gone = collect(find_project(folder), waiting=waiting, dry_run=dry_run)
    chosen = [leftover for leftover in found if leftover.kept is None]
    if not dry_run:
        chosen = [leftover for leftover in chosen if leftover.name in gone]
    freed = sum(leftover.size for leftover in chosen)
    if as_json:
        print_json(
            {
                "dry_run": dry_run,
                "removed": [{"name": old.name, "bytes": old.size} for old in chosen],
                "kept": [
                    {"name": old.name, "bytes": old.size, "why": old.kept}
                    for old in found
                    if old.kept is not None
                ],
                "bytes": freed,
            }
        )
        return
    for leftover in found:
        if leftover.kept is not None:
            say(f"kept {leftover.name}, {size(leftover.size)}: {leftover.kept}")
    word = "would remove" if dry_run else "removed"
    for leftover in chosen:
        say(f"{word} {leftover.name}, {size(leftover.size)}")
    say(f"{word} {len(chosen)} versions, {size(freed)}")
