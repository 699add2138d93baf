"""Readers read copies: they and a writer never wait for each other, nor hurt each other."""

import hashlib
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest

from encoder.base import SparseVector
from encoder.fake import HashingEncoder
from indexing.errors import DiskFullError, IndexLockedError, StoreError
from indexing.files.copying import copy_folder
from indexing.files.disk import DiskGuard, allocated_bytes
from indexing.filters import Eq
from indexing.published import writer as published_writer
from indexing.published.copies import PublishedCopies, readers_of
from indexing.stores.base import Point, VectorStore
from indexing.stores.edge import EdgeStore
from indexing.versions.collection import OpenIndex, create_index, open_index
from indexing.versions.description import set_live
from indexing.versions.published_reader import PublishedStore, open_published

READ_AND_WAIT = """
import sys
from pathlib import Path
from indexing.versions.published_reader import open_published
index = open_published(Path(sys.argv[1]))
print(index.store.count(), flush=True)
sys.stdin.read()
"""


def points(numbers: range, *, text: str = "first") -> list[Point]:
    vectors = HashingEncoder(8).encode_documents([f"{text} {number}" for number in numbers])
    return [
        Point(
            id=f"00000000-0000-0000-0000-{number:012d}",
            dense=vectors[row],
            sparse=SparseVector((number + 100, 7), (1.0, 0.5)),
            payload={"document_id": f"d{number}", "source": "wiki", "text": f"{text} {number}"},
        )
        for row, number in enumerate(numbers)
    ]


def texts(store: VectorStore) -> set[str]:
    return {point.payload["text"] for batch in store.scan() for point in batch}


def checksums(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def copies_in(indexes: Path) -> list[str]:
    return sorted(path.name for path in indexes.glob("*/published/*"))


@pytest.fixture
def indexes(tmp_path: Path) -> Path:
    """An index with twenty points, live."""
    folder = tmp_path / "indexes"
    with create_index(folder, dense=HashingEncoder(8), chunker={}, bm25={}) as index:
        index.store.upsert(points(range(20)))
        set_live(folder, index.version.name)
    return folder


def write(indexes: Path, *, text: str, numbers: range = range(5)) -> None:
    with open_index(indexes) as index:
        index.store.upsert(points(numbers, text=text))


@contextmanager
def reading_process(indexes: Path) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        [sys.executable, "-c", READ_AND_WAIT, indexes],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "20\n"
        yield process
        process.kill()


def test_a_reader_answers_while_a_writer_has_the_index(indexes: Path):
    with open_index(indexes) as writer, open_published(indexes) as reader:
        writer.store.upsert(points(range(5), text="second"))
        writer.store.flush()
        query = points(range(1))[0]
        assert query.dense is not None
        for hits in (
            reader.store.search_dense(query.dense, limit=3),
            reader.store.search_sparse(query.sparse, limit=3),
        ):
            assert hits[0].payload["text"] == "first 0"
        assert reader.store.count(Eq("source", "wiki")) == 20
        assert [point.id for point in reader.store.read([query.id])] == [query.id]
        writer.store.optimize()
        assert reader.store.existing([query.id]) == {query.id}


def test_readers_keep_no_writer_out_and_share_one_copy(indexes: Path):
    with open_published(indexes), open_published(indexes), reading_process(indexes):
        write(indexes, text="second")
        assert len(readers_of(indexes, copies_parent(indexes))) == 3
    assert readers_of(indexes, copies_parent(indexes)) == []


def copies_parent(indexes: Path) -> str:
    return next(indexes.glob("*/version.json")).parent.name


def test_a_second_writer_is_refused_all_the_same(indexes: Path):
    with open_published(indexes), open_index(indexes), pytest.raises(IndexLockedError):
        open_index(indexes)


def test_a_reader_stays_with_its_copy_until_it_follows(indexes: Path):
    with open_published(indexes) as reader:
        assert isinstance(reader.store, PublishedStore)
        assert not reader.store.follow()
        write(indexes, text="second")
        assert "second 0" not in texts(reader.store)
        assert reader.store.is_behind()
        assert reader.store.follow()
        assert {"second 0", "first 19"} <= texts(reader.store)
        assert reader.store.count() == 20


def test_a_copy_is_removed_when_a_newer_one_is_there_and_nobody_reads_it(indexes: Path):
    assert copies_in(indexes) == ["2"]  # the first was empty
    with open_published(indexes):
        write(indexes, text="second")
        assert copies_in(indexes) == ["2", "3"]
        write(indexes, text="third")
        assert copies_in(indexes) == ["2", "4"]
    assert copies_in(indexes) == ["4"]


def test_what_a_killed_reader_read_is_removed(indexes: Path):
    with reading_process(indexes) as process:
        process.kill()
        process.wait()
        assert list(indexes.glob("*/readers/*.lock"))
        write(indexes, text="second")
    assert copies_in(indexes) == ["3"]
    assert not list(indexes.glob("*/readers/*"))


def test_a_writer_that_changes_nothing_publishes_nothing(indexes: Path):
    with open_index(indexes) as index:
        index.store.count()
    assert copies_in(indexes) == ["2"]


def test_reading_leaves_every_byte_of_a_copy_as_it_was(indexes: Path):
    with open_index(indexes) as index:
        index.store.upsert(points(range(300), text="second"))
        index.store.delete([point.id for point in points(range(0, 300, 7))])
        index.store.set_payload({points(range(9, 10))[0].id: {"document_id": "x", "text": "y"}})
    folder = next(indexes.glob("*/published/3"))
    before = checksums(folder)
    with open_published(indexes) as one, open_published(indexes) as other:
        for store in (one.store, other.store):
            store.search_dense(np.eye(8, dtype=np.float32)[0], limit=5)
            assert len(texts(store)) == 257
    for _ in range(3):
        child = subprocess.Popen(
            [sys.executable, "-c", READ_AND_WAIT, indexes],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        with child:
            assert child.stdout is not None
            child.stdout.readline()
            child.kill()
    assert checksums(folder) == before


def killed_while_writing(indexes: Path, *, flushed: bool = True) -> None:
    script = (
        "import os, signal, sys; from pathlib import Path; sys.path.insert(0, sys.argv[2])\n"
        "import test_published as t; from indexing.versions.collection import open_index\n"
        "index = open_index(Path(sys.argv[1]))\n"
        "index.store.upsert(t.points(range(5), text='second'))\n"
        f"if {flushed}: index.store.flush()\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    here = Path(__file__).parent
    done = subprocess.run([sys.executable, "-c", script, indexes, here], check=False)
    assert done.returncode == -signal.SIGKILL


def test_what_a_killed_writer_had_written_the_next_reader_publishes(indexes: Path):
    killed_while_writing(indexes)
    with open_published(indexes) as reader:
        assert "second 0" in texts(reader.store)
    assert copies_in(indexes) == ["3"]


def check_whole(store: VectorStore) -> None:
    """Each of the twenty points has the vector of its text, five of the second text."""
    found = sorted((point for batch in store.scan() for point in batch), key=lambda p: p.id)
    expected = [*points(range(5), text="second"), *points(range(5, 20))]
    for point, wanted in zip(found, expected, strict=True):
        assert (point.id, point.payload["text"]) == (wanted.id, wanted.payload["text"])
        assert np.allclose(point.dense, wanted.dense, atol=1e-4)


def test_what_only_the_log_of_a_killed_writer_held_is_published_whole(indexes: Path):
    killed_while_writing(indexes, flushed=False)
    with open_published(indexes) as reader:
        check_whole(reader.store)


def test_a_writer_that_writes_nothing_publishes_what_it_replayed(indexes: Path):
    killed_while_writing(indexes, flushed=False)
    open_index(indexes).close()
    with open_published(indexes) as reader:
        check_whole(reader.store)


def test_after_a_killed_writer_a_reader_does_not_wait_for_the_next_one(indexes: Path):
    killed_while_writing(indexes)
    with open_index(indexes), open_published(indexes) as reader:
        assert "second 0" not in texts(reader.store)
    with open_published(indexes) as reader:
        assert "second 0" in texts(reader.store)


def test_an_index_that_nothing_was_published_of_is_published_when_it_is_read(indexes: Path):
    copies = PublishedCopies(indexes / copies_parent(indexes))
    copies.folder_of(2).rename(indexes / "elsewhere")
    with open_published(indexes) as reader:
        assert reader.store.count() == 20


def test_a_damaged_copy_is_made_again(indexes: Path):
    copies = PublishedCopies(indexes / copies_parent(indexes))
    for file in copies.folder_of(2).rglob("segment.json"):
        file.write_text("{", encoding="utf-8")
    with open_published(indexes) as reader:
        assert reader.store.count() == 20
        assert isinstance(reader.store, PublishedStore)
    assert copies_in(indexes) == ["3"]


def guard(free: Callable[[], int], folder: Path) -> DiskGuard:
    return DiskGuard(folder, reserve_bytes=0, measure=lambda _: free())


def test_without_room_for_a_copy_readers_keep_the_one_they_have(
    indexes: Path, caplog: pytest.LogCaptureFixture
):
    free = [1 << 40]
    with open_index(indexes, disk=guard(lambda: free[0], indexes)) as index:
        index.store.upsert(points(range(5), text="second"))
        index.store.flush()
        free[0] = 1000
    assert "readers keep the state they have: to publish a copy" in caplog.text
    assert copies_in(indexes) == ["2"]
    with open_published(indexes) as reader:  # by now there is room
        assert "second 0" in texts(reader.store)


def test_without_any_copy_nor_room_for_one_the_index_itself_is_read(
    indexes: Path, monkeypatch: pytest.MonkeyPatch
):
    copies = PublishedCopies(indexes / copies_parent(indexes))
    copies.folder_of(2).rename(indexes / "elsewhere")

    def full(self: PublishedCopies, *_: object, **_options: object) -> None:
        raise DiskFullError(f"no room in {self.directory}")

    monkeypatch.setattr(PublishedCopies, "publish", full)
    with open_published(indexes) as reader:
        assert reader.store.count() == 20
        with pytest.raises(IndexLockedError):
            open_index(indexes)


def test_a_long_writer_publishes_finished_batches_in_between(
    indexes: Path, monkeypatch: pytest.MonkeyPatch
):
    with open_index(indexes) as writer, open_published(indexes) as reader:
        assert isinstance(reader.store, PublishedStore)
        writer.store.upsert(points(range(5), text="second"))
        monkeypatch.setattr(published_writer, "PUBLISH_EVERY_SECONDS", 0.0)
        writer.store.upsert(points(range(5, 6), text="second"))  # not flushed: still one batch
        assert not reader.store.follow()
        writer.store.flush()
        writer.store.delete([points(range(19, 20))[0].id])  # belongs to the batch before
        writer.store.flush()
        writer.store.upsert(points(range(6, 9), text="second"))
        assert reader.store.follow()
        found = texts(reader.store)
        assert {"second 5", "first 6"} <= found
        assert "first 19" not in found


def test_a_write_that_failed_is_not_published(indexes: Path, monkeypatch: pytest.MonkeyPatch):
    def fail(*_: object) -> None:
        raise StoreError("the disk fell off")

    with open_index(indexes) as index:
        index.store.upsert(points(range(5), text="second"))
        monkeypatch.setattr(EdgeStore, "upsert", fail)
        with pytest.raises(StoreError, match="fell off"):
            index.store.upsert(points(range(5, 9), text="second"))
    assert copies_in(indexes) == ["2"]
    with open_published(indexes) as reader:  # the log has what was written before
        assert "second 0" in texts(reader.store)


def test_a_copy_is_for_reading_alone(indexes: Path):
    with open_published(indexes) as reader:
        for attempt in (
            lambda: reader.store.upsert(points(range(1))),
            lambda: reader.store.set_payload({}),
            lambda: reader.store.delete([]),
            reader.store.optimize,
        ):
            with pytest.raises(StoreError, match="open for reading"):
                attempt()
        reader.store.flush()


def test_a_forked_child_reads_with_a_copy_of_its_own(indexes: Path):
    with open_published(indexes) as reader:
        child = os.fork()
        if child == 0:
            signal.alarm(30)
            vector = np.eye(8, dtype=np.float32)[0]
            right = reader.store.count() == 20 and len(reader.store.search_dense(vector, limit=3))
            reader.close()
            os._exit(0 if right else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert reader.store.count() == 20


def test_a_copy_has_the_access_rights_and_the_size_of_the_original(indexes: Path):
    version = indexes / copies_parent(indexes)
    for path in (version / "shard").rglob("*"):
        path.chmod(0o770 if path.is_dir() else 0o660)
    write(indexes, text="second")
    copy = version / "published/3/shard"
    modes = {stat.S_IMODE(p.stat().st_mode) for p in copy.rglob("matrix.dat")}
    modes |= {stat.S_IMODE(p.stat().st_mode) for p in copy.rglob("page_0.dat")}
    assert modes == {0o660}
    assert stat.S_IMODE((copy / "segments").stat().st_mode) == 0o770
    assert allocated_bytes(copy) <= allocated_bytes(version / "shard")


def test_holes_are_copied_as_holes(tmp_path: Path):
    (tmp_path / "from/inner").mkdir(parents=True)
    with (tmp_path / "from/inner/file").open("wb") as file:
        file.truncate(64 << 20)
        file.seek(32 << 20)
        file.write(b"island" * 1000)
    (tmp_path / "from/.hidden").write_text("x")
    copy_folder(tmp_path / "from", tmp_path / "to", leave_out=lambda name: name == ".hidden")
    original, copy = tmp_path / "from/inner/file", tmp_path / "to/inner/file"
    assert copy.read_bytes() == original.read_bytes()
    assert copy.stat().st_blocks <= original.stat().st_blocks + 8
    assert not (tmp_path / "to/.hidden").exists()


def test_a_closed_reader_says_so(indexes: Path):
    reader: OpenIndex = open_published(indexes)
    with closing(reader):
        pass
    reader.close()
    with pytest.raises(StoreError, match="closed"):
        reader.store.count()
