"""Every example runs."""

import json
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


def test_the_prompt_chain_asks_for_whom_it_is_told(tmp_path: Path) -> None:
    corpus, project = tmp_path / "corpus.jsonl", str(tmp_path / "project")
    line = {"_id": "pay", "text": "The board has forty days of leave.", "access": ["group:board"]}
    corpus.write_text(json.dumps(line) + "\n")
    assert run(["init", project, "--source", str(corpus)]) == 0
    assert run(["ingest", "--project", project]) == 0
    command = [sys.executable, EXAMPLES / "prompt_chain.py", project, "days of leave"]
    nobody = subprocess.run(command, capture_output=True, text=True, check=False)
    assert nobody.returncode == 1
    assert "MissingPrincipalError" in nobody.stderr
    board = subprocess.run(
        [*command, "group:board"], capture_output=True, text=True, check=True
    ).stdout
    assert "forty days" in board


def test_no_example_is_left_out() -> None:
    assert sorted(path.name for path in EXAMPLES.glob("*.py")) == [
        "prompt_chain.py",
        "rag_chain.py",
    ]
