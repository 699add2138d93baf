"""`--rescore` and `--no-rescore` of `argot search` and `argot eval`."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from argot import Project
from encoder.fake import HashingEncoder
from indexing.versions.description import IndexVersion

Run = Callable[..., tuple[int, Any, str]]


@pytest.fixture
def coded(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The project with one-bit codes beside its vectors."""
    with (project / "argot.toml").open("a", encoding="utf-8") as file:
        file.write("[index]\nquantization = 'binary'\n")
    small = HashingEncoder(64)

    def encoder_of(_: Project, __: IndexVersion, **___: bool) -> HashingEncoder:
        return small

    monkeypatch.setattr(Project, "encoder_of", encoder_of)
    opened = Project.open(project)
    opened.encoder = small
    opened.ingest()
    return project


def test_a_search_can_be_told_to_rescore_or_not(coded: Path, argot: Run):
    asked = ("search", "days of leave", "--mode", "dense", "--project", coded, "--json")
    said = {
        option: argot(*asked, *option)[1]["hits"][0]
        for option in ((), ("--rescore",), ("--no-rescore",))
    }
    assert said[()] == said[("--rescore",)]
    assert said[()]["explanation"]["dense"]["rescored"] is True
    assert abs(said[()]["score"]) <= 1
    alone = said[("--no-rescore",)]
    assert alone["explanation"]["dense"]["rescored"] is False
    assert alone["score"] > 1, "bits that agree, less those that do not"


def test_a_score_of_codes_is_not_called_a_cosine(coded: Path, argot: Run):
    asked = ("search", "leave", "--mode", "dense", "--explain", "--project", coded)
    assert "cosine" in argot(*asked)[1]
    shown = argot(*asked, "--no-rescore")[1]
    assert ("cosine" in shown, "score of codes or small vectors" in shown) == (False, True)


def test_an_evaluation_compares_both_in_one_table(coded: Path, argot: Run, tmp_path: Path):
    queries, qrels = tmp_path / "queries.jsonl", tmp_path / "qrels.tsv"
    queries.write_text(json.dumps({"_id": "1", "text": "days of paid leave"}))
    qrels.write_text("1\tleave.md\t1\n")
    given = ("eval", "--queries", queries, "--qrels", qrels, "--project", coded)
    code, out, err = argot(*given, "--mode", "dense", "--rescore", "--no-rescore")
    assert code == 0, err
    assert "the index + rescored" in out
    assert "the index + not rescored" in out
    assert argot(*given, "--rescore", "--rescore")[0] == 2
    code, _, err = argot("eval", "--beir", tmp_path, "--no-rescore")
    assert (code, "--rescore works with --queries only" in err) == (2, True)
