"""A parser that crashes or hangs costs its document and nothing else."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from connectors.base import Upsert
from connectors.errors import SourceError
from indexing.errors import IsolatedCallError
from indexing.sync.isolation import ProcessPool

if TYPE_CHECKING:
    from sync_world import World


@pytest.fixture
def pool() -> Iterator[ProcessPool]:
    pool = ProcessPool(2, timeout_seconds=20)
    yield pool
    pool.close()


def test_a_call_gives_what_it_returns_or_raises(pool: ProcessPool) -> None:
    assert pool.submit(os.getpid).result() != os.getpid()
    with pytest.raises(ValueError, match="invalid literal"):
        pool.submit(partial(int, "x")).result()


def test_what_cannot_be_pickled_runs_here(pool: ProcessPool) -> None:
    assert pool.submit(lambda: os.getpid()).result() == os.getpid()
    assert ProcessPool(0, timeout_seconds=1).submit(os.getpid).result() == os.getpid()


@pytest.mark.parametrize(
    ("call", "cause"),
    [
        (os.abort, "SIGABRT"),
        (partial(os._exit, 3), "exit code 3"),
    ],
    ids=["crashes", "exits"],
)
def test_a_call_whose_process_ends_says_so_and_the_next_gets_another(
    pool: ProcessPool, call: partial[None], cause: str
) -> None:
    with pytest.raises(IsolatedCallError, match=cause):
        pool.submit(call).result()
    assert pool.submit(partial(pow, 2, 10)).result() == 1024


def test_a_call_that_hangs_is_given_up() -> None:
    pool = ProcessPool(1, timeout_seconds=0.5)
    with pytest.raises(IsolatedCallError, match=r"more than 0\.5 seconds"):
        pool.submit(partial(time.sleep, 60)).result()
    pool.close()


def test_closing_ends_what_is_running(pool: ProcessPool) -> None:
    running = pool.submit(partial(time.sleep, 60))
    time.sleep(0.3)
    pool.close()
    assert isinstance(running.exception(timeout=10), IsolatedCallError)


def test_a_class_of_the_main_script_is_called_in_the_main_script(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from indexing.sync.isolation import ProcessPool\n"
        "def load(): return 'loaded'\n"
        "pool = ProcessPool(1, timeout_seconds=20)\n"
        "print(pool.submit(load).result())\n"
        "pool.close()\n",
        encoding="utf-8",
    )
    (tmp_path / "connectors.py").write_text("raise RuntimeError", encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-P", script], cwd=tmp_path, env=environment, capture_output=True,
        text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("loaded\n", "")


def test_documents_whose_parser_dies_or_hangs_are_set_aside(world: "World") -> None:
    wiki = world.source()
    wiki.put("good", "A good page.")
    wiki.extra = [
        Upsert("crashing", "r1", partial(os._exit, 3)),
        Upsert("hanging", "r1", partial(time.sleep, 60)),
    ]
    report = world.sync(wiki, parse_timeout_seconds=1.0)
    assert (report.added, set(world.texts())) == (1, {"good"})
    reasons = {failed.document_id: failed.reason for failed in report.failed}
    assert "exit code 3" in reasons["crashing"]
    assert "more than 1 seconds" in reasons["hanging"]


def test_a_source_that_fails_in_a_process_of_its_own_ends_the_run(world: "World") -> None:
    wiki = world.source()
    wiki.extra = [Upsert("page", None, partial(_fail_as_a_source))]
    with pytest.raises(SourceError):
        world.sync(wiki)


def test_an_interrupted_run_leaves_no_process_and_no_thread(world: "World") -> None:
    before = threading.active_count()
    wiki = world.source()
    wiki.put("page", "A page.")
    wiki.broken["page"] = KeyboardInterrupt()
    wiki.extra = [Upsert("slow", None, partial(time.sleep, 60))]
    with pytest.raises(KeyboardInterrupt):
        world.sync(wiki)
    assert threading.active_count() == before


def _fail_as_a_source() -> None:
    raise SourceError("the wiki does not answer")
