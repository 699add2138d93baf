"""`argot doctor`."""

from pathlib import Path

import click

from argot.cli.main import DONE, FAILED
from argot.cli.output import json_option, print_json, project_option
from argot.diagnosis import Finding, diagnose

MARKS = {"ok": "ok  ", "absent": "-   ", "wrong": "FAIL"}


@click.command("doctor")
@json_option
@project_option
def command(*, as_json: bool, folder: Path | None) -> int:
    """Check versions, hardware, model, engine and folders.

    Outside of a project only the installation is checked. Exits with 1 when something is wrong; a
    package of an extra that is not installed is not wrong.
    """
    findings = diagnose(folder or Path.cwd())
    if as_json:
        print_json({"findings": [finding.to_json() for finding in findings]})
    else:
        for finding in findings:
            click.echo(line(finding))
    return FAILED if any(finding.state == "wrong" for finding in findings) else DONE


def line(finding: Finding) -> str:
    """A finding as a person reads it."""
    return f"{MARKS[finding.state]} {finding.subject:24} {finding.detail}"
