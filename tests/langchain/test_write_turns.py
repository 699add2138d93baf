"""Writers that wait: for how long, for whom, and what an event loop notices of it."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from argot import write_turns
from argot.langchain.index import ArgotDocumentIndex
from argot.langchain.store import ArgotVectorStore
from argot.project import Project
from encoder.fake import HashingEncoder
from indexing.errors import IndexLockedError

HOLD = """
import sys
from pathlib import Path
from indexing.files.lock import hold_lock
with hold_lock(Path(sys.argv[1]), what="the test"):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def held_elsewhere(lock_file: Path) -> Iterator[Callable[[], None]]:
    """Lock a file in another process; give what releases it."""
    command = [sys.executable, "-c", HOLD, str(lock_file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"

        def release() -> None:
            process.communicate()

        try:
            yield release
        finally:
            process.kill()


@pytest.fixture
def written(project: Project) -> Iterator[ArgotVectorStore]:
    """A store with one document."""
    with ArgotVectorStore(project) as store:
        store.add_texts(["first"], ids=["first"])
        yield store


def test_threads_that_wait_for_another_process_end_together(
    written: ArgotVectorStore, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(write_turns, "WAIT_SECONDS", 2.0)

    def seconds(text: str) -> float:
        began = time.monotonic()
        with pytest.raises(IndexLockedError):
            written.add_texts([text])
        return time.monotonic() - began

    with held_elsewhere(written.project.paths.ingest_lock), ThreadPoolExecutor(4) as pool:
        waited = list(pool.map(seconds, "abcd"))
    assert max(waited) < 4.0
    assert min(waited) >= 2.0


def test_the_event_loop_and_its_threads_go_on_while_writes_wait(written: ArgotVectorStore):
    texts = [f"text {n}" for n in range(12)]

    async def run(release: Callable[[], None]) -> list[list[str]]:
        writes = [asyncio.create_task(written.aadd_texts([text], ids=[text])) for text in texts]
        await asyncio.sleep(0.2)
        assert await asyncio.wait_for(asyncio.to_thread(str, 1), 10) == "1"
        assert [d.id for d in await written.aget_by_ids(["first"])] == ["first"]
        assert not any(write.done() for write in writes)
        await asyncio.to_thread(release)
        return await asyncio.gather(*writes)

    with held_elsewhere(written.project.paths.ingest_lock) as release:
        assert asyncio.run(run(release)) == [[text] for text in texts]
    assert len(written.get_by_ids(texts)) == 12


def test_a_write_that_is_cancelled_while_it_waits_writes_nothing(written: ArgotVectorStore):
    index = ArgotDocumentIndex(store=written)

    async def cancel_all() -> None:
        waiting = [written.adelete(["first"]), index.adelete(["first"]), written.aadd_texts(["x"])]
        for result in await asyncio.gather(
            *(asyncio.wait_for(write, 0.5) for write in waiting), return_exceptions=True
        ):
            assert isinstance(result, TimeoutError)

    with held_elsewhere(written.project.paths.ingest_lock) as release:
        began = time.monotonic()
        asyncio.run(cancel_all())
        assert time.monotonic() - began < 10
        release()
        written.add_texts(["last"], ids=["last"])  # after all that were queued
    assert len(written.similarity_search("x first last", k=9)) == 2


def test_a_writer_that_waited_uses_the_encoder_that_went_live_meanwhile(
    written: ArgotVectorStore, monkeypatch: pytest.MonkeyPatch
):
    others = iter([HashingEncoder(32), HashingEncoder(64)])
    monkeypatch.setattr(Project, "encoder_of_live", lambda _: next(others))
    written.add_texts(["second"], ids=["second"])
    assert [d.id for d in written.get_by_ids(["second"])] == ["second"]
