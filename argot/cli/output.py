"""What commands print: data on stdout, talk on stderr."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.status import Status

from argot.cli.visible import visible
from argot.project import Project

SCHEMA_VERSION = 1
LINE_EVERY_SECONDS = 10.0

project_option = click.option(
    "--project",
    "folder",
    type=click.Path(path_type=Path),
    help="Folder with argot.toml; default: this one, or the nearest above it.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def print_json(content: dict[str, Any]) -> None:
    """Print one JSON object with its schema version."""
    click.echo(json.dumps({"schema_version": SCHEMA_VERSION, **content}, ensure_ascii=False))


def find_project(folder: Path | None) -> Project:
    """Open the project in a folder; without one, the nearest from here upwards."""
    if folder is not None:
        return Project.open(folder)
    here = Path.cwd()
    for place in (here, *here.parents):
        if (place / "argot.toml").is_file():
            return Project.open(place)
    return Project.open(here)


def show(text: str, *, newline: bool = True) -> None:
    """Show a person what was asked for, on stdout."""
    click.echo(visible(text), nl=newline)


def say(text: str) -> None:
    """Talk on stderr."""
    click.echo(visible(text), err=True)


class ProgressLine:
    """Where the work stands: a moving line on a terminal, a new line now and then elsewhere."""

    def __init__(self, status: Status | None) -> None:
        self._status = status
        self._began = monotonic()
        self._shown = self._began

    @property
    def seconds(self) -> float:
        """Since it began."""
        return monotonic() - self._began

    def show(self, text: str) -> None:
        """Show where the work stands."""
        if self._status is not None:
            self._status.update(escape(visible(text)))
        elif monotonic() - self._shown >= LINE_EVERY_SECONDS:
            self._shown = monotonic()
            say(text)


@contextmanager
def progress_line() -> Iterator[ProgressLine]:
    """Show progress on stderr while the block runs."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield ProgressLine(None)
        return
    with console.status("starting") as status:
        yield ProgressLine(status)


def duration(seconds: float) -> str:
    """Write a duration as a person would."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def size(count: int) -> str:
    """Write a number of bytes as a person would."""
    for unit, bytes_ in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if count >= bytes_:
            return f"{count / bytes_:,.1f} {unit}"
    return f"{count} bytes"
