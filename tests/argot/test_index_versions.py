"""Versions of an index: built beside the live one, judged, switched, checked and cleaned up."""

import importlib.util
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from argot.index.building import build_version
from argot.index.gate import Questions
from argot.index.promotion import promote, roll_back
from argot.index.versions import check_version, collect, open_catalog, summaries
from indexing.errors import IndexLockedError, NoIndexError, WrongEncoderError
from indexing.files.lock import hold_lock
from indexing.sync.verification import Problem
from indexing.versions.collection import open_index
from indexing.versions.description import live_version, previous_version, read_version
from indexing.versions.removal import Keep
from retriever.evaluation.judgements import Judgements

OLD, NEW = "docs-0001", "docs-0002"


def load(name: str) -> ModuleType:
    """Import a module that lies beside this one."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A project with 24 ingested documents."""
    world = load("versions_world").World(tmp_path, monkeypatch)
    world.project.ingest()
    world.forget()
    return world


def live(world: Any) -> str:
    name = live_version(world.project.paths.indexes)
    assert name is not None
    return name


def answers(world: Any, query: str, mode: str = "dense") -> str:
    """The document that answers best, asked in a new process."""
    with world.project.search_session(mode=mode, k=1) as session:
        (hit,) = session.searcher.search(query)
    return hit.document_id


def test_a_shadow_is_built_from_the_stored_chunks_while_the_live_version_answers(world: Any):
    for path in world.docs.iterdir():
        path.unlink()  # the sources are not asked
    with world.project.search_session(mode="dense") as session:
        report = build_version(world.project, encoder="new")
        assert session.searcher.search("part7")[0].document_id == "07.md"
    assert report.step.written == 24
    assert report.step.chunks_embedded == len(world.encoders["new"].texts) == 24
    assert not world.encoders["old"].texts
    assert live(world).startswith(OLD)
    built = read_version(world.project.paths.indexes, report.version)
    assert built.encoder_settings["model"] == "new"
    assert check_version(world.project, name=report.version, sample=24)[0].findings == ()


def test_building_again_encodes_nothing(world: Any):
    first = build_version(world.project, encoder="new")
    again = build_version(world.project, encoder="new")
    assert again.version == first.version
    assert (again.step.written, again.step.chunks_embedded) == (0, 0)
    assert len(world.encoders["new"].texts) == 24


def test_building_what_is_live_does_nothing(world: Any):
    report = build_version(world.project)
    assert (report.live, report.version) == (True, live(world))
    assert not world.encoders["old"].texts


@pytest.mark.slow
def test_a_build_that_is_killed_goes_on_where_it_was(world: Any):
    script = Path(__file__).with_name("killed_build.py")
    # The second batch of five documents is not written; then the third is, and not committed.
    for die in ("upsert:2", "flush:3"):
        command = [sys.executable, str(script), str(world.root.parent), die]
        done = subprocess.run(
            command, cwd=script.parents[2], capture_output=True, text=True, check=False
        )
        assert done.returncode == -signal.SIGKILL, done.stderr
    assert answers(world, "part7") == "07.md"
    report = build_version(world.project, encoder="new")
    assert report.version.startswith(NEW)
    assert len(world.encoders["new"].texts) == report.step.chunks_embedded == 14
    assert check_version(world.project, name=report.version, sample=24)[0].findings == ()


def test_a_build_with_the_same_encoder_takes_the_stored_vectors(world: Any):
    world.settings("[index]", "dimensions = 128")
    report = build_version(world.project)
    assert (report.step.written, report.step.chunks_embedded) == (24, 0)
    assert not world.encoders["old"].texts
    built = read_version(world.project.paths.indexes, report.version)
    assert (built.dimensions, built.full_dimensions) == (128, 1024)
    assert check_version(world.project, name=report.version, sample=24)[0].findings == ()


def test_a_promoted_version_answers_with_its_own_encoder_whatever_argot_toml_says(world: Any):
    new = build_version(world.project, encoder="new").version
    switch = promote(world.project, new)
    assert switch.done
    assert switch.verdict is not None
    assert switch.verdict.queries == 24
    assert live(world) == new
    assert answers(world, "part7") == "07.md"
    assert "part7" in world.encoders["new"].queries
    world.write(40)
    assert world.project.ingest().added == 1
    assert answers(world, "part40") == "40.md"


def test_what_is_ingested_during_a_build_is_replayed_before_the_promote(world: Any):
    new = build_version(world.project, encoder="new").version
    world.write(40)
    world.write(3, more="and turbine blades")
    (world.docs / "05.md").unlink()
    assert world.project.ingest().deleted == 1
    world.forget()
    switch = promote(world.project, new)
    assert (switch.replayed.written, switch.replayed.removed) == (2, 1)
    assert len(world.encoders["new"].texts) == 2
    assert answers(world, "turbine blades") == "03.md"
    assert answers(world, "part5") != "05.md"
    report = world.project.ingest()
    assert (report.kept, report.added, report.changed) == (24, 0, 0)
    assert check_version(world.project, sample=24)[0].findings == ()


def test_a_rollback_replays_what_was_ingested_since_and_needs_no_change_of_settings(world: Any):
    old = live(world)
    new = build_version(world.project, encoder="new").version
    promote(world.project, new)
    world.settings(model="new")
    world.write(40)
    world.write(3, more="and turbine blades")
    world.project.ingest()
    world.forget()
    switch = roll_back(world.project)
    assert (switch.version, switch.before, switch.replayed.written) == (old, new, 2)
    assert len(world.encoders["old"].texts) == 2
    assert answers(world, "turbine blades") == "03.md"
    assert answers(world, "part40") == "40.md"
    assert world.project.ingest().kept == 25
    assert previous_version(world.project.paths.indexes) == new
    assert roll_back(world.project).version == new


def test_whoever_names_another_encoder_after_the_switch_is_refused(world: Any):
    new = build_version(world.project, encoder="new").version
    world.settings(model="new")
    with pytest.raises(WrongEncoderError):
        answers(world, "part7")
    with pytest.raises(WrongEncoderError):
        world.project.ingest()
    promote(world.project, new, gate=False)
    assert answers(world, "part7") == "07.md"
    world.settings(model="old")
    with pytest.raises(WrongEncoderError):
        answers(world, "part7")


def test_the_gate_refuses_a_version_that_is_worse(world: Any):
    old = live(world)
    bad = build_version(world.project, encoder="bad").version
    switch = promote(world.project, bad)
    assert not switch.done
    assert switch.verdict is not None
    assert "ndcg@10" in switch.verdict.worse
    assert live(world) == old
    assert promote(world.project, bad, gate=False).done
    assert live(world) == bad


def test_the_gate_asks_the_users_own_questions(world: Any):
    new = build_version(world.project, encoder="new").version
    queries = {str(n): f"part{n}" for n in range(24)}
    grades = {key: {f"{int(key):02}.md": 1} for key in queries}
    questions = Questions(Judgements(queries, grades), "mine")
    switch = promote(world.project, new, questions=questions)
    assert switch.done
    assert switch.verdict is not None
    assert (switch.verdict.origin, switch.verdict.queries) == ("mine", 24)
    assert switch.verdict.live.metrics["recall@100"].value == 1.0


def test_no_version_is_promoted_while_something_is_ingested(world: Any):
    new = build_version(world.project, encoder="new").version
    with (
        hold_lock(world.project.paths.ingest_lock, what="test"),
        pytest.raises(IndexLockedError, match="ingestion"),
    ):
        promote(world.project, new)
    assert live(world).startswith(OLD)


def test_an_open_retriever_moves_to_a_promoted_version_with_another_encoder(world: Any):
    with world.project.search_session(mode="dense") as session:
        promote(world.project, build_version(world.project, encoder="new").version)
        world.forget()
        asked = len(world.encoders["new"].queries)
        assert session.searcher.search("part7")[0].document_id == "07.md"
        assert session.searcher.version_name.startswith(NEW)
        assert len(world.encoders["new"].queries) == asked + 1
        assert not session.refresh()


def test_gc_spares_the_live_the_previous_the_waiting_and_what_is_open(world: Any):
    first = live(world)
    second = build_version(world.project, encoder="new").version
    with world.project.search_session(mode="dense", follow=False) as session:
        promote(world.project, second)
        third = build_version(world.project, encoder="bad").version
        found, gone = collect(world.project)
        assert {old.name: old.kept for old in found} == {
            first: Keep.PREVIOUS,
            second: Keep.LIVE,
            third: Keep.WAITING,
        }
        assert gone == []
        promote(world.project, third, gate=False)
        found, gone = collect(world.project)
        assert [old.name for old in found if old.kept is Keep.IN_USE] == [first]
        assert gone == []
        assert session.searcher.search("part7")[0].document_id == "07.md"
    found, gone = collect(world.project, dry_run=True)
    assert [(old.name, old.size > 0) for old in found if old.kept is None] == [(first, True)]
    assert gone == []
    assert collect(world.project)[1] == [first]
    assert [summary.version.name for summary in summaries(world.project)] == [second, third]
    assert not (world.project.paths.indexes / first).exists()
    assert build_version(world.project, encoder="old").version.startswith("docs-0004")


def test_gc_completes_a_removal_that_was_cut_off(world: Any):
    first = live(world)
    for encoder in ("new", "bad"):
        promote(world.project, build_version(world.project, encoder=encoder).version, gate=False)
    (world.project.paths.indexes / first / "version.json").unlink()
    assert collect(world.project)[1] == [first]
    assert collect(world.project)[1] == []


def test_a_rollback_without_a_version_to_go_back_to_says_so(world: Any):
    with pytest.raises(NoIndexError, match="no version answered before"):
        roll_back(world.project)


def test_documents_that_the_new_encoder_refuses_keep_it_from_answering(world: Any):
    world.encoders["new"].refuses = "part7."
    new = build_version(world.project, encoder="new")
    assert [failed.document_id for failed in new.step.failed] == ["07.md"]
    switch = promote(world.project, new.version)
    assert (switch.done, switch.verdict, len(switch.replayed.failed)) == (False, None, 1)
    world.encoders["new"].refuses = ""
    assert promote(world.project, new.version).done
    assert answers(world, "part7") == "07.md"


def test_a_rebuild_from_the_sources_does_not_take_a_version_of_stored_chunks_for_its_own(
    world: Any,
):
    new = build_version(world.project, encoder="new").version
    world.settings(model="new")
    world.forget()
    assert world.project.ingest(rebuild=True).added == 24
    assert len(world.encoders["new"].texts) == 24
    assert live(world) not in (new, OLD)


def test_verify_finds_and_mends_what_is_wrong(world: Any):
    with open_index(world.project.paths.indexes) as index:
        store = index.store
        points = sorted((p for batch in store.scan() for p in batch), key=lambda p: p.id)
        lost, turned, stray, forged, mute, left = points[:6]
        store.delete([lost.id])
        store.upsert([replace(turned, dense=-turned.dense)])
        store.upsert([replace(stray, id="0" * 8 + stray.id[8:])])
        store.upsert([replace(left, id="1" * 8 + left.id[8:])])
        store.upsert([replace(mute, sparse=lost.sparse)])
        store.set_payload({forged.id: {**forged.payload, "text": "forged"}})
    with open_catalog(world.project) as catalog:
        catalog.source("docs", version=live(world)).announce(["1" * 8 + left.id[8:]])
    found, mended = check_version(world.project, sample=100)
    assert mended == 0
    assert {(finding.problem, finding.point) for finding in found.findings} == {
        (Problem.MISSING, lost.id),
        (Problem.VECTOR, turned.id),
        (Problem.STRAY, "0" * 8 + stray.id[8:]),
        (Problem.PAYLOAD, forged.id),
        (Problem.WORDS, mute.id),
        (Problem.LOOSE, "1" * 8 + left.id[8:]),
    }
    found, mended = check_version(world.project, name=live(world), sample=100, mend=True)
    assert (found.findings, mended) == ((), 6)
    assert answers(world, "part7") == "07.md"


def test_verify_leaves_a_damaged_catalog_to_the_sources(world: Any):
    with closing(sqlite3.connect(world.root / ".argot/catalog.sqlite")) as database:
        database.execute("UPDATE chunks SET text = 'forged' WHERE document_id = '07.md'")
        database.commit()
    found, mended = check_version(world.project, sample=0, mend=True)
    assert mended == 0
    assert [(f.problem, f.document_id, f.mendable) for f in found.findings] == [
        (Problem.CHECKSUM, "07.md", False)
    ]
