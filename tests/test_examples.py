"""Every example runs."""

import subprocess
import sys
from pathlib import Path

from argot.cli.main import run

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


def test_the_prompt_chain_cites_the_document_that_answers(tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "leave.md").write_text("# Leave\n\nEverybody has thirty days of leave a year.\n")
    assert run(["init", str(tmp_path / "project"), "--source", str(docs)]) == 0
    assert run(["ingest", "--project", str(tmp_path / "project")]) == 0
    done = subprocess.run(
        [sys.executable, EXAMPLES / "prompt_chain.py", tmp_path / "project", "days of leave"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "[1] leave.md\n# Leave" in done.stdout
    assert "Question: days of leave" in done.stdout


def test_no_example_is_left_out() -> None:
    assert sorted(path.name for path in EXAMPLES.glob("*.py")) == [
        "prompt_chain.py",
        "rag_chain.py",
    ]
