"""`argot search`, `argot eval` and a retriever answer while `argot ingest` is at work."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest

from argot import ArgotRetriever, Project

Run = Callable[..., tuple[int, Any, str]]


@pytest.fixture
def stopped_ingest(project: Path, argot: Run) -> Iterator["subprocess.Popen[str]"]:
    """A second ingest, in a process of its own, that stands still in the middle of its writing."""
    assert argot("ingest", "--project", project)[0] == 0
    for number in range(400):
        (project / f"docs/new{number}.md").write_text(f"Document {number} about gardening.\n")
    (project / "docs/leave.md").write_text("Forty days of paid leave in a year.\n")
    process = start(project, "ingest")
    marker = version_folder(project) / "unpublished"
    until = monotonic() + 60
    while not marker.exists():
        assert process.poll() is None, process.stderr
        assert monotonic() < until
        sleep(0.005)
    process.send_signal(signal.SIGSTOP)
    with process:
        yield process
        process.kill()


def start(project: Path, *arguments: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "argot.cli.main", *arguments, "--project", str(project)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def version_folder(project: Path) -> Path:
    return next(project.glob(".argot/indexes/*/version.json")).parent


def ids(found: dict[str, Any]) -> list[str]:
    return [hit["document_id"] for hit in found["hits"]]


def test_everything_reads_while_an_ingest_runs_and_finds_what_it_brought(
    project: Path, argot: Run, tmp_path: Path, stopped_ingest: "subprocess.Popen[str]"
):
    queries, qrels = tmp_path / "queries.jsonl", tmp_path / "qrels.tsv"
    queries.write_text('{"_id": "1", "text": "paid leave"}\n')
    qrels.write_text("query-id\tcorpus-id\tscore\n1\tleave.md\t1\n")
    with (
        ArgotRetriever.from_project(project) as retriever,
        Project.open(project).retriever(follow=False) as pinned,
    ):
        code, found, _ = argot("search", "paid leave", "--project", project, "--json")
        assert (code, ids(found)) == (0, ["leave.md"])
        assert "thirty days" in found["hits"][0]["text"]
        asked = ("eval", "--queries", queries, "--qrels", qrels, "--project", project)
        assert argot(*asked, "--fail-under", "ndcg@10=0.9")[0] == 0
        for reader in (retriever, pinned):
            assert "thirty days" in reader.invoke("paid leave")[0].page_content
            assert reader.invoke("gardening") == []
        assert argot("ingest", "--project", project)[0] == 5

        stopped_ingest.send_signal(signal.SIGCONT)
        assert stopped_ingest.wait(timeout=120) == 0
        assert "Forty days" in retriever.invoke("paid leave")[0].page_content
        assert retriever.invoke("gardening", k=3)
        assert not retriever.refresh()
        assert pinned.invoke("gardening") == []
        assert pinned.refresh()
        assert pinned.invoke("gardening", k=3)
    assert [path.name for path in (version_folder(project) / "published").iterdir()] == ["3"]


def test_after_a_killed_ingest_a_search_finds_what_it_had_committed(
    project: Path, argot: Run, stopped_ingest: "subprocess.Popen[str]"
):
    stopped_ingest.kill()
    stopped_ingest.wait()
    assert argot("search", "paid leave", "--project", project)[0] == 0
    assert argot("ingest", "--project", project)[0] == 0
    _, found, _ = argot("search", "gardening", "--project", project, "--json", "-k", "400")
    assert len(ids(found)) == 400


def test_a_retriever_moves_to_another_version_by_itself(project: Path, argot: Run):
    argot("ingest", "--project", project)
    with ArgotRetriever.from_project(project) as retriever:
        before = retriever.searcher.version_name
        assert not retriever.refresh()
        (project / "docs/more.txt").write_text("A page about gardening.")
        assert argot("ingest", "--rebuild", "--project", project)[0] == 0
        assert len(retriever.invoke("gardening")) == 1
        assert retriever.searcher.version_name != before
        assert not retriever.refresh()


def test_the_first_ingest_can_be_searched_from_its_beginning(project: Path, argot: Run):
    for number in range(400):
        (project / f"docs/new{number}.md").write_text(f"Document {number} about gardening.\n")
    process = start(project, "ingest")
    with process:
        while not (project / ".argot/indexes/LIVE").exists():
            assert process.poll() is None
            sleep(0.005)
        process.send_signal(signal.SIGSTOP)
        code, found, _ = argot("search", "gardening", "--project", project, "--json")
        assert (code, ids(found)) == (0, [])
        process.send_signal(signal.SIGCONT)
        assert process.wait(timeout=120) == 0
    assert len(argot("search", "gardening", "--project", project, "--json")[1]["hits"]) == 10


def test_many_searches_at_once_share_a_copy(project: Path, argot: Run):
    argot("ingest", "--project", project)
    searches = [start(project, "search", "leave", "--json") for _ in range(4)]
    assert [search.wait(timeout=120) for search in searches] == [0] * 4
    for search in searches:
        assert search.stderr is not None
        search.stderr.close()
    assert len(list((version_folder(project) / "published").iterdir())) == 1
