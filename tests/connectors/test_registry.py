"""Configured sources to connectors."""

from pathlib import Path

import pytest

from connectors.base import Upsert
from connectors.filesystem import FolderConnector
from connectors.jsonl import JsonlConnector
from connectors.registry import SourceSettings, build_connector, detect_type


@pytest.mark.parametrize("name", ["corpus.jsonl", "corpus.jsonl.gz"])
def test_a_folder_holding_a_corpus_is_a_jsonl_source(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"")
    connector = build_connector(SourceSettings(name="beir", path=tmp_path))
    assert isinstance(connector, JsonlConnector)
    assert connector.name == "beir"


def test_a_jsonl_file_is_a_jsonl_source_even_while_it_is_missing(tmp_path: Path) -> None:
    assert detect_type(tmp_path / "faq.jsonl") == "jsonl"
    assert detect_type(tmp_path / "faq.jsonl.gz") == "jsonl"


def test_any_other_path_is_a_folder_source(tmp_path: Path) -> None:
    assert isinstance(build_connector(SourceSettings(name="s", path=tmp_path)), FolderConnector)


def test_a_given_type_wins_over_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "corpus.jsonl").write_bytes(b"")
    source = SourceSettings(name="s", path=tmp_path, type="folder")
    assert isinstance(build_connector(source), FolderConnector)


def test_options_reach_the_connector(tmp_path: Path) -> None:
    for name in ("a.md", "b.txt"):
        (tmp_path / name).write_text("x")
    source = SourceSettings(
        name="s", path=tmp_path, options={"exclude": ["*.txt"], "max_file_bytes": 100}
    )
    changes = build_connector(source).changes(None)
    assert [change.document_id for change in changes if isinstance(change, Upsert)] == ["a.md"]


@pytest.mark.parametrize(
    ("type_", "options", "message"),
    [
        ("foldr", {}, "unknown type 'foldr'; did you mean 'folder'"),
        ("sql", {}, "unknown type 'sql'; known: folder, jsonl"),
        ("folder", {"exclud": []}, "no option 'exclud'; did you mean 'exclude'"),
        ("jsonl", {"include": []}, "no option 'include'"),
        ("folder", {"include": "*.md"}, "'include' must be a list of path patterns"),
        ("folder", {"max_file_bytes": "1 GB"}, "'max_file_bytes' must be a whole number above 0"),
        ("jsonl", {"max_line_bytes": True}, "'max_line_bytes' must be a whole number above 0"),
    ],
)
def test_a_wrong_setting_is_refused_with_what_would_be_right(
    tmp_path: Path, type_: str, options: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        build_connector(SourceSettings(name="s", path=tmp_path, type=type_, options=options))
