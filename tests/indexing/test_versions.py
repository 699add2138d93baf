"""Index versions on disk: whole or not there at all, and never outside their folder."""

import json
from pathlib import Path

import pytest

from indexing.errors import IndexingError, NoIndexError
from indexing.versions.description import (
    Canary,
    IndexVersion,
    LiveRecord,
    list_versions,
    live_record,
    live_version,
    next_version_name,
    previous_version,
    read_version,
    set_live,
    version_names,
    write_version,
)


def version(name: str) -> IndexVersion:
    return IndexVersion(
        name=name,
        created="2026-11-22T10:00:00+00:00",
        encoder="3f9a2c77",
        dimensions=2,
        full_dimensions=4,
        chunker={"max_tokens": 256, "overlap_tokens": 32},
        bm25={"language": "english", "k1": 0.9, "b": 0.4, "avg_len": 93.5},
        engine="qdrant-edge-py 0.9.0",
        canaries=(Canary("leave", (0.6, 0.8)), Canary("退货", (1.0, 0.0))),
    )


def finish(indexes: Path, name: str) -> IndexVersion:
    (indexes / name).mkdir(parents=True)
    write_version(indexes, version(name))
    return version(name)


def test_a_version_is_read_as_it_was_written(tmp_path: Path):
    written = finish(tmp_path, "docs-0001-3f9a2c")
    assert read_version(tmp_path, "docs-0001-3f9a2c") == written
    assert list_versions(tmp_path) == [written]


def test_a_version_that_was_never_finished_does_not_count(tmp_path: Path):
    finish(tmp_path, "docs-0001-3f9a2c")
    (tmp_path / "docs-0002-3f9a2c" / "shard").mkdir(parents=True)
    (tmp_path / "docs-0002-3f9a2c" / "version.json.unfinished").write_text("{")
    assert version_names(tmp_path) == ["docs-0001-3f9a2c"]
    with pytest.raises(NoIndexError, match="'docs-0002-3f9a2c'; found docs-0001-3f9a2c"):
        set_live(tmp_path, "docs-0002-3f9a2c")
    assert next_version_name(tmp_path, encoder="77c1aa00") == "docs-0003-77c1aa"


def test_the_live_version_is_the_last_one_set(tmp_path: Path):
    assert live_version(tmp_path) is None
    assert list_versions(tmp_path / "missing") == []
    finish(tmp_path, "docs-0001-3f9a2c")
    finish(tmp_path, "docs-0002-words")
    set_live(tmp_path, "docs-0001-3f9a2c")
    set_live(tmp_path, "docs-0002-words")
    assert live_version(tmp_path) == "docs-0002-words"
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "LIVE", "docs-0001-3f9a2c", "docs-0002-words",
    ]  # fmt: skip


def test_the_first_version_is_number_one_and_words_says_there_are_no_vectors(tmp_path: Path):
    assert next_version_name(tmp_path / "missing", encoder=None) == "docs-0001-words"


@pytest.mark.parametrize("name", ["../docs", "/etc", "", "a/b", ".", "Docs", "docs\n", "x" * 65])
def test_a_name_cannot_lead_out_of_the_folder(tmp_path: Path, name: str):
    with pytest.raises(IndexingError, match="lower-case letters"):
        read_version(tmp_path, name)
    (tmp_path / "LIVE").write_text(name)
    if name.strip() == name:
        with pytest.raises(IndexingError, match="lower-case letters"):
            live_version(tmp_path)


def test_a_version_of_another_release_is_refused_clearly(tmp_path: Path):
    finish(tmp_path, "docs-0001-3f9a2c")
    path = tmp_path / "docs-0001-3f9a2c" / "version.json"
    path.write_text(json.dumps({"schema_version": 2, "anything": []}))
    with pytest.raises(IndexingError, match=r"must have schema_version 1; got 2\nhint: "):
        read_version(tmp_path, "docs-0001-3f9a2c")


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"schema_version": 1, "name": "a"}', '{"schema_version": 1', "\x00"]
)
def test_a_damaged_description_is_named(tmp_path: Path, text: str):
    finish(tmp_path, "docs-0001-3f9a2c")
    (tmp_path / "docs-0001-3f9a2c" / "version.json").write_text(text)
    with pytest.raises(IndexingError, match=r"version\.json must describe an index version"):
        read_version(tmp_path, "docs-0001-3f9a2c")


def test_a_switch_notes_in_the_same_file_what_was_live_before(tmp_path: Path):
    for number in (1, 2, 3):
        finish(tmp_path, f"docs-000{number}-words")
    for number in (1, 2, 3, 2):
        set_live(tmp_path, f"docs-000{number}-words", configured={"model": f"m{number}"})
    assert live_record(tmp_path) == LiveRecord(
        "docs-0002-words", ("docs-0003-words", "docs-0001-words"), {"model": "m2"}
    )
    assert previous_version(tmp_path) == "docs-0003-words"
    (tmp_path / "docs-0003-words/version.json").unlink()
    assert previous_version(tmp_path) == "docs-0001-words"
    set_live(tmp_path, "docs-0001-words")
    assert live_record(tmp_path) == LiveRecord("docs-0001-words", ("docs-0002-words",), None)


def test_a_live_file_of_one_line_is_read_and_a_damaged_second_line_named(tmp_path: Path):
    finish(tmp_path, "docs-0001-words")
    (tmp_path / "LIVE").write_text("docs-0001-words\n")
    assert live_record(tmp_path) == LiveRecord("docs-0001-words")
    assert previous_version(tmp_path) is None
    (tmp_path / "LIVE").write_text("docs-0001-words\n{")
    with pytest.raises(IndexingError, match="delete the second line"):
        live_version(tmp_path)
