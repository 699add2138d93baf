"""The demo's corpus and its judged questions, on the Python that runs the tests."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from argot.demo import corpus
from argot.demo.corpus import Entry, documentation, standard_library, within_limits, write_corpus
from argot.demo.questions import (
    DemoError,
    Question,
    judged_in,
    parse_questions,
    read_questions,
)


@pytest.fixture(scope="module")
def entries(tmp_path_factory: pytest.TempPathFactory) -> tuple[Entry, ...]:
    return write_corpus(tmp_path_factory.mktemp("beir"))


def entry(name: str, *, kind: str = "function", text: str = "x" * 50) -> Entry:
    return Entry(name=name, module=name.partition(".")[0], kind=kind, text=text)


def line(**changes: object) -> str:
    row = {"id": "q1", "question": "how do I join strings", "answers": {"str.join": 2}}
    return json.dumps(row | changes)


def test_the_corpus_stays_within_its_limits(entries: tuple[Entry, ...]) -> None:
    assert 2_000 <= len(entries) <= 2_500
    # which are under 150,000 tokens of SmolLM2
    assert sum(len(one.name) + len(one.text) for one in entries) <= 560_000
    assert all(20 <= len(one.text) <= 1_000 for one in entries)


def test_names_are_unique_and_sorted_and_no_text_is_there_twice(
    entries: tuple[Entry, ...],
) -> None:
    names = [one.name for one in entries]
    assert names == sorted(set(names))
    assert len({one.text for one in entries}) == len(entries)


def test_two_processes_write_the_same_bytes(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib; from argot.demo.corpus import write_corpus; "
        "write_corpus(pathlib.Path(sys.argv[1]))"
    )
    digests = []
    for seed in ("1", "2"):
        folder = tmp_path / seed
        subprocess.run(
            [sys.executable, "-c", program, str(folder)],
            check=True,
            env=os.environ | {"PYTHONHASHSEED": seed},
        )
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        digests.append([hashlib.sha256(path.read_bytes()).hexdigest() for path in files])
    assert len(digests[0]) == 3
    assert digests[0] == digests[1]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("str.split", "method"),
        ("dict.get", "method"),
        ("open", "function"),
        ("json", "module"),
        ("json.loads", "function"),
        ("os.path.join", "function"),
        ("collections.Counter", "class"),
        ("random.shuffle", "function"),
        ("pathlib.Path.read_text", "method"),
        ("pathlib.PurePath.suffix", "property"),
        ("asyncio.gather", "function"),
    ],
)
def test_a_name_is_the_one_a_reader_writes(
    entries: tuple[Entry, ...], name: str, kind: str
) -> None:
    assert {one.name: one.kind for one in entries}[name] == kind


def test_a_text_under_several_names_is_kept_under_its_own(entries: tuple[Entry, ...]) -> None:
    names = {one.name for one in entries}
    assert {"OSError", "set.union"} <= names
    assert names.isdisjoint({"IOError", "os.error", "io.open", "frozenset.union"})


def test_a_module_this_python_lacks_is_skipped() -> None:
    found = standard_library(["no_such_module_anywhere", "fnmatch"])
    assert {one.module for one in found} == {"fnmatch"}


def test_over_the_limit_the_methods_of_the_last_module_are_left_out() -> None:
    first = [entry("first", kind="module"), entry("first.C.m", kind="method")]
    last = [entry("last.f"), entry("last.C.m", kind="method")]
    kept = within_limits([*first, *last], max_documents=3)
    assert [one.name for one in kept] == ["first", "first.C.m", "last.f"]
    few = within_limits([*first, *last], max_characters=120)
    assert [one.name for one in few] == ["first", "last.f"]


def test_a_judged_answer_is_kept_before_all_others() -> None:
    everything = [entry("a"), entry("b"), entry("c.D.m", kind="method")]
    kept = within_limits(everything, judged={"c.D.m"}, max_documents=2)
    assert [one.name for one in kept] == ["a", "c.D.m"]


def test_a_long_text_is_cut_at_a_paragraph_else_a_line_else_a_word() -> None:
    def cut(text: str) -> str:
        return documentation(type("Long", (), {"__doc__": text}))

    assert cut("a" * 700 + "\n\n" + "b" * 200 + "\n" + "c" * 200) == "a" * 700
    assert cut("a" * 800 + "\n" + "b" * 100 + " " + "c" * 200) == "a" * 800
    assert cut("a" * 900 + " " + "b" * 200) == "a" * 900
    assert cut("a" * 1_200) == "a" * 1_000


def test_a_text_that_only_repeats_the_signature_is_no_document() -> None:
    assert (
        documentation(type("Point", (), {"__doc__": "Point(x: int, y: int = 0, z: int = 0)"})) == ""
    )
    assert documentation(type("Point", (), {"__doc__": "A point."})) == ""


def test_the_folder_holds_corpus_questions_and_judgements(tmp_path: Path) -> None:
    entries = write_corpus(tmp_path)
    rows = [json.loads(row) for row in (tmp_path / "corpus.jsonl").read_text().splitlines()]
    read = [
        Entry(
            name=row["_id"],
            module=row["metadata"]["module"],
            kind=row["metadata"]["kind"],
            text=row["text"],
        )
        for row in rows
    ]
    assert tuple(read) == entries

    asked = [json.loads(row) for row in (tmp_path / "queries.jsonl").read_text().splitlines()]
    assert [(row["_id"], row["text"]) for row in asked] == [
        (question.id, question.text) for question in read_questions()
    ]

    header, *judged = (tmp_path / "qrels" / "test.tsv").read_text().splitlines()
    assert header == "query-id\tcorpus-id\tscore"
    expected = {
        (question.id, name, str(grade))
        for question in read_questions()
        for name, grade in question.answers.items()
    }
    assert {tuple(row.split("\t")) for row in judged} == expected
    assert len(judged) == len(expected)


def test_every_judged_answer_is_in_the_corpus(entries: tuple[Entry, ...]) -> None:
    judged_in({one.name for one in entries}, questions=read_questions())


def test_there_are_enough_questions_on_enough_modules_each_with_an_answer(
    entries: tuple[Entry, ...],
) -> None:
    questions = read_questions()
    assert len(questions) >= 90
    assert all(2 in question.answers.values() for question in questions)
    module_of = {one.name: one.module for one in entries}
    assert len({module_of[name] for question in questions for name in question.answers}) >= 35


def test_few_questions_give_their_answer_away() -> None:
    """Most questions never say the name that they look for, or search would be spelling."""
    given_away = [
        question.id
        for question in read_questions()
        if any(
            grade == 2 and name.rpartition(".")[2].casefold() in question.text.casefold().split()
            for name, grade in question.answers.items()
        )
    ]
    assert len(given_away) <= len(read_questions()) * 0.15, given_away


def test_a_missing_answer_is_named_with_its_question() -> None:
    question = Question(id="q7", text="how?", answers={"os.path.join": 2, "os.gone": 1})
    with pytest.raises(DemoError, match=r"1 judged answers .* q7 os\.gone\nhint: "):
        judged_in({"os.path.join"}, questions=[question])


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        ([line(), line(question="another")], r"each \"id\" must be there once; got \['q1'\]"),
        ([line(), line(id="q2")], r"each \"question\" must be there once"),
        ([line(answers={})], r"jsonl:1: .* has no answer"),
        ([line(answers={"str.join": 3})], r"jsonl:1: .* must be 1 or 2; got \{'str.join': 3\}"),
        ([line(question=" ")], r"jsonl:1: .* needs an id and a text"),
        ([line(), '{"id": "q2"}'], r"jsonl:2: the field 'question' is missing"),
        (["[]"], r"jsonl:1: not a question"),
        (["{"], r"jsonl:1: not a question"),
    ],
)
def test_a_wrong_line_is_named(lines: list[str], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        parse_questions(lines)


def test_without_documentation_strings_the_demo_says_so() -> None:
    program = (
        "import pathlib; from argot.demo.corpus import write_corpus; "
        "write_corpus(pathlib.Path('never-written'))"
    )
    done = subprocess.run(
        [sys.executable, "-OO", "-c", program], check=False, capture_output=True, text=True
    )
    assert done.returncode != 0
    assert "hint: run without -OO" in done.stderr


def test_the_modules_are_listed_once() -> None:
    assert len(set(corpus.MODULES)) == len(corpus.MODULES)
