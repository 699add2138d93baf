"""The JSONL source beyond the conformance suite: lines as BEIR writes them, and broken ones."""

import gzip
import json
import tracemalloc
from pathlib import Path

import pytest

from connectors.base import Change, Complete, Failed, Upsert
from connectors.document import Document
from connectors.errors import DocumentError, SourceError
from connectors.jsonl import JsonlConnector


def run(path: Path, *lines: object, max_line_bytes: int = 10_000) -> list[Change]:
    written = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
    path.write_bytes(b"\n".join(written))
    return list(JsonlConnector("s", path, max_line_bytes=max_line_bytes).changes(None))


def only_document(changes: list[Change]) -> Document:
    (upsert,) = [change for change in changes if isinstance(change, Upsert)]
    return upsert.load()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "corpus.jsonl"


def test_a_beir_line_keeps_its_id_title_and_metadata(path: Path) -> None:
    record = {"_id": "4983", "title": "MRI", "text": "Alterations.", "metadata": {"url": "u://x"}}
    assert only_document(run(path, record)) == Document(
        id="4983", title="MRI", text="Alterations.", uri="u://x", metadata={"url": "u://x"}
    )


def test_other_keys_become_metadata_and_access_is_understood(path: Path) -> None:
    record = {"id": 7, "text": "t", "url": "u://y", "year": 2026, "access": ["group:hr"]}
    document = only_document(run(path, record))
    assert document.id == "7"
    assert document.uri == "u://y"
    assert document.metadata == {"year": 2026}
    assert document.access == ("group:hr",)


def test_an_empty_access_list_is_not_an_absent_one(path: Path) -> None:
    assert only_document(run(path, {"_id": "a", "text": "t", "access": []})).access == ()
    assert only_document(run(path, {"_id": "a", "text": "t"})).access is None


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"_id": "x", "text"', "not valid JSON"),
        (b'{"_id": "x", "text": "\xe9"}', "not UTF-8"),
        (b'["x"]', "must be a JSON object; got a list"),
        (b'{"text": "no id"}', '"_id" must be a string; got nothing'),
        (b'{"_id": "", "text": "t"}', "without control characters"),
        (b'{"_id": "a\\u0000b", "text": "t"}', "without control characters"),
        (b'{"_id": "x", "n": NaN}', "NaN is not a JSON number"),
        (b'{"_id": "x", "n": 1e999}', "too large for a number"),
        (b"[" * 5000, "not plain JSON"),
        (b'{"_id": "x", "text": "' + b"y" * 20_000 + b'"}', "longer than this source's"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_line_without_a_readable_id_fails_by_number_and_withholds_complete(
    path: Path, line: bytes, reason: str
) -> None:
    first, failed, last = run(path, {"_id": "a", "text": "1"}, line, {"_id": "b", "text": "2"})
    assert isinstance(first, Upsert)
    assert isinstance(last, Upsert)
    assert isinstance(failed, Failed)
    assert failed.document_id == "corpus.jsonl:2"
    assert failed.reason.startswith("corpus.jsonl:2: ")
    assert reason in failed.reason


def test_a_second_document_of_one_id_fails_and_the_first_counts(path: Path) -> None:
    changes = run(path, {"_id": "a", "text": "1"}, {"_id": "a", "text": "2"})
    assert only_document(changes).text == "1"
    assert (
        Failed("corpus.jsonl:2", "corpus.jsonl:2: \"_id\" 'a' is on an earlier line too") in changes
    )
    assert isinstance(changes[-1], Complete)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({}, '"text" must be a string; got nothing'),
        ({"text": "t", "title": ["x"]}, '"title" must be a string; got a list'),
        ({"text": "t", "metadata": "x"}, '"metadata" must be an object; got a string'),
        ({"text": "t", "access": "group:hr"}, '"access" must be a list of strings'),
    ],
)
def test_a_wrong_field_fails_that_document_at_load(
    path: Path, fields: dict[str, object], reason: str
) -> None:
    with pytest.raises(DocumentError, match=reason):
        only_document(run(path, {"_id": "a", **fields}))


def test_metadata_nested_without_end_is_refused(path: Path) -> None:
    line = b'{"_id": "a", "text": "t", "deep": ' + b"[" * 200 + b"]" * 200 + b"}"
    with pytest.raises(DocumentError, match="nested deeper than 20"):
        only_document(run(path, line))


def test_nul_and_lone_surrogates_do_not_reach_the_document(path: Path) -> None:
    line = b'{"_id": "a", "text": "x\\u0000y\\ud83d", "note": {"k\\u0000": ["\\udc00"]}}'
    document = only_document(run(path, line))
    assert document.text == "xy\ufffd"
    assert document.metadata == {"note": {"k": ["\ufffd"]}}


def test_blank_lines_crlf_and_a_byte_order_mark_are_no_trouble(path: Path) -> None:
    path.write_bytes(b'\xef\xbb\xbf{"_id": "a", "text": "1"}\r\n\r\n{"_id": "b", "text": "2"}\r\n')
    changes = list(JsonlConnector("s", path).changes(None))
    assert [change.document_id for change in changes if isinstance(change, Upsert)] == ["a", "b"]
    assert isinstance(changes[-1], Complete)


def test_the_revision_is_that_of_the_line_wherever_it_stands(path: Path) -> None:
    a, b = {"_id": "a", "text": "1"}, {"_id": "b", "text": "2"}
    revisions = [
        {
            change.document_id: change.revision
            for change in run(path, *lines)
            if isinstance(change, Upsert)
        }
        for lines in ((a, b), (b, a))
    ]
    assert revisions[0] == revisions[1]


def test_a_gzip_file_that_breaks_off_raises_and_never_completes(tmp_path: Path) -> None:
    path = tmp_path / "corpus.jsonl.gz"
    lines = b"".join(b'{"_id": "%d", "text": "x"}\n' % number for number in range(5000))
    path.write_bytes(gzip.compress(lines)[:-2000])
    seen: list[Change] = []
    with pytest.raises(SourceError, match=r"corpus\.jsonl\.gz"):
        seen.extend(JsonlConnector("s", path).changes(None))
    assert not any(isinstance(change, Complete) for change in seen)


def test_a_file_that_is_not_gzip_raises(tmp_path: Path) -> None:
    path = tmp_path / "corpus.jsonl.gz"
    path.write_bytes(b'{"_id": "a", "text": "1"}\n')
    with pytest.raises(SourceError, match="Not a gzipped file"):
        list(JsonlConnector("s", path).changes(None))


def test_memory_does_not_grow_with_the_file_or_an_endless_line(path: Path) -> None:
    with path.open("wb") as stream:
        stream.write(b'{"_id": "a", "text": "1"}\n')
        stream.truncate(50_000_000)  # a sparse file: the rest is one line of NULs
    tracemalloc.start()
    kinds = [
        type(change) for change in JsonlConnector("s", path, max_line_bytes=1000).changes(None)
    ]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert kinds == [Upsert, Failed]
    assert peak < 1_000_000


def test_the_limit_must_be_positive(path: Path) -> None:
    with pytest.raises(ValueError, match="`max_line_bytes` must be at least 1; got 0"):
        JsonlConnector("s", path, max_line_bytes=0)
