"""What commands print: data on stdout, talk on stderr."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any

import click

from argot.project import Project

SCHEMA_VERSION = 1
LINE_EVERY_SECONDS = 10.0

project_option = click.option(
    "--project",
    "folder",
    type=click.Path(path_type=Path),
    default=".",
    show_default="here",
    help="Folder with argot.toml.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def print_json(content: dict[str, Any]) -> None:
    """Print one JSON object with its schema version."""
    click.echo(json.dumps({"schema_version": SCHEMA_VERSION, **content}, ensure_ascii=False))


def find_project(folder: Path) -> Project:
    """Open the project in a folder or the nearest one above it."""
    start = folder.resolve()
    for place in (start, *start.parents):
        if (place / "argot.toml").is_file():
            return Project.open(place)
    return Project.open(start)


def say(text: str) -> None:
    """Talk on stderr."""
    click.echo(text, err=True)


class ProgressLine:
    """One line that is drawn over on a terminal, and printed anew now and then elsewhere."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._began = monotonic()
        self._shown = self._began if not self._terminal else 0.0
        self._drawn = False

    @property
    def seconds(self) -> float:
        """Since it began."""
        return monotonic() - self._began

    def show(self, text: str) -> None:
        """Show where the work stands, if the last time was long enough ago."""
        pause = 0.2 if self._terminal else LINE_EVERY_SECONDS
        if monotonic() - self._shown < pause:
            return
        self._shown = monotonic()
        if self._terminal:
            click.echo(f"\r\x1b[2K{text}", err=True, nl=False)
            self._drawn = True
        else:
            say(text)

    def clear(self) -> None:
        """Wipe what was drawn."""
        if self._drawn:
            click.echo("\r\x1b[2K", err=True, nl=False)


@contextmanager
def progress_line() -> Iterator[ProgressLine]:
    """Draw progress on stderr and wipe it at the end."""
    line = ProgressLine()
    try:
        yield line
    finally:
        line.clear()


def duration(seconds: float) -> str:
    """Write a duration as a person would."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
