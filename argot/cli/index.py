"""`argot index`: each of its commands in a module of its own, loaded when it runs."""

import click

from argot.cli.main import LazyCommands

COMMANDS = {
    "list": "Show the versions of the index.",
    "build": "Build a version beside the live one, from the stored chunks.",
    "promote": "Judge a version and let it answer.",
    "rollback": "Go back to the version that answered before.",
    "gc": "Remove versions that nobody needs.",
    "verify": "Compare a version with the catalog, point by point.",
    "tune": "Find the smallest vectors that search as well as the whole ones.",
    "grow": "Move the live index to a Qdrant server.",
    "backup": "Write the live index into one file.",
    "restore": "Make an index of a backup, and let it answer.",
}


@click.group("index", cls=LazyCommands, table=COMMANDS, modules="argot.cli.index_")
def command() -> None:
    """Build, promote, check and clean up versions of the index."""
