"""`argot search`: filters, plans, several projects."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

from argot import Project
from argot.cli.filters import parse_filters
from argot.cli.visible import visible
from argot.document_writing import DocumentWriter
from argot.federated import search_together
from connectors.document import Document
from indexing.filters import And, AnyOf, Condition, Eq, HasWords, Not, Range
from retriever.conditions import condition_of

Run = Callable[..., tuple[int, Any, str]]

RECORDS = [
    {"id": "a", "text": "Leave is thirty days.", "year": 2023, "due": "2024-01-31T10:00:00Z"},
    {"id": "b", "text": "Leave of parents.", "year": 2024, "due": "2024-02-01"},
    {"id": "c", "text": "Unused leave expires.", "year": 2025, "due": "2025-01-01"},
]


@pytest.fixture
def records(tmp_path: Path, argot: Run) -> Path:
    """A project over JSON lines with metadata."""
    folder = tmp_path / "records"
    (folder / "docs").mkdir(parents=True)
    lines = "\n".join(json.dumps(record) for record in RECORDS)
    (folder / "docs/all.jsonl").write_text(lines, encoding="utf-8")
    (folder / "argot.toml").write_text("[[sources]]\nname = 'docs'\npath = 'docs/all.jsonl'\n")
    assert argot("ingest", "--project", folder)[0] == 0
    return folder


def found(argot: Run, folder: Path, *options: str) -> set[str]:
    code, output, _ = argot("search", "leave", "--project", folder, "--json", *options)
    assert code == 0
    return {hit["document_id"] for hit in output["hits"]}


@pytest.mark.parametrize(
    ("filters", "documents"),
    [
        (["metadata.year=2024"], {"b"}),
        (["metadata.year=2024", "metadata.year=2025"], {"b", "c"}),
        (["metadata.year!=2024"], {"a", "c"}),
        (["metadata.year>=2024", "metadata.year<2025"], {"b"}),
        (["metadata.due<=2024-01-31"], {"a"}),
        (["metadata.due>2024-01-31", "metadata.due<2024-12-31T23:00:00Z"], {"b"}),
        (["text~PARENTS leave"], {"b"}),
        (['{"or": [{"metadata.year": 2023}, {"text": {"words": "expires"}}]}'], {"a", "c"}),
        (['{"not": {"metadata.year": {">": 2023}}}', "source=docs"], {"a"}),
    ],
)
def test_filters_of_every_form_narrow_the_search(
    records: Path, argot: Run, filters: list[str], documents: set[str]
):
    options = [part for text in filters for part in ("--filter", text)]
    assert found(argot, records, *options) == documents


def test_filters_are_read_as_the_kind_they_look_like():
    read = parse_filters(["page=3", "page=4", "title=5", "uri=a=b", "metadata.x=true", "page!=7"])
    plain: list[Condition] = [
        AnyOf("page", (3, 4)), Eq("title", "5"), Eq("uri", "a=b"), Eq("metadata.x", True)
    ]  # fmt: skip
    assert read == And((And(tuple(plain)), Not(Eq("page", 7))))
    assert parse_filters(["page>=1.5"]) == Range("page", at_least=1.5)
    assert parse_filters(["text~a b"]) == HasWords("text", "a b")
    assert parse_filters([]) is None


@pytest.mark.parametrize(
    "text",
    [
        "01234",
        "1e5",
        "+49",
        "1_000",
        "-0",
        "2.5",
        " 7",
        "",
        "\u0663",
        str(2**63),
        "9" * 5000,
        "True",
    ],
)
def test_what_is_not_written_as_a_number_is_text(text: str):
    assert parse_filters([f"metadata.x={text}"]) == Eq("metadata.x", text)
    assert parse_filters([f"metadata.x!={text}"]) == Not(Eq("metadata.x", text))


def test_numbers_are_what_an_index_can_hold(records: Path, argot: Run):
    assert parse_filters(["metadata.x=0", f"metadata.x={-(2**63)}"]) == AnyOf(
        "metadata.x", (0, -(2**63))
    )
    assert parse_filters(['{"metadata.x": "7"}']) == Eq("metadata.x", "7"), "text, if JSON says so"
    assert parse_filters(["page>=01", "page<1e5"]) == And(
        (Range("page", at_least=1.0), Range("page", below=1e5))
    )
    records.joinpath("docs/all.jsonl").write_text('{"id": "z", "text": "leave", "zip": "01234"}\n')
    argot("ingest", "--project", records, "--max-delete-fraction", "1")
    assert found(argot, records, "--filter", "metadata.zip=01234") == {"z"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("source", "must be FIELD=VALUE"),
        ("=x", "must be FIELD=VALUE"),
        ("{", "must be JSON"),
        ("{}", "must be FIELD=VALUE"),
        ("page>soon", "a number or a date"),
        ("page>inf", "a number or a date"),
        ("page>1_000", "a number or a date"),
        ("page>1e999", "finite number"),
        ("metadata.x>=" + "9" * 400, "finite number"),
        ("metadata.x>=" + "9" * 5000, "finite number"),
        ('{"metadata.x": {">=": 1' + "0" * 400 + "}}", "finite number"),
        ('{"metadata.x": -1' + "0" * 5000 + "}", "finite number"),
        ("access=user:x", "no chunk has the field 'access'"),
        ('{"access": "user:x"}', "no chunk has the field 'access'"),
        ("text~--", "text with a word"),
    ],
)
def test_what_is_no_filter_is_refused(text: str, message: str):
    with pytest.raises(click.BadParameter, match=message):
        parse_filters([text])


def test_a_plan_is_given_by_options_and_explained(records: Path, argot: Run):
    arguments = ["--filter", "metadata.year>2020", "--explain", "--neighbours", "1", "--depth", "9"]
    code, out, _ = argot("search", "thirty days", "--project", records, "-k", "1", *arguments)

    assert code == 0
    assert "sparse rank 1, BM25" in out
    assert "filter: {'field': 'metadata.year', 'above': 2020}" in out


def test_hits_come_with_their_sections_and_neighbours(project: Path, argot: Run):
    text = "\n\n".join(f"# Part {n}\n\n" + f"Word{n} is here again. " * 120 for n in range(3))
    (project / "docs/long.md").write_text(text, encoding="utf-8")
    argot("ingest", "--project", project)
    options = ["--project", project, "--neighbours", "1", "--section", "-k", "1"]
    _, output, _ = argot("search", "word1", "--json", *options)

    (hit,) = output["hits"]
    assert hit["before"] or hit["after"]
    start, end = hit["section"]["span"]
    assert hit["section"]["text"] == text[start:end]
    assert hit["section"]["text"].count("Word1") == 120
    _, shown, _ = argot("search", "word1", *options)
    assert "\n   | " in shown


def test_options_that_do_not_go_together_are_a_usage_error(records: Path, argot: Run):
    code, _, err = argot("search", "leave", "--project", records, "--min-score", "0.5")
    assert (code, "`min_score` needs scores that mean the same" in err) == (2, True)
    code, _, err = argot("search", "leave", "--project", records, "--mmr", "0.5")
    assert (code, "`mmr` needs vectors" in err) == (2, True)
    code, _, err = argot("search", "leave", "--project", records, "--rerank", "nonsense")
    assert (code, "nonsense" in err) == (2, True)


@pytest.mark.parametrize(
    "options",
    [
        ["--as", ""],
        ["--as", "user:x", "--as", " "],
        ["--as", "\udcff"],
        ["--min-score", "nan"],
        ["--mmr", "nan"],
        *([name, "1000001"] for name in ("-k", "--depth", "--neighbours", "--per-document")),
        *([name, "9" * 5000] for name in ("-k", "--depth", "--neighbours", "--per-document")),
    ],
)
def test_values_out_of_all_reason_are_usage_errors(argot: Run, tmp_path: Path, options: list[str]):
    assert argot("search", "leave", "--project", tmp_path, *options)[0] == 2
    if options[0] in ("--as", "-k"):
        assert argot("ask", "how many?", "--project", tmp_path, *options)[0] == 2
    if options[0] == "--as":
        assert argot("eval", "--project", tmp_path, *options)[0] == 2
        assert argot("tune", "--project", tmp_path, *options)[0] == 2
    nan = ["--max-delete-fraction", "nan"]
    assert argot("ingest", "--project", tmp_path, *nan)[0] == 2


def test_the_greatest_numbers_work(records: Path, argot: Run):
    for name in ("-k", "--depth", "--neighbours", "--per-document"):
        assert found(argot, records, name, "1000000") == {"a", "b", "c"}


def test_what_a_document_says_to_the_terminal_is_shown_and_not_done(records: Path, argot: Run):
    evil = "leave \x1b]0;OWNED\x07\x1b[2J \x9b31m \u202e desrever\ta\r\nb"
    document = Document(id="\x1b[8mz", title="T\x1b[1m\n2. faked", text=evil)
    assert DocumentWriter(Project.open(records)).write([document]).written == 1

    alone = ["--project", records, "--filter", "text~desrever"]
    code, out, _ = argot("search", "leave", *alone, "--explain", "--section")

    assert code == 0
    assert not {*out} & {*"\x1b\x07\x9b\u202e\r"}
    assert r"leave \x1b]0;OWNED\x07\x1b[2J" in out
    assert "\n2. faked" not in out, "a title is one line"
    _, output, _ = argot("search", "leave", *alone, "--json")
    assert output["hits"][0]["text"].startswith("leave \x1b]0;"), "JSON has it as it is"


def test_text_stays_readable():
    assert visible("Grüße\tan\r\nalle שלום 日本語") == "Grüße\tan\nalle שלום 日本語"
    assert visible("a\rb\x7f\u2066\udcff") == r"a\rb\x7f\u2066\udcff"


def test_several_projects_are_searched_as_one(records: Path, project: Path, argot: Run):
    argot("ingest", "--project", project)
    both = ["--project", records, "--project", project]
    code, output, _ = argot("search", "leave", *both, "--json", "-k", "2")

    assert code == 0
    assert [hit["index"] for hit in output["hits"]] == ["records", "project"]
    assert output["hits"][1]["document_id"] == "leave.md"
    assert "(project: leave.md)" in argot("search", "leave", *both)[1]
    assert "found in project rank 1" in argot("search", "leave", *both, "--explain")[1]
    code, _, err = argot("search", "leave", "--project", records, "--project", records)
    assert (code, "may be searched once" in err) == (2, True)


def test_projects_of_one_name_are_told_apart_by_their_folders(records: Path, tmp_path: Path):
    twin = tmp_path / "elsewhere" / "records"
    shutil.copytree(records, twin)
    with search_together([Project.open(records), Project.open(twin)]) as session:
        hits = session.searcher.search("leave", where=condition_of({"document_id": "b"}))

    assert [hit.index for hit in hits] == [str(records)]
    assert len(hits[0].explanation["federation"]["indexes"]) == 2
