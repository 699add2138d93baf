"""The commands, on a project without a model: output, JSON forms and exit codes."""

import json
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from argot import Project
from argot.langchain.store import ArgotVectorStore
from indexing.files.lock import hold_lock
from indexing.versions.description import live_version

Run = Callable[..., tuple[int, Any, str]]


def test_init_writes_a_project_that_loads_and_never_overwrites_one(tmp_path: Path, argot: Run):
    code, _, err = argot("init", tmp_path / "new", "--source", tmp_path)
    assert code == 0
    assert "argot.toml" in err
    assert argot("status", "--project", tmp_path / "new")[0] == 0
    code, _, err = argot("init", tmp_path / "new")
    assert (code, "never overwritten" in err) == (2, True)


def test_ingest_then_search_finds_the_document(project: Path, argot: Run):
    code, report, _ = argot("ingest", "--project", project, "--json")
    assert code == 0
    assert (report["added"], report["failed"], report["schema_version"]) == (3, [], 1)
    code, found, _ = argot("search", "reset the device", "--project", project, "--json", "-k", "1")
    assert code == 0
    assert found["schema_version"] == 1
    (hit,) = found["hits"]
    assert hit["document_id"] == "power.md"
    assert hit["explanation"]["dense"] is None
    assert hit["explanation"]["sparse"]["rank"] == 1
    assert hit["text"] == (project / "docs/power.md").read_text()[slice(*hit["span"])]


def test_the_project_is_found_from_a_folder_below_it(
    project: Path, argot: Run, monkeypatch: pytest.MonkeyPatch
):
    argot("ingest", "--project", project)
    monkeypatch.chdir(project / "docs")
    assert argot("search", "leave")[0] == 0


def test_ingesting_twice_keeps_everything(project: Path, argot: Run):
    argot("ingest", "--project", project)
    _, report, _ = argot("ingest", "--project", project, "--json")
    assert (report["added"], report["kept"], report["chunks_embedded"]) == (0, 3, 0)


def test_a_broken_document_is_set_aside_and_the_run_goes_on_with_code_3(project: Path, argot: Run):
    (project / "docs/broken.pdf").write_bytes(b"%PDF-1.4 nothing of the kind")
    code, report, _ = argot("ingest", "--project", project, "--json")
    assert code == 3
    assert report["added"] == 3
    assert [failed["document"] for failed in report["failed"]] == ["broken.pdf"]
    code, status, _ = argot("status", "--project", project, "--json")
    assert code == 0
    assert status["failed"][0]["reason"] == report["failed"][0]["reason"]
    assert status["sources"][0]["documents"] == 3


def test_a_run_that_would_empty_the_source_is_refused_with_code_4(project: Path, argot: Run):
    argot("ingest", "--project", project)
    for path in (project / "docs").iterdir():
        path.unlink()
    code, _, err = argot("ingest", "--project", project)
    assert code == 4
    assert "docs" in err
    assert argot("search", "leave", "--project", project)[1]
    assert argot("ingest", "--project", project, "--max-delete-fraction", "1")[0] == 0
    assert argot("search", "leave", "--project", project)[1] == ""


def test_a_dry_run_writes_no_index(project: Path, argot: Run):
    code, report, _ = argot("ingest", "--project", project, "--dry-run", "--json")
    assert (code, report["added"]) == (0, 3)
    assert not (project / ".argot/indexes").exists()


def test_a_path_can_be_ingested_as_its_own_source(project: Path, argot: Run, tmp_path: Path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "a.txt").write_text("Something about turbines.")
    argot("ingest", "--project", project)
    assert argot("ingest", other, "--project", project)[0] == 0
    _, found, _ = argot("search", "turbines", "--project", project, "--json")
    assert found["hits"][0]["source"] == str(other.resolve())
    _, report, _ = argot("ingest", "docs", "--project", project, "--json")
    assert report["deleted"] == 0


def test_a_rebuild_takes_new_settings_and_switches_when_it_is_done(
    project: Path, argot: Run, caplog: pytest.LogCaptureFixture
):
    argot("ingest", "--project", project)
    with (project / "argot.toml").open("a") as file:
        file.write("[index]\nlanguage = 'none'\n")
    assert argot("ingest", "--project", project)[0] == 0
    assert "do not apply" in caplog.text
    assert "--rebuild" in caplog.text
    before = argot("status", "--project", project, "--json")[1]["live"]
    assert argot("ingest", "--rebuild", "--project", project)[0] == 0
    after = argot("status", "--project", project, "--json")[1]["live"]
    assert before != after
    assert argot("search", "leave", "--project", project)[1]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["search"], 2, "Missing argument"),
        (["serch", "x"], 2, "No such command"),
        (["search", "x", "--mode", "fuzzy"], 2, "Invalid value"),
        (["search", "x", "--filter", "language"], 2, "FIELD=VALUE"),
        (["ingest", "nowhere"], 2, "must be a configured name or a path that exists"),
        (["search", "x"], 1, "argot ingest"),
        (["search", "x", "--mode", "dense"], 1, "argot ingest"),
        (["eval"], 2, "--beir"),
        (["encoders", "show", "nothing"], 2, "neither"),
        (["encoders", "export", "x"], 2, "--merged"),
    ],
)
def test_mistakes_have_their_exit_codes(
    project: Path, argot: Run, arguments: list[str], code: int, says: str
):
    found, _, err = (
        argot(*arguments, "--project", project) if "serch" not in arguments else argot(*arguments)
    )
    assert (found, says in err) == (code, True), err


def test_a_folder_without_a_project_gives_code_10(tmp_path: Path, argot: Run):
    for command in (["ingest"], ["search", "x"], ["status"], ["encoders", "list"], ["adapt"]):
        assert argot(*command, "--project", tmp_path)[0] == 10


def test_a_second_ingest_gives_code_5(project: Path, argot: Run):
    argot("ingest", "--project", project)
    with hold_lock(project / ".argot/ingest.lock", what="test"):
        code, _, err = argot("ingest", "--project", project)
    assert (code, "is in use by" in err) == (5, True)


def test_a_protected_source_answers_nobody_who_does_not_say_who_asks(project: Path, argot: Run):
    rows = [
        {"_id": "1", "text": "the secret plan", "access": ["group:board"]},
        {"_id": "2", "text": "another plan without a list"},
    ]
    corpus = project / "docs/corpus.jsonl"
    corpus.write_text("\n".join(map(json.dumps, rows)))
    toml = (project / "argot.toml").read_text() + "protected = true\n"
    (project / "argot.toml").write_text(toml)
    assert argot("ingest", "--project", project)[0] == 0
    assert argot("search", "plan", "--project", project)[0] == 4
    asked = ("search", "plan", "--project", project, "--json", "--as")
    assert [hit["document_id"] for hit in argot(*asked, "group:board")[1]["hits"]] == ["1"]
    assert argot(*asked, "user:nobody")[1]["hits"] == []


def test_filters_narrow_a_search(project: Path, argot: Run):
    argot("ingest", "--project", project)
    asked = ("search", "the of in", "--project", project, "--json")
    code, found, _ = argot(
        "search",
        "year device wing",
        "--project",
        project,
        "--json",
        "--filter",
        "document_id=wings.txt",
    )
    assert code == 0
    assert {hit["document_id"] for hit in found["hits"]} == {"wings.txt"}
    assert argot(*asked, "--filter", "nonsense=1")[0] == 2


def write_collection(folder: Path) -> Path:
    texts = {"1": "wing lift", "2": "boundary layer flow", "3": "heat transfer", "4": "paid leave"}
    folder.mkdir()
    (folder / "corpus.jsonl").write_text(
        "\n".join(
            json.dumps({"_id": key, "title": "", "text": text}) for key, text in texts.items()
        )
    )
    (folder / "queries.jsonl").write_text(
        "\n".join(json.dumps({"_id": f"q{key}", "text": text}) for key, text in texts.items())
    )
    lines = "\n".join(f"q{key}\t{key}\t1" for key in texts)
    (folder / "qrels_test.tsv").write_text(f"query-id\tcorpus-id\tscore\n{lines}\n")
    return folder


def test_eval_measures_a_collection_outside_of_a_project(
    tmp_path: Path, argot: Run, monkeypatch: pytest.MonkeyPatch
):
    collection = write_collection(tmp_path / "collection")
    monkeypatch.chdir(tmp_path)
    per_query = tmp_path / "q.jsonl"
    code, report, _ = argot("eval", "--beir", collection, "--json", "--per-query", per_query)
    assert code == 0
    assert report["queries"] == 4
    assert report["metrics"]["ndcg@10"] == {"value": 1.0, "low": 1.0, "high": 1.0}
    assert len(per_query.read_text().splitlines()) == 4
    _, compared, _ = argot("eval", "--beir", collection, "--json", "--compare", per_query)
    assert compared["compare"]["ndcg@10"]["difference"] == 0
    assert not (tmp_path / ".argot").exists()


def test_a_gate_that_is_missed_gives_code_1(tmp_path: Path, argot: Run):
    collection = write_collection(tmp_path / "collection")
    with (collection / "qrels_test.tsv").open("a") as file:
        file.write("q1\t4\t1\n")
    asked = ("eval", "--beir", collection, "--fail-under")
    assert argot(*asked, "recall@100=0.5")[0] == 0
    assert argot(*asked, "recall@100=0.99")[0] == 1
    assert argot(*asked, "ndcg@7=0.5")[0] == 2
    assert argot(*asked, "recall@100=nan")[0] == 2, "nothing would be below it"


def test_eval_of_the_live_index_uses_its_documents(project: Path, argot: Run, tmp_path: Path):
    argot("ingest", "--project", project)
    queries, qrels = tmp_path / "q.jsonl", tmp_path / "r.tsv"
    queries.write_text('{"_id": "1", "text": "days of leave"}')
    qrels.write_text("1\tleave.md\t1\n")
    code, report, _ = argot(
        "eval", "--queries", queries, "--qrels", qrels, "--project", project, "--json"
    )
    assert (code, report["metrics"]["mrr@10"]["value"]) == (0, 1.0)


@pytest.mark.parametrize(
    ("qrels", "code", "says"),
    [
        ("1\tother.md\t1\n", 0, "the ids in"),
        ("1\tleave.md\t0\n", 2, "all its grades are 0"),
        ("1\tleave.md\tmuch\n", 2, ":1: "),
    ],
)
def test_eval_says_what_is_wrong_with_judgements(
    project: Path, argot: Run, tmp_path: Path, qrels: str, code: int, says: str
):
    argot("ingest", "--project", project)
    queries, file = tmp_path / "q.jsonl", tmp_path / "r.tsv"
    queries.write_text('{"_id": "1", "text": "days of leave"}')
    file.write_text(qrels)
    found, _, err = argot("eval", "--queries", queries, "--qrels", file, "--project", project)
    assert (found, says in err) == (code, True), err


def test_doctor_finds_the_installation_sound(project: Path, argot: Run):
    code, found, _ = argot("doctor", "--project", project, "--json")
    assert code == 0
    states = {finding["subject"]: finding["state"] for finding in found["findings"]}
    assert (states["engine"], states["folder"], states["model"]) == ("ok", "ok", "absent")


def test_doctor_gives_code_1_for_a_source_that_is_gone(project: Path, argot: Run):
    (project / "docs").rename(project / "moved")
    code, out, _ = argot("doctor", "--project", project)
    assert (code, "FAIL source docs" in out) == (1, True)


@pytest.mark.slow
def test_kill_9_during_ingest_then_again_loses_nothing_and_doubles_nothing(
    project: Path, argot: Run
):
    for number in range(3000):
        (project / f"docs/{number:04}.txt").write_text(f"Document {number} about topic{number}.")
    command = [sys.executable, "-m", "argot.cli.main", "ingest", "--project", str(project)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    shard = project / ".argot/indexes"
    while process.poll() is None and not list(shard.glob("*/version.json")):
        pass
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=0.8)
    process.send_signal(signal.SIGKILL)
    process.wait()
    code, report, _ = argot("ingest", "--project", project, "--json")
    assert (code, report["failed"]) == (0, [])
    _, status, _ = argot("status", "--project", project, "--json")
    assert status["sources"][0]["documents"] == 3003
    assert status["sources"][0]["chunks"] == 3003
    _, again, _ = argot("ingest", "--project", project, "--json")
    assert (again["kept"], again["chunks_embedded"]) == (3003, 0)
    _, found, _ = argot("search", "topic2999", "--project", project, "--json", "-k", "5")
    assert [hit["document_id"] for hit in found["hits"]] == ["2999.txt"]


def test_ctrl_c_gives_code_130(project: Path, argot: Run, monkeypatch: pytest.MonkeyPatch):
    def interrupted(*_args: object, **_options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("argot.project.Project.ingest", interrupted)
    code, _, err = argot("ingest", "--project", project)
    assert (code, "run the same command again" in err) == (130, True)


def test_the_folder_of_a_protected_source_is_not_ingested_as_a_public_one(
    project: Path, argot: Run
) -> None:
    with (project / "argot.toml").open("a") as file:
        file.write("protected = true\n")
    assert argot("ingest", project / "docs", "--project", project)[0] == 0
    assert argot("search", "leave", "--project", project)[0] == 4
    (project / "docs/sub").mkdir()
    (project / "docs/sub/a.txt").write_text("leave")
    code, _, err = argot("ingest", project / "docs/sub", "--project", project)
    assert (code, "protected" in err) == (2, True)


def test_a_source_that_becomes_protected_hides_what_it_can_no_longer_read(
    project: Path, argot: Run
) -> None:
    argot("ingest", "--project", project)
    with (project / "argot.toml").open("a") as file:
        file.write("protected = true\n")
    (project / "docs/leave.md").write_bytes(b"\x00\x01 no text")
    assert argot("ingest", "--project", project)[0] == 3
    _, found, _ = argot("search", "leave", "--project", project, "--json", "--as", "user:x")
    assert found["hits"] == []


def test_a_rebuild_that_lost_a_source_does_not_go_live(project: Path, argot: Run) -> None:
    argot("ingest", "--project", project)
    for path in (project / "docs").iterdir():
        path.unlink()
    code, _, err = argot("ingest", "--rebuild", "--project", project)
    assert (code, "does not go live" in err) == (4, True)
    _, found, _ = argot("search", "leave", "--project", project, "--json")
    assert [hit["document_id"] for hit in found["hits"]] == ["leave.md"]
    assert argot("ingest", "docs", "--rebuild", "--project", project)[0] == 2


def test_a_source_that_can_not_be_listed_does_not_stop_the_others(
    project: Path, argot: Run
) -> None:
    toml = project / "argot.toml"
    missing = "[[sources]]\nname = 'gone'\npath = 'gone'\n"
    toml.write_text(missing + toml.read_text())
    code, _, err = argot("ingest", "--project", project)
    assert (code, "gone" in err) == (1, True)
    assert argot("search", "leave", "--project", project)[1]


def test_a_lost_catalog_is_noticed(project: Path, argot: Run) -> None:
    argot("ingest", "--project", project)
    for file in (project / ".argot").glob("catalog.sqlite*"):
        file.unlink()
    code, _, err = argot("ingest", "--project", project)
    assert (code, "--rebuild" in err) == (1, True)
    assert argot("ingest", "--rebuild", "--project", project)[0] == 0


@pytest.mark.parametrize("which_is_live_too", [False, True])
def test_what_only_a_lost_catalog_knew_is_not_dropped_without_a_word(
    project: Path, argot: Run, which_is_live_too: bool
) -> None:
    argot("ingest", "--project", project)
    with ArgotVectorStore(Project.open(project)) as store:
        store.add_texts(["handed over by a program"], ids=["own"], access=["group:board"])
    for file in (project / ".argot").glob("catalog.sqlite*"):
        file.unlink()
    if which_is_live_too:
        (project / ".argot/indexes/LIVE").unlink()
    code, _, err = argot("ingest", "--rebuild", "--project", project)
    assert (code, "holds 1 chunks of no source" in err) == (4, True)
    if not which_is_live_too:
        asked = ("search", "handed over", "--as", "group:board", "--json", "--project", project)
        assert argot(*asked)[1]["hits"]
    all_the_same = ("ingest", "--rebuild", "--max-delete-fraction", "1", "--project", project)
    assert argot(*all_the_same)[0] == 0
    assert argot("search", "leave", "--json", "--project", project)[1]["hits"]


def test_a_lost_index_is_noticed_and_a_rebuild_brings_all_back(project: Path, argot: Run) -> None:
    argot("ingest", "--project", project)
    with ArgotVectorStore(Project.open(project)) as store:
        store.add_texts(["handed over by a program"], ids=["own"])
    shutil.rmtree(project / ".argot/indexes")

    for _ in range(2):
        code, _, err = argot("ingest", "--project", project)
        assert (code, "is gone" in err, "--rebuild" in err) == (1, True, True)
        assert argot("search", "leave", "--project", project)[0] == 1

    assert argot("ingest", "--rebuild", "--project", project)[0] == 0
    assert argot("index", "verify", "--project", project)[0] == 0
    for words in ("leave", "handed over"):
        assert argot("search", words, "--json", "--project", project)[1]["hits"]
    assert argot("ingest", "--project", project)[0] == 0


def test_a_lost_version_is_not_taken_for_the_one_that_replaces_it(
    project: Path, argot: Run
) -> None:
    argot("ingest", "--project", project)
    shutil.rmtree(project / ".argot/indexes" / live_version(project / ".argot/indexes"))  # type: ignore[operator]
    assert argot("ingest", "--rebuild", "--project", project)[0] == 0
    assert argot("search", "leave", "--json", "--project", project)[1]["hits"]
    assert argot("index", "verify", "--project", project)[0] == 0


def test_an_index_lost_beside_an_unfinished_rebuild_is_the_one_that_answered(
    project: Path, argot: Run
) -> None:
    argot("ingest", "--project", project)
    with ArgotVectorStore(Project.open(project)) as store:
        store.add_texts(["handed over by a program"], ids=["own"])
    held = project / "held"
    (project / "docs").rename(held)
    (project / "docs").mkdir()
    (project / "docs/only.md").write_text("One document about leave.")
    code, _, err = argot("ingest", "--rebuild", "--project", project)
    assert (code, "does not go live" in err) == (4, True)
    with closing(sqlite3.connect(project / ".argot/catalog.sqlite")) as catalog, catalog:
        catalog.execute(  # as a rebuild leaves it that is killed before it comes to these
            "DELETE FROM documents WHERE document_id = 'own' AND version LIKE 'docs-0002%'"
        )
    shutil.rmtree(project / ".argot/indexes")
    shutil.rmtree(project / "docs")
    held.rename(project / "docs")

    assert argot("ingest", "--rebuild", "--project", project)[0] == 0
    for words in ("leave", "handed over"):
        assert argot("search", words, "--json", "--project", project)[1]["hits"]


def test_a_mistyped_project_folder_is_not_replaced_by_the_one_above(
    project: Path, argot: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    assert argot("status")[0] == 0
    assert argot("status", "--project", "typo")[0] == 10


def test_a_retriever_with_a_mistyped_option_lets_the_index_go(project: Path, argot: Run) -> None:
    argot("ingest", "--project", project)
    with pytest.raises(ValueError, match="K"):
        Project.open(project).retriever(K=5)
    assert argot("search", "leave", "--project", project)[0] == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["--queries", "q", "--qrels", "q", "--dims", "8"],
        ["--beir", "c", "--as", "user:x"],
        ["--beir", "c", "--metric", "ndgc@10"],
    ],
)
def test_eval_refuses_options_that_it_would_ignore(
    tmp_path: Path, argot: Run, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_collection(tmp_path / "c")
    (tmp_path / "q").write_text("")
    assert argot("eval", *arguments)[0] == 2


def test_no_message_holds_the_catalogs_password(project: Path, argot: Run) -> None:
    toml = project / "argot.toml"
    for line in ("catalog = 'postgresql://u:s3cret@h/db'", "[catalog]\nurl = ['x://u:s3cret@h']"):
        toml.write_text(line)
        code, out, err = argot("status", "--project", project)
        assert (code, "s3cret" in f"{out}{err}") == (2, False)
    toml.write_text("[catalog]\nurl = 'postgresql://u:s3cret@h/db'")
    assert "s3cret" not in repr(Project.open(project).settings)


def test_the_folder_of_texts_is_its_owners_alone(project: Path, argot: Run) -> None:
    argot("ingest", "--project", project)
    assert (project / ".argot").stat().st_mode & 0o077 == 0
