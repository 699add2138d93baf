"""A sync that is killed at any step loses nothing and leaves nothing double."""

import importlib.util
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from indexing.catalog.catalog import Catalog
from indexing.stores.edge import EdgeStore

SCRIPT = Path(__file__).with_name("killed_sync.py")


@pytest.fixture(scope="module")
def killed_sync() -> ModuleType:
    spec = importlib.util.spec_from_file_location("killed_sync", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def sync_in_a_process(folder: Path, generation: int, die: str = "") -> int:
    command = [sys.executable, str(SCRIPT), str(folder), str(generation), *([die] if die else [])]
    done = subprocess.run(
        command, cwd=SCRIPT.parents[2], capture_output=True, text=True, check=False
    )
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode


def stored(folder: Path, killed_sync: ModuleType) -> dict[str, str]:
    """Document and text of every point in the store."""
    store = EdgeStore.open(folder / "index", spec=killed_sync.SPEC)
    points = [point for batch in store.scan() for point in batch]
    store.close()
    return {
        point.id: "{document_id} {text} {metadata[owner]}".format(**point.payload)
        for point in points
    }


def cataloged(folder: Path) -> set[str]:
    with Catalog(f"sqlite:///{folder / 'catalog.sqlite'}") as catalog:
        documents = list(catalog.indexed_documents(version="docs-0001"))
    return {point for document in documents for point in document.point_ids}


def test_killed_at_every_step_it_ends_as_if_it_never_was(
    tmp_path: Path, killed_sync: ModuleType
) -> None:
    calm, killed = tmp_path / "calm", tmp_path / "killed"
    calm.mkdir()
    killed.mkdir()
    killed_sync.run(calm, 1)
    first = stored(calm, killed_sync)
    killed_sync.run(calm, 2)
    second = stored(calm, killed_sync)
    assert len(second) < len(first)

    for die in ("upsert:3", "existing:8"):
        assert sync_in_a_process(killed, 1, die) == -signal.SIGKILL
    assert sync_in_a_process(killed, 1) == 0
    assert stored(killed, killed_sync) == first
    assert cataloged(killed) == first.keys()

    for die in ("delete:1", "delete:2"):
        assert sync_in_a_process(killed, 2, die) == -signal.SIGKILL
        now = stored(killed, killed_sync)
        assert now.items() <= first.items() | second.items()
        assert {text.split()[0] for text in second.values()} <= {
            text.split()[0] for text in now.values()
        }
    assert sync_in_a_process(killed, 2) == 0
    assert stored(killed, killed_sync) == second
    assert cataloged(killed) == second.keys()


STEPS = (
    "records.announce:1",  # at first nothing is written
    "upsert:1",
    "set_payload:1",  # the new points are written
    "flush:1",
    "existing:2",  # and durable: verify them
    "records.commit:1",
    "records.sweeping:2",  # committed; the first time is the sweep at the beginning
    "delete:1",  # delete the old ones
    "flush:2",
    "records._forget:1",
    "records.remove:1",  # everything new is there; delete what is gone
    "delete:4",
)
"""Of a sync, in the order in which they are taken; between each two it is killed."""


@pytest.mark.slow
def test_killed_between_any_two_steps_every_document_is_there_old_or_new(
    tmp_path: Path, killed_sync: ModuleType
) -> None:
    origin, calm = tmp_path / "origin", tmp_path / "calm"
    origin.mkdir()
    killed_sync.run(origin, 1)
    first = stored(origin, killed_sync)
    shutil.copytree(origin, calm)
    killed_sync.run(calm, 2)
    second = stored(calm, killed_sync)
    for step in STEPS:
        killed = tmp_path / step
        shutil.copytree(origin, killed)
        assert sync_in_a_process(killed, 2, step) == -signal.SIGKILL, step
        now = stored(killed, killed_sync)
        assert now.items() <= first.items() | second.items(), step
        for n in range(killed_sync.DOCUMENTS):
            old, new = (
                {point for point, text in points.items() if text.split()[0] == f"d{n}"}
                for points in (first, second)
            )
            assert old <= now.keys() or new <= now.keys(), (step, n)
        assert sync_in_a_process(killed, 2) == 0
        assert stored(killed, killed_sync) == second, step
        assert cataloged(killed) == second.keys()
