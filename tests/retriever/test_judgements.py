"""Reading BEIR folders and TREC qrels."""

import gzip
import logging
from pathlib import Path

import pytest

from retriever.errors import JudgementsError
from retriever.evaluation.judgements import read_beir, read_judgements

QUERIES = '{"_id": "q1", "text": "leave"}\n{"_id": "q2", "text": "pay"}\n'


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("queries", ["queries.jsonl", "queries.jsonl.gz"])
@pytest.mark.parametrize(
    "qrels",
    ["qrels/test.tsv", "qrels_test.tsv", "qrels.tsv", "qrels/test.tsv.gz", "qrels_test.tsv.gz"],
)
def test_the_qrels_are_found_wherever_the_layout_puts_them(
    tmp_path: Path, queries: str, qrels: str
):
    write(tmp_path / queries, QUERIES)
    write(tmp_path / qrels, "query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\td2\t0\n")

    judgements = read_beir(tmp_path)
    assert judgements.queries == {"q1": "leave"}
    assert judgements.grades == {"q1": {"d1": 2, "d2": 0}}


@pytest.mark.parametrize(
    "text",
    [
        "q1\td1\t1\nq2\td 2\t3\n",
        "query-id\tcorpus-id\tscore\r\nq1\td1\t1\r\n\r\nq2\td 2\t3",
        "\ufeffquery-id\tcorpus-id\tscore\nq1\td1\t1\nq2\td 2\t3\n",
        "q1\t0\td1\t1\nq2\tQ0\td 2\t3\n",
        "q1\td1\t1\nq1\td1\t1\nq2\td 2\t3\n",
    ],
    ids=["no headings", "headings, CRLF, blank line", "byte order mark", "TREC", "said twice"],
)
def test_each_form_of_qrels_gives_the_same_grades(tmp_path: Path, text: str):
    queries = write(tmp_path / "q.jsonl", QUERIES)
    qrels = write(tmp_path / "r.tsv", text)

    grades = read_judgements(queries=queries, qrels=qrels).grades
    assert grades == {"q1": {"d1": 1}, "q2": {"d 2": 3}}


def test_trec_qrels_may_be_separated_by_spaces_and_query_ids_may_be_numbers(tmp_path: Path):
    queries = write(tmp_path / "q.jsonl", '{"_id": 7, "text": "leave", "metadata": {}}\n')
    qrels = write(tmp_path / "r.txt", "7 0 d1 1\n7 0 d2 -1\n")

    judgements = read_judgements(queries=queries, qrels=qrels)
    assert judgements.queries == {"7": "leave"}
    assert judgements.grades == {"7": {"d1": 1, "d2": -1}}


def test_judgements_of_unknown_queries_are_left_out_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    queries = write(tmp_path / "q.jsonl", QUERIES)
    qrels = write(tmp_path / "r.tsv", "q1\td1\t1\nq9\td1\t1\n")

    with caplog.at_level(logging.WARNING):
        assert list(read_judgements(queries=queries, qrels=qrels).grades) == ["q1"]
    assert "judges 1 queries" in caplog.text
    assert "'q9'" in caplog.text


@pytest.mark.parametrize(
    ("queries", "qrels", "message"),
    [
        ('{"_id": "q1"}\n', "q1\td\t1\n", r'q\.jsonl:1: "text" must be a string; got None'),
        ('\n{"text": "x"}\n', "q1\td\t1\n", r'q\.jsonl:2: "_id" must be a string; got None'),
        ("[1]\n", "q1\td\t1\n", r"q\.jsonl:1: a line must be a JSON object"),
        ("{\n", "q1\td\t1\n", r"q\.jsonl:1: a line must be"),
        (QUERIES + QUERIES, "q1\td\t1\n", r"q\.jsonl:3: a query id may occur once; got 'q1'"),
        (QUERIES, "q1\td\n", r"r\.tsv:1: a line must hold 3 fields.*got 'q1\\td'"),
        (QUERIES, "q1\td\t1\nq2\td\thigh\n", r"r\.tsv:2: the grade.*got 'high'"),
        (QUERIES, "q1\td\t1\nq1\td\t2\n", r"r\.tsv:2: 'd' has another grade for 'q1'"),
        (QUERIES, "q8\td\t1\n", r"no query of .*q\.jsonl is judged in .*(?s:.)*start with 'q8'"),
        (QUERIES, "", r"no query of .*q\.jsonl is judged"),
    ],
)
def test_an_error_names_file_and_line(tmp_path: Path, queries: str, qrels: str, message: str):
    asked = write(tmp_path / "q.jsonl", queries)
    judged = write(tmp_path / "r.tsv", qrels)

    with pytest.raises(JudgementsError, match=message):
        read_judgements(queries=asked, qrels=judged)


def test_a_split_that_is_not_there_is_never_replaced_by_another(tmp_path: Path):
    write(tmp_path / "queries.jsonl", QUERIES)
    write(tmp_path / "qrels_train.tsv", "q1\td1\t1\n")
    write(tmp_path / "qrels_test.tsv", "q2\td1\t1\n")
    write(tmp_path / "qrels.tsv", "q1\td1\t1\nq2\td1\t1\n")

    assert list(read_beir(tmp_path, split="train").queries) == ["q1"]
    with pytest.raises(JudgementsError, match="no qrels of the split 'dev'; it has test, train"):
        read_beir(tmp_path, split="dev")


def test_files_that_are_missing_or_damaged_are_named(tmp_path: Path):
    with pytest.raises(JudgementsError, match=r"holds no queries\.jsonl"):
        read_beir(tmp_path)
    write(tmp_path / "queries.jsonl", QUERIES)
    with pytest.raises(JudgementsError, match="holds no qrels"):
        read_beir(tmp_path)
    whole = gzip.compress(b"q1\td1\t1\n" * 100)
    (tmp_path / "qrels.tsv.gz").write_bytes(whole[:20])
    with pytest.raises(JudgementsError, match=r"qrels\.tsv\.gz can't be read"):
        read_beir(tmp_path)
    write(tmp_path / "qrels_test.tsv", "").write_bytes(b"q1\td\xff\t1\n")
    with pytest.raises(JudgementsError, match=r"qrels_test\.tsv can't be read"):
        read_beir(tmp_path)


@pytest.mark.parametrize("name", ["cranfield", "emanual", "scifact"])
def test_public_collections_are_read_with_every_judged_query(shared_data: Path, name: str):
    judgements = read_beir(shared_data / name)

    assert len(judgements.queries) > 50
    assert judgements.queries.keys() == judgements.grades.keys()


def test_qrels_in_which_nothing_is_relevant_are_refused(tmp_path: Path):
    queries, qrels = write(tmp_path / "q", QUERIES), write(tmp_path / "r", "q1 d1 0\nq2 d1 0\n")
    with pytest.raises(JudgementsError, match="all its grades are 0"):
        read_judgements(queries=queries, qrels=qrels)


def test_a_grade_of_a_query_that_is_not_there_makes_nothing_relevant(tmp_path: Path):
    queries, qrels = write(tmp_path / "q", QUERIES), write(tmp_path / "r", "q1 d1 0\nother d3 1\n")
    with pytest.raises(JudgementsError, match="all its grades are 0"):
        read_judgements(queries=queries, qrels=qrels)
