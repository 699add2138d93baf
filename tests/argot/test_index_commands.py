"""`argot index …` on a project that searches by words: output, JSON forms and exit codes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., tuple[int, Any, str]]

VERBS = ["walk", "climb", "paint", "clean", "load", "mark", "press", "sort", "weld", "print"]


@pytest.fixture
def stemmed(project: Path, argot: Run) -> Path:
    """A project whose index finds `walks` by `walk`, and whose settings no longer ask for that."""
    for number, verb in enumerate(VERBS):
        text = f"# Rules on {verb}ing\n\nWhoever {verb}s must be careful.\n"
        (project / f"docs/{number}.md").write_text(text, encoding="utf-8")
    assert argot("ingest", "--project", project)[0] == 0
    with (project / "argot.toml").open("a") as file:
        file.write("[index]\nlanguage = 'none'\n")
    return project


@pytest.fixture
def judged(tmp_path: Path) -> list[str | Path]:
    """Queries that stemming answers."""
    queries, qrels = tmp_path / "queries.jsonl", tmp_path / "qrels.tsv"
    rows = [json.dumps({"_id": f"q{n}", "text": verb}) for n, verb in enumerate(VERBS)]
    queries.write_text("\n".join(rows), encoding="utf-8")
    qrels.write_text("\n".join(f"q{n}\t{n}.md\t1" for n in range(len(VERBS))), encoding="utf-8")
    return ["--queries", queries, "--qrels", qrels]


def index(argot: Run, project: Path, *arguments: str | Path) -> tuple[int, Any, str]:
    return argot("index", *arguments, "--project", project, "--json")


def test_a_version_is_built_promoted_rolled_back_and_removed(stemmed: Path, argot: Run) -> None:
    code, built, _ = index(argot, stemmed, "build")
    assert (code, built["documents"], built["chunks_embedded"]) == (0, 13, 13)
    old, new = "docs-0001-words", built["version"]

    code, listed, _ = index(argot, stemmed, "list")
    assert (code, listed["schema_version"]) == (0, 1)
    assert [(v["name"], v["live"], v["previous"]) for v in listed["versions"]] == [
        (old, True, False),
        (new, False, False),
    ]
    assert {v["documents"] for v in listed["versions"]} == {13}
    assert all(v["bytes"] > 0 and v["chunks"] == 13 for v in listed["versions"])

    code, switch, _ = index(argot, stemmed, "promote", new)
    assert (code, switch["promoted"], switch["before"]) == (0, True, old)
    assert switch["gate"]["queries"] == 10
    assert set(switch["gate"]["metrics"]) == {"ndcg@10", "recall@100"}
    assert argot("search", "leave", "--project", stemmed)[0] == 0

    code, checked, _ = index(argot, stemmed, "verify")
    assert (code, checked["version"], checked["problems"]) == (0, new, [])

    code, switch, _ = index(argot, stemmed, "rollback")
    assert (code, switch["version"], switch["gate"]) == (0, old, None)
    assert index(argot, stemmed, "gc")[1]["removed"] == []
    index(argot, stemmed, "promote", new, "--no-gate")

    (stemmed / "argot.toml").write_text((stemmed / "argot.toml").read_text() + "b = 0.5\n")
    third = index(argot, stemmed, "build")[1]["version"]
    assert index(argot, stemmed, "promote", third, "--no-gate")[0] == 0
    _, dry, _ = index(argot, stemmed, "gc", "--dry-run")
    assert [gone["name"] for gone in dry["removed"]] == [old]
    assert dry["bytes"] > 0
    _, swept, _ = index(argot, stemmed, "gc")
    assert [gone["name"] for gone in swept["removed"]] == [old]
    assert {kept["name"]: kept["why"] for kept in swept["kept"]} == {
        new: "the way back",
        third: "live",
    }


def test_a_version_that_is_worse_is_refused_with_code_1(
    stemmed: Path, argot: Run, judged: list[str | Path]
) -> None:
    new = index(argot, stemmed, "build")[1]["version"]
    code, switch, _ = index(argot, stemmed, "promote", new, *judged)
    assert (code, switch["promoted"]) == (1, False)
    found = switch["gate"]["metrics"]["ndcg@10"]
    assert (found["live"], found["new"], found["difference"]) == (1.0, 0.0, -1.0)
    assert found["p"] < 0.05
    assert switch["gate"]["worse"] == ["ndcg@10", "recall@100"]
    code, out, err = argot("index", "promote", new, *judged, "--project", stemmed)
    assert (code, out) == (1, "")
    assert "stays live" in err
    assert "--no-gate" in err
    _, found, _ = argot("search", "walk", "--project", stemmed, "--json")
    assert found["hits"][0]["document_id"] == "0.md"


def test_without_headings_to_ask_for_a_promotion_wants_queries(project: Path, argot: Run) -> None:
    argot("ingest", "--project", project)
    with (project / "argot.toml").open("a") as file:
        file.write("[index]\nlanguage = 'none'\n")
    new = index(argot, project, "build")[1]["version"]
    code, _, err = index(argot, project, "promote", new)
    assert (code, "--no-gate" in err) == (2, True)
    assert index(argot, project, "promote", new, "--no-gate")[1]["promoted"] is True


def test_verify_gives_code_1_for_a_lost_point_and_repair_brings_it_back(
    stemmed: Path, argot: Run
) -> None:
    from indexing.versions.collection import open_index

    with open_index(stemmed / ".argot/indexes") as opened:
        lost = next(opened.store.scan())[0]
        opened.store.delete([lost.id])
    code, out, err = argot("index", "verify", "--project", stemmed)
    assert (code, out) == (1, "")
    assert f"{lost.id} (docs: {lost.payload['document_id']})" in err
    assert "--repair" in err
    code, checked, _ = index(argot, stemmed, "verify", "--repair")
    assert (code, checked["repaired"], checked["problems"]) == (0, 1, [])
    assert index(argot, stemmed, "verify")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["build"], 1, "argot ingest"),
        (["rollback"], 1, "argot ingest"),
        (["promote", "docs-0009-words"], 1, "argot ingest"),
        (["promote"], 2, "Missing argument"),
        (["promote", "x", "--queries", "."], 2, "go together"),
        (["tidy"], 2, "No such command"),
    ],
)
def test_mistakes_have_their_exit_codes(
    project: Path, argot: Run, arguments: list[str], code: int, says: str
) -> None:
    found, _, err = argot("index", *arguments, "--project", project)
    assert (found, says in err) == (code, True), err


def test_list_of_a_project_without_an_index_is_empty(project: Path, argot: Run) -> None:
    assert index(argot, project, "list")[1]["versions"] == []
    assert argot("index", "list", "--project", project)[2].startswith("nothing is indexed yet")
    assert not (project / ".argot").exists()


def test_a_build_while_another_one_runs_gives_code_5(stemmed: Path, argot: Run) -> None:
    from indexing.files.lock import hold_lock

    with hold_lock(stemmed / ".argot/build.lock", what="test"):
        assert index(argot, stemmed, "build")[0] == 5


@pytest.mark.torch
def test_a_switch_of_models_needs_no_change_of_settings(
    project: Path, argot: Run, write_decoder: Callable[..., Path]
) -> None:
    old, new = write_decoder("llama"), write_decoder("qwen2")
    with (project / "argot.toml").open("a") as file:
        file.write(f"[encoder]\nmodel = '{old}'\n[chunks]\nchunk_tokens = 32\n")
        file.write("overlap_tokens = 8\n")
    code, _, err = argot("ingest", "--project", project)
    assert code == 0, err
    built = index(argot, project, "build", "--encoder", str(new))[1]
    asked = ("search", "days of leave", "--mode", "dense", "--project", project, "--json")
    for arguments in (("promote", built["version"], "--no-gate"), ("rollback",)):
        assert index(argot, project, *arguments)[0] == 0
        code, found, _ = argot(*asked)
        assert code == 0
        assert len({hit["document_id"] for hit in found["hits"]}) == 3
        assert index(argot, project, "verify", "--sample", "3")[0] == 0
    settings = (project / "argot.toml").read_text().replace(str(old), str(new))
    (project / "argot.toml").write_text(settings)
    assert argot(*asked)[0] == 4
    assert argot("ingest", "--project", project)[0] == 4
