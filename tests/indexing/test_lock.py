"""Locks hold between processes, within one, and no longer than their holder lives."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from indexing.errors import IndexingError, IndexLockedError
from indexing.files.lock import hold_lock

HOLD_AND_WAIT = """
import sys
from pathlib import Path
from indexing.files.lock import hold_lock
held = hold_lock(Path(sys.argv[1]), what="index docs-0001")
print("held", flush=True)
sys.stdin.read()
"""


def holder(path: Path) -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD_AND_WAIT, path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def refusal_of_another_process(path: Path) -> str:
    attempt = subprocess.run(
        [sys.executable, "-c", HOLD_AND_WAIT, path],
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    return attempt.stderr


def test_a_second_process_is_refused_and_told_who_holds_the_lock(tmp_path: Path):
    path = tmp_path / "docs-0001.lock"
    with holder(path) as process, pytest.raises(IndexLockedError) as refused:
        hold_lock(path, what="index docs-0001")
    message = str(refused.value)
    assert f"process {process.pid} on " in message
    assert str(path) in message
    assert "index docs-0001" in message
    assert "hint: " in message
    hold_lock(path, what="index docs-0001").release()


def test_a_killed_process_leaves_no_lock(tmp_path: Path):
    path = tmp_path / "docs.lock"
    with holder(path) as process:
        process.kill()
        process.wait()
        hold_lock(path, what="index docs").release()


def test_one_process_gets_a_lock_once_by_whatever_path(tmp_path: Path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    with hold_lock(tmp_path / "real/docs.lock", what="index docs"):
        for path in ("real/docs.lock", "link/docs.lock", "link/../real/docs.lock"):
            with pytest.raises(IndexLockedError, match=rf"this process \({os.getpid()}\)"):
                hold_lock(tmp_path / path, what="index docs")


def test_a_refused_attempt_does_not_weaken_the_lock(tmp_path: Path):
    path = tmp_path / "docs.lock"
    with hold_lock(path, what="index docs"):
        for _ in range(2):
            assert f"in use by process {os.getpid()}" in refusal_of_another_process(path)


def test_a_released_lock_can_be_taken_again_and_released_twice(tmp_path: Path):
    path = tmp_path / "new folder" / "docs.lock"
    held = hold_lock(path, what="index docs")
    held.release()
    held.release()
    with hold_lock(path, what="index docs"):
        held.release()  # the old handle has no power over the new one
        with pytest.raises(IndexLockedError):
            hold_lock(path, what="index docs")


def test_a_forked_child_leaves_the_lock_to_its_parent(tmp_path: Path):
    path = tmp_path / "docs.lock"
    held = hold_lock(path, what="index docs")
    child = os.fork()
    if child == 0:
        held.release()
        os._exit(0)
    os.waitpid(child, 0)
    assert f"in use by process {os.getpid()}" in refusal_of_another_process(path)
    held.release()


def test_a_place_that_cannot_hold_a_lock_file_is_named():
    with pytest.raises(IndexingError, match=r"/proc/nowhere/docs\.lock must be writable"):
        hold_lock(Path("/proc/nowhere/docs.lock"), what="index docs")


def test_a_shared_lock_is_shared_and_keeps_out_whoever_would_be_alone(tmp_path: Path):
    path = tmp_path / "ingest.lock"
    share = HOLD_AND_WAIT.replace('what="index docs-0001"', 'what="ingestion", shared=True')
    with subprocess.Popen(
        [sys.executable, "-c", share, path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        hold_lock(path, what="ingestion", shared=True).release()
        with pytest.raises(IndexLockedError, match="ingestion is in use by another process"):
            hold_lock(path, what="ingestion")
        process.kill()
    with hold_lock(path, what="ingestion"), pytest.raises(IndexLockedError):
        hold_lock(path, what="ingestion", shared=True)
    with hold_lock(path, what="ingestion"):
        assert "in use by process" in refusal_of_another_process(path)


def test_a_lock_is_waited_for_as_long_as_it_is_told(tmp_path: Path):
    path = tmp_path / "docs.lock"
    with holder(path) as process:
        with pytest.raises(IndexLockedError, match=f"process {process.pid}"):
            hold_lock(path, what="index docs", wait_seconds=0.1)
        threading.Timer(0.2, process.kill).start()
        hold_lock(path, what="index docs", wait_seconds=30).release()
