"""A catalog of an older schema is brought up to date when it is opened, and loses nothing."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, create_engine, text

from connectors.document import Document
from indexing.catalog.catalog import Catalog
from indexing.catalog.opening import MIGRATIONS
from indexing.catalog.tables import metadata
from indexing.chunks.chunking import ChunkSettings, chunk_document
from indexing.chunks.tokens import WordTokenizer
from indexing.identity import text_hash
from indexing.records import IndexedDocument

alembic = pytest.importorskip("alembic", reason="alembic is not installed")
POSTGRESQL = os.environ.get("ARGOT_TEST_POSTGRESQL_URL", "")
VERSION = "docs-0001"


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database without tables."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'catalog.sqlite'}"
        return
    if not POSTGRESQL:
        pytest.skip("ARGOT_TEST_POSTGRESQL_URL names no database to write to")
    engine = create_engine(POSTGRESQL)
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()
    yield POSTGRESQL


def run_alembic(connection: Connection, revision: str) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def document(document_id: str) -> IndexedDocument:
    whole = Document(id=document_id, text=f"All about {document_id}.", title="Leave")
    chunks = chunk_document(whole, tokenizer=WordTokenizer(), settings=ChunkSettings())
    return IndexedDocument(
        source="wiki",
        document=whole,
        revision="r1",
        protected=False,
        content_hash="c",
        metadata_hash="m",
        chunks=tuple(chunks),
    )


def fill_first_schema(engine: Engine) -> None:
    """Write as the first version of Argot did: two documents and a point that a crash left."""
    row = {"version": VERSION, "source": "wiki", "document_id": "a"}
    with engine.begin() as connection:
        run_alembic(connection, "0001")
        connection.execute(text("DROP TABLE alembic_version"))  # it wrote none
        for name in ("a", "b"):
            found = document(name)
            (chunk,) = found.chunks
            connection.execute(
                text(
                    "INSERT INTO documents (version, source, document_id, content_hash, "
                    "metadata_hash, revision, protected, title, uri, metadata, attempts, updated) "
                    "VALUES (:version, :source, :document_id, 'c', 'm', 'r1', false, 'Leave', '', "
                    "'{}', 0, '2026-01-01T00:00:00+00:00')"
                ),
                {**row, "document_id": name},
            )
            connection.execute(
                text(
                    "INSERT INTO chunks VALUES (:version, :source, :document_id, 0, :point, :text, "
                    ":start, :end, NULL, '[]', :context, 4)"
                ),
                {
                    **row,
                    "document_id": name,
                    "point": found.point_ids[0],
                    "text": chunk.text,
                    "start": chunk.start,
                    "end": chunk.end,
                    "context": chunk.context,
                },
            )
        connection.execute(
            text("INSERT INTO loose_points VALUES (:version, 'left-by-a-crash')"), row
        )


@pytest.fixture
def old(url: str) -> str:
    engine = create_engine(url)
    fill_first_schema(engine)
    engine.dispose()
    return url


def differences(url: str) -> list[object]:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    engine = create_engine(url)
    with engine.connect() as connection:
        found = compare_metadata(MigrationContext.configure(connection), metadata)
    engine.dispose()
    return [entry for entry in found if "alembic_version" not in str(entry)]


def test_a_migrated_catalog_has_the_tables_of_a_new_one(old: str) -> None:
    assert differences(old) != []
    Catalog(old).close()
    assert differences(old) == []


def test_a_new_catalog_has_the_tables_that_the_code_names(url: str) -> None:
    Catalog(url).close()
    assert differences(url) == []


def test_everything_in_an_old_catalog_is_found_after_its_migration(old: str) -> None:
    for _ in range(2):
        with Catalog(old) as catalog:
            records = catalog.source("wiki", version=VERSION)
            assert list(records.known_documents()) == [("a", True), ("b", True)]
            found = list(catalog.indexed_documents(version=VERSION))
            assert [known.point_ids for known in found] == [
                document(name).point_ids for name in ("a", "b")
            ]
            assert records.loose_points() == ["left-by-a-crash"]
            (chunk,) = document("b").chunks
            digest = text_hash(chunk.encoded_text)
            twins = records.points_by_text([digest], encoder="any")
            assert twins == {digest: document("b").point_ids[0]}


def test_the_old_catalog_is_kept_beside_the_migrated_one(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite"
    engine = create_engine(f"sqlite:///{path}")
    fill_first_schema(engine)
    engine.dispose()
    Catalog(f"sqlite:///{path}").close()
    for name, version in ((path.name, 2), (f"{path.name}.schema-1", 1)):
        with closing(sqlite3.connect(tmp_path / name)) as connection:
            found = connection.execute("SELECT version FROM catalog_schema").fetchall()
            documents = connection.execute("SELECT count(*) FROM documents").fetchall()
        assert (found, documents) == ([(version,)], [(2,)])


def test_a_migration_that_fails_changes_nothing(old: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from indexing.catalog import opening as catalog_opening

    migrate = catalog_opening._migrate

    def fail_at_the_end(connection: Connection, found: int) -> None:
        migrate(connection, found)
        raise OSError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(catalog_opening, "_migrate", fail_at_the_end)
        with pytest.raises(Exception, match="the disk is full"):
            Catalog(old)
    assert differences(old) != []
    Catalog(old).close()
    assert differences(old) == []
