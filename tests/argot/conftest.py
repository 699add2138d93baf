"""Projects to run commands on."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from argot.cli.main import run

Run = Callable[..., tuple[int, Any, str]]

DOCUMENTS = {
    "leave.md": "# Leave\n\nEmployees take thirty days of paid leave in a year.\n",
    "power.md": "# Power\n\nPress the button for three seconds to reset the device.\n",
    "wings.txt": "Lift and drag of a wing in supersonic flow over a flat plate.\n",
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project without a model, with three documents."""
    docs = tmp_path / "project" / "docs"
    docs.mkdir(parents=True)
    for name, text in DOCUMENTS.items():
        (docs / name).write_text(text, encoding="utf-8")
    (tmp_path / "project" / "argot.toml").write_text(
        "[[sources]]\nname = 'docs'\npath = 'docs'\n", encoding="utf-8"
    )
    return tmp_path / "project"


@pytest.fixture
def argot(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command: exit code, stdout (parsed where it is JSON), stderr."""

    def call(*arguments: str | Path) -> tuple[int, Any, str]:
        capsys.readouterr()
        code = run([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return code, json.loads(out) if "--json" in arguments and out else out, err

    return call
