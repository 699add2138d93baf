"""A project whose index is on a Qdrant server, and how it gets there."""

import json
import tomllib
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from argot.diagnosis import look_at_server
from argot.index.backups import back_up, restore
from argot.index.growing import grow
from argot.project import Project
from encoder.base import FloatArray
from encoder.fake import HashingEncoder
from indexing.errors import StoreError
from indexing.stores.server_settings import ServerSettings
from indexing.versions.description import list_versions, live_version

if TYPE_CHECKING:
    from collections.abc import Callable

    from fake_qdrant import FakeQdrant

    Run = Callable[..., tuple[int, Any, str]]

SEARCH = ("search", "days of leave", "--mode", "sparse", "--json")


@pytest.fixture
def on_server(project: Path, server: "FakeQdrant", monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose new index versions are made on the server."""
    monkeypatch.setenv("ARGOT_INDEX__URL", server.url)
    monkeypatch.chdir(project)
    return project


def found(argot: "Run", *more: str | Path) -> list[str]:
    code, out, err = argot(*SEARCH, *more)
    assert code == 0, err
    return [hit["document_id"] for hit in out["hits"]]


def contents(server: "FakeQdrant", collection: str) -> dict[str, Any]:
    records, _ = server.engine.scroll(collection, limit=1000, with_vectors=True)
    return {str(record.id): (record.payload, str(record.vector)) for record in records}


def test_everything_works_on_a_server_as_in_a_folder(
    on_server: Path, server: "FakeQdrant", argot: "Run"
):
    assert argot("ingest")[0] == 0
    (name,) = server.engine.get_collections().collections
    assert name.name == "argot-docs-0001-words"
    (alias,) = server.engine.get_aliases().aliases
    assert (alias.alias_name, alias.collection_name) == ("argot-live", name.name)
    assert not (on_server / ".argot/indexes/docs-0001-words/shard").exists()
    assert found(argot)[0].endswith("leave.md")
    (on_server / "docs" / "leave.md").unlink()
    assert argot("ingest", "--max-delete-fraction", "1")[0] == 0
    assert found(argot) == []
    assert argot("ingest", "--rebuild")[0] == 0
    assert server.engine.get_aliases().aliases[0].collection_name == "argot-docs-0002-words"
    code, out, _ = argot("index", "verify", "--json")
    assert code == 0, out
    assert argot("index", "rollback")[0] == 0
    assert server.engine.get_aliases().aliases[0].collection_name == "argot-docs-0001-words"


@pytest.mark.usefixtures("on_server")
def test_a_machine_that_only_searches_needs_the_url_alone(argot: "Run", tmp_path: Path):
    assert argot("ingest")[0] == 0
    other = tmp_path / "other"
    other.mkdir()
    (other / "argot.toml").write_text("", encoding="utf-8")
    assert found(argot, "--project", other)[0].endswith("leave.md")
    assert not (other / ".argot").exists()


@pytest.mark.usefixtures("on_server")
def test_a_machine_that_only_searches_is_told_when_nothing_is_published(argot: "Run"):
    code, _, err = argot(*SEARCH)
    assert code == 1
    assert "the server has no alias 'argot-live'" in err


@pytest.mark.usefixtures("on_server")
def test_gc_removes_a_version_from_the_server_too(server: "FakeQdrant", argot: "Run"):
    for _ in range(3):
        assert argot("ingest", "--rebuild")[0] == 0
    assert len(server.engine.get_collections().collections) == 3
    assert argot("index", "gc")[0] == 0
    left = {each.name for each in server.engine.get_collections().collections}
    assert left == {"argot-docs-0002-words", "argot-docs-0003-words"}


def test_gc_removes_what_an_unfinished_version_left_but_no_other_projects(
    on_server: Path, server: "FakeQdrant", argot: "Run"
):
    assert argot("ingest")[0] == 0
    server.engine.create_collection("argot-docs-0002-words", vectors_config={})
    code, _, err = argot("ingest", "--rebuild")
    assert code == 1
    assert "'argot-docs-0002-words' exists" in err
    assert "collection_prefix" in err
    indexes = on_server / ".argot" / "indexes"
    assert argot("ingest", "--rebuild")[0] == 0
    (indexes / "docs-0003-words" / "version.json").unlink()
    (indexes / "LIVE").write_text("docs-0001-words\n", encoding="utf-8")
    assert argot("index", "gc")[0] == 0
    left = {each.name for each in server.engine.get_collections().collections}
    assert left == {"argot-docs-0001-words", "argot-docs-0002-words"}


def test_another_projects_collection_is_never_searched(on_server: Path, argot: "Run"):
    assert argot("ingest")[0] == 0
    path = on_server / ".argot/indexes/docs-0001-words/version.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(record | {"created": "2020-01-01"}), encoding="utf-8")
    code, _, err = argot(*SEARCH)
    assert code == 1
    assert "must be that of index docs-0001-words" in err
    assert "another created" in err


@pytest.mark.usefixtures("on_server")
def test_a_version_on_a_server_is_not_looked_for_elsewhere(
    argot: "Run", monkeypatch: pytest.MonkeyPatch
):
    assert argot("ingest")[0] == 0
    monkeypatch.delenv("ARGOT_INDEX__URL")
    code, _, err = argot(*SEARCH)
    assert code == 1
    assert "`url` must be set in [index]" in err


def test_growing_moves_every_point_and_says_what_to_do(
    project: Path, server: "FakeQdrant", argot: "Run", monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(project)
    assert argot("ingest")[0] == 0
    before = found(argot)
    code, _, err = argot("index", "grow", "--to", server.url)
    assert code == 0
    assert "docs-0001-words still answers" in err
    assert f'url = "{server.url}"' in err
    assert live_version(project / ".argot" / "indexes") == "docs-0001-words"
    collection = "argot-docs-0001-words-server"
    assert len(contents(server, collection)) == 3
    (project / "docs" / "new.md").write_text("# Leave\n\nLeave of absence.\n", encoding="utf-8")
    assert argot("ingest")[0] == 0
    server.seen.clear()
    code, out, _ = argot("index", "grow", "--to", server.url, "--write", "--json")
    assert (out["points"], out["written"], out["live"]) == (4, 1, True)
    settings = tomllib.loads((project / "argot.toml").read_text(encoding="utf-8"))
    assert settings["index"] == {"url": server.url}
    assert live_version(project / ".argot" / "indexes") == "docs-0001-words-server"
    assert set(before) < set(found(argot))
    code, _, err = argot("ingest")
    assert "4 kept" in err, "the catalog knows what the server holds"
    assert argot("index", "rollback")[0] == 0
    assert set(before) < set(found(argot))
    code, _, err = argot("index", "grow", "--to", server.url)
    assert code == 0, err
    code, _, err = argot("index", "grow", "--to", server.url)
    assert code == 2
    assert "the index to move must be embedded" in err


def test_a_move_that_was_broken_off_goes_on(project: Path, server: "FakeQdrant", argot: "Run"):
    argot("ingest", "--project", project)
    opened = Project.open(project)
    passes = 0

    def stop(_: int) -> None:
        nonlocal passes
        passes += 1
        if passes == 2:  # all is written and being compared
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        grow(opened, url=server.url, tell=stop)
    assert live_version(opened.paths.indexes) == "docs-0001-words"
    assert [version.name for version in list_versions(opened.paths.indexes)] == ["docs-0001-words"]
    assert len(contents(server, "argot-docs-0001-words-server")) == 3
    report = grow(opened, url=server.url)
    assert (report.transfer.points, report.transfer.written) == (3, 0)


def test_a_server_that_changes_a_point_is_found_out(
    project: Path, server: "FakeQdrant", argot: "Run", monkeypatch: pytest.MonkeyPatch
):
    argot("ingest", "--project", project)
    upsert = type(server)._upsert

    def forgetful(fake: "FakeQdrant", name: str, body: bytes) -> Any:
        asked = json.loads(body)
        asked["points"][0]["payload"]["text"] = "something else"
        return upsert(fake, name, json.dumps(asked).encode())

    monkeypatch.setattr(type(server), "_upsert", forgetful)
    opened = Project.open(project)
    with pytest.raises(StoreError, match=r"must hold what it was filled with; point .* differs"):
        grow(opened, url=server.url)
    assert live_version(opened.paths.indexes) == "docs-0001-words"


def test_a_backup_of_a_server_is_restored_into_a_folder_and_back(
    on_server: Path,
    server: "FakeQdrant",
    argot: "Run",
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    assert argot("ingest")[0] == 0
    file = tmp_path / "index.tar"
    assert argot("index", "backup", file)[0] == 0
    wanted = contents(server, "argot-docs-0001-words")
    monkeypatch.delenv("ARGOT_INDEX__URL")
    code, _, err = argot("index", "restore", file)
    assert (code, "docs-0001-words is live" in err) == (4, True)
    code, _, err = argot("index", "restore", file, "--force")
    assert code == 0, err
    assert live_version(on_server / ".argot" / "indexes") == "docs-0002-words"
    assert found(argot)[0].endswith("leave.md")
    second = tmp_path / "second.tar"
    assert argot("index", "backup", second)[0] == 0
    monkeypatch.setenv("ARGOT_INDEX__URL", server.url)
    assert argot("index", "restore", second, "--force")[0] == 0
    assert contents(server, "argot-docs-0003-words") == wanted


@pytest.mark.usefixtures("on_server")
def test_a_wrong_key_is_no_traceback(server: "FakeQdrant", fake_servers: ModuleType, argot: "Run"):
    assert argot("ingest")[0] == 0
    server.faults = [fake_servers.Fault(status=401)]
    code, _, err = argot(*SEARCH)
    assert code == 1
    assert "ARGOT_INDEX__API_KEY" in err


@pytest.mark.parametrize(
    ("spoil", "state", "says"),
    [
        ({}, "ok", "it asks for no key"),
        ({"version": "1.9.3"}, "wrong", "at most one minor version apart"),
        ({"url": "http://127.0.0.1:1"}, "wrong", "is it running"),
    ],
)
def test_doctor_asks_the_server(
    server: "FakeQdrant",
    monkeypatch: pytest.MonkeyPatch,
    spoil: dict[str, str],
    state: str,
    says: str,
):
    for name, value in spoil.items():
        monkeypatch.setattr(server, name, value)
    found = look_at_server(ServerSettings(url=server.url))
    assert found.state == state
    assert says in found.detail


class Counting(HashingEncoder):
    """Counts the documents that it encodes."""

    encoded = 0

    def encode_documents(
        self, texts: Sequence[str], *, dimensions: int | None = None
    ) -> FloatArray:
        self.encoded += len(texts)
        return super().encode_documents(texts, dimensions=dimensions)


def hits_of(project: Project) -> list[tuple[str, float]]:
    with project.search_session(mode="dense") as session:
        found = session.searcher.search("paid days of leave in a year")
    return [(hit.document_id, pytest.approx(hit.score, abs=1e-4)) for hit in found]


@pytest.mark.parametrize(
    "options", ["projection = 'pca'\ndimensions = 2", "storage = 'turbo8'", "two_stage = 8"]
)
def test_vectors_are_moved_kept_and_brought_back_without_encoding(
    project: Path, server: "FakeQdrant", tmp_path: Path, options: str
):
    with (project / "argot.toml").open("a", encoding="utf-8") as file:
        file.write(f"\n[index]\n{options}\n")
    encoder = Counting(32)

    def opened() -> Project:
        again = Project.open(project)
        again.encoder = encoder
        return again

    opened().ingest()
    wanted = hits_of(opened())
    encoder.encoded = 0
    back_up(opened(), tmp_path / "embedded.tar")
    report = grow(opened(), url=server.url, write=True)
    assert (report.transfer.written, report.live) == (3, True)
    back_up(opened(), tmp_path / "server.tar")
    assert encoder.encoded == 0
    assert hits_of(opened()) == wanted
    for name in ("embedded.tar", "server.tar"):
        restored = restore(opened(), tmp_path / name, force=True)
        assert (restored.points, live_version(opened().paths.indexes)) == (3, restored.version)
        assert hits_of(opened()) == wanted
    assert opened().ingest().kept == 3
