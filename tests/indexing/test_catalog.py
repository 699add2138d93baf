"""The catalog remembers, per index version, what the store holds and what failed."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.document import Document
from indexing.catalog.catalog import Catalog
from indexing.chunks.chunking import ChunkSettings, chunk_document
from indexing.chunks.tokens import WordTokenizer
from indexing.errors import CatalogError
from indexing.plan import KnownDocument
from indexing.records import FailedDocument, IndexedDocument, SourceSummary

VERSION = "docs-0001"


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    with Catalog(f"sqlite:///{tmp_path / 'deep' / 'catalog.sqlite'}") as catalog:
        yield catalog


def indexed(document_id: str = "a", text: str = "Some text.", **fields: object) -> IndexedDocument:
    document = Document(id=document_id, text=text, title="T", **fields)
    chunks = chunk_document(document, tokenizer=WordTokenizer(), settings=ChunkSettings())
    return IndexedDocument(
        source="wiki",
        document=document,
        revision="r1",
        protected=False,
        content_hash=f"hash of {text}",
        metadata_hash="m",
        chunks=tuple(chunks),
    )


def test_what_is_committed_is_found(catalog: Catalog) -> None:
    records = catalog.source("wiki", version=VERSION)
    assert records.find("a") is None
    document = indexed()
    records.commit(indexed=[document], cursor="c1")
    assert records.find("a") == KnownDocument(
        content_hash="hash of Some text.", metadata_hash="m", revision="r1"
    )
    assert records.point_ids(["a", "b"]) == set(document.point_ids)
    assert (records.cursor(), dict(records.known_documents())) == ("c1", {"a": True})


def test_announced_points_are_loose_until_they_are_committed(catalog: Catalog) -> None:
    records = catalog.source("wiki", version=VERSION)
    document = indexed()
    records.announce(document.point_ids)
    assert records.loose_points() == document.point_ids
    records.commit(indexed=[document])
    assert records.loose_points() == []


def test_replaced_and_removed_points_are_loose_until_they_are_forgotten(catalog: Catalog) -> None:
    records = catalog.source("wiki", version=VERSION)
    old, new = indexed(text="Old."), indexed(text="New.")
    records.commit(indexed=[old])
    records.commit(indexed=[new])
    assert records.loose_points() == old.point_ids
    with records.sweeping() as loose:
        assert loose == old.point_ids
    records.remove(["a"])
    assert records.loose_points() == new.point_ids
    assert records.find("a") is None


def test_a_point_that_belongs_to_a_chunk_is_never_loose(catalog: Catalog) -> None:
    records = catalog.source("wiki", version=VERSION)
    records.commit(indexed=[indexed()])
    records.announce(indexed().point_ids)
    assert records.loose_points() == []


def test_failures_are_counted_per_revision(catalog: Catalog) -> None:
    records = catalog.source("wiki", version=VERSION)
    for revision in ("r1", "r2", "r2"):
        records.commit(failed=[FailedDocument("wiki", "a", "damaged", revision)])
    assert catalog.failures(version=VERSION) == [FailedDocument("wiki", "a", "damaged", "r2", 2)]
    assert dict(records.known_documents()) == {"a": False}
    records.commit(indexed=[indexed()])
    assert catalog.failures(version=VERSION) == []


def test_a_failure_keeps_what_is_indexed(catalog: Catalog) -> None:
    records = catalog.source("wiki", version=VERSION)
    records.commit(indexed=[indexed()])
    records.commit(failed=[FailedDocument("wiki", "a", "damaged", "r2")])
    known = records.find("a")
    assert known is not None
    assert (known.content_hash, known.revision, known.failure) == (
        "hash of Some text.",
        "r1",
        "damaged",
    )
    records.commit(unchanged=[("a", "r3")])
    known = records.find("a")
    assert known is not None
    assert (known.revision, known.failure, known.attempts) == ("r3", None, 0)
    assert catalog.summary(version=VERSION) == [SourceSummary("wiki", 1, 0, 1)]


def test_versions_and_sources_are_apart(catalog: Catalog) -> None:
    catalog.source("wiki", version="docs-0001").commit(indexed=[indexed()], cursor="c")
    catalog.source("wiki", version="docs-0002").commit(indexed=[indexed()])
    assert list(catalog.source("files", version="docs-0001").known_documents()) == []
    catalog.forget_version("docs-0001")
    assert catalog.summary(version="docs-0001") == []
    assert catalog.source("wiki", version="docs-0001").cursor() is None
    assert len(list(catalog.indexed_documents(version="docs-0002"))) == 1


def test_documents_come_back_with_their_chunks(catalog: Catalog) -> None:
    document = indexed(
        text="word " * 2000, uri="u", metadata={"k": [1, None]}, access=(), page_starts=(0, 900)
    )
    catalog.source("wiki", version=VERSION).commit(indexed=[document, indexed("b", access=None)])
    first, second = catalog.indexed_documents(version=VERSION)
    assert first.chunks == document.chunks
    assert first.point_ids == document.point_ids
    assert (first.document.access, first.document.metadata) == ((), {"k": [1, None]})
    assert (second.document.id, second.document.access) == ("b", None)


def test_many_documents_are_handled_in_one_call(catalog: Catalog) -> None:
    records = catalog.source("wiki", version=VERSION)
    documents = [indexed(f"d{n}") for n in range(1200)]
    records.commit(indexed=documents)
    ids = [document.document.id for document in documents]
    assert len(records.point_ids(ids)) == 1200
    records.remove(ids)
    assert len(records.loose_points()) == 1200


def test_a_failed_commit_changes_nothing(catalog: Catalog) -> None:
    records = catalog.source("wiki", version=VERSION)
    records.commit(indexed=[indexed()])
    with pytest.raises(UnicodeEncodeError):
        records.commit(indexed=[indexed(text="New."), indexed("b\ud800")], cursor="c")
    known = records.find("a")
    assert known is not None
    assert (known.content_hash, records.cursor()) == ("hash of Some text.", None)


def test_a_run_that_was_killed_is_still_running_and_the_next_is_listed_first(
    catalog: Catalog,
) -> None:
    catalog.begin_run("wiki", version=VERSION)
    number = catalog.begin_run("files", version=VERSION)
    catalog.finish_run(number, status="done", counts={"added": 3})
    runs = catalog.last_runs(version=VERSION, limit=5)
    assert [(run.source, run.status, run.counts) for run in runs] == [
        ("files", "done", {"added": 3}),
        ("wiki", "running", {}),
    ]
    assert runs[0].finished is not None


def test_the_version_that_answered_last_is_remembered_and_is_no_sync(catalog: Catalog) -> None:
    assert catalog.last_live() is None
    for version in (VERSION, "docs-0002-words", "docs-0002-words", VERSION):
        catalog.note_live(version)
        assert catalog.last_live() == version
    assert catalog.last_runs(version=VERSION) == []


def test_it_is_sqlite_in_wal_mode_with_foreign_keys(catalog: Catalog) -> None:
    with catalog._engine.connect() as connection:
        pragma = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "foreign_keys", "busy_timeout")
        }
    assert pragma == {"journal_mode": "wal", "foreign_keys": 1, "busy_timeout": 30_000}


def test_another_schema_version_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite"
    Catalog(f"sqlite:///{path}").close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE catalog_schema SET version = 99")
    connection.close()
    with pytest.raises(CatalogError, match=r"must have schema version 2; got 99\nhint"):
        Catalog(f"sqlite:///{path}")


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite"
    path.write_text("Dear diary, " * 1000)
    with pytest.raises(CatalogError, match="can't be opened: file is not a database"):
        Catalog(f"sqlite:///{path}")


@pytest.mark.parametrize(
    "url",
    ["catalog.sqlite", "nosuchdb://user:secret@host/x", "sqlite://user:secret@host/x"],
)
def test_a_url_that_is_none_is_refused_without_showing_its_password(url: str) -> None:
    with pytest.raises(CatalogError, match="must be one that SQLAlchemy knows") as caught:
        Catalog(url)
    assert "secret" not in str(caught.value)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CatalogError, match=r"can't be opened: .*file"):
        Catalog(f"sqlite:///{tmp_path / 'file' / 'catalog.sqlite'}")


def test_an_error_of_the_database_is_ours_and_repeats_no_text(
    catalog: Catalog, tmp_path: Path
) -> None:
    with sqlite3.connect(tmp_path / "deep" / "catalog.sqlite") as connection:
        connection.execute("DROP TABLE chunks")
    with pytest.raises(CatalogError, match="no such table: chunks") as raised:
        catalog.source("wiki", version=VERSION).commit(indexed=[indexed(text="A secret.")])
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    "url", ["postgresql://me:hunter2@host:hunter2/db", "me:hunter2@host/db", "hunter2"]
)
def test_a_wrong_url_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(CatalogError, match="SQLAlchemy knows") as raised:
        Catalog(url)
    assert "hunter2" not in str(raised.value)
