"""What the embedded engine does not do itself: locks, free space, forks, crashes."""

import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import numpy as np
import pytest

from encoder.base import SparseVector
from indexing.errors import (
    DiskFullError,
    IndexLockedError,
    InvalidPointError,
    NoIndexError,
    StoreError,
)
from indexing.files.disk import MEBIBYTE, DiskGuard
from indexing.stores.base import CollectionSpec, Point
from indexing.stores.edge import EdgeStore

SPEC = CollectionSpec(dimensions=4)

TRY_TO_OPEN = """
import sys
from pathlib import Path
from indexing.errors import IndexLockedError
from indexing.stores.base import CollectionSpec
from indexing.stores.edge import EdgeStore
try:
    EdgeStore.open(Path(sys.argv[1]), spec=CollectionSpec(dimensions=4))
except IndexLockedError as error:
    print(error)
"""

WRITE_UNTIL_KILLED = """
import sys
import uuid
from pathlib import Path
import numpy as np
from encoder.base import SparseVector
from indexing.stores.base import CollectionSpec, Point
from indexing.stores.edge import EdgeStore
store = EdgeStore.create(Path(sys.argv[1]), spec=CollectionSpec(dimensions=4))
number = 0
while True:
    store.upsert([
        Point(id=str(uuid.UUID(int=n)), dense=np.full(4, 1 + n, dtype=np.float32),
              sparse=SparseVector((n % 7, 50 + n), (1.0, 2.0)), payload={"document_id": str(n)})
        for n in range(number, number + 20)
    ])
    number += 20
    print(number, flush=True)
"""


def point_id(number: int) -> str:
    return str(uuid.UUID(int=number))


def points(first: int, count: int) -> list[Point]:
    return [
        Point(
            id=point_id(n),
            dense=np.asarray([1, n % 3, n % 5, 1], dtype=np.float32),
            sparse=SparseVector((n % 7, 50 + n), (1.0, 2.0)),
            payload={"document_id": str(n), "source": "handbook", "access": ["staff"]},
        )
        for n in range(first, first + count)
    ]


def test_a_second_process_is_refused_and_the_first_goes_on_unharmed(tmp_path: Path):
    with EdgeStore.create(tmp_path / "docs", spec=SPEC) as store:
        store.upsert(points(0, 500))
        for _ in range(2):
            attempt = subprocess.run(
                [sys.executable, "-c", TRY_TO_OPEN, tmp_path / "docs"],
                check=True,
                capture_output=True,
                text=True,
            )
            assert f"index docs is in use by process {os.getpid()}" in attempt.stdout
        store.upsert(points(500, 500))
        store.flush()
        store.optimize()
    with EdgeStore.open(tmp_path / "docs", spec=SPEC) as store:
        assert [p.id for page in store.scan() for p in page] == [point_id(n) for n in range(1000)]
        assert len(store.search_sparse(SparseVector((3,), (1.0,)), limit=1000)) == 143


def test_a_second_object_of_this_process_is_refused_and_the_first_goes_on(tmp_path: Path):
    (tmp_path / "link").symlink_to(tmp_path)
    with EdgeStore.create(tmp_path / "docs", spec=SPEC) as store:
        store.upsert(points(0, 100))
        for path in (tmp_path / "docs", tmp_path / "link" / "docs"):
            with pytest.raises(IndexLockedError, match="this process"):
                EdgeStore.open(path, spec=SPEC)
        store.upsert(points(100, 100))
        store.flush()
    with EdgeStore.open(tmp_path / "docs", spec=SPEC) as store:
        assert store.count() == 200


def test_the_lock_lies_beside_the_collection_and_not_in_it(tmp_path: Path):
    with EdgeStore.create(tmp_path / "docs", spec=SPEC):
        assert (tmp_path / "docs.lock").is_file()
        assert not list((tmp_path / "docs").rglob("*.lock"))


def test_a_killed_writer_loses_no_acknowledged_point(tmp_path: Path):
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITE_UNTIL_KILLED, tmp_path / "docs"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert writer.stdout is not None
    for line in writer.stdout:
        if int(line) >= 1000:
            writer.send_signal(signal.SIGKILL)
            break
    acknowledged = int([line, *writer.stdout][-1])
    writer.wait()
    writer.stdout.close()
    with EdgeStore.open(tmp_path / "docs", spec=SPEC) as store:
        ids = [p.id for page in store.scan() for p in page]
        assert ids[:acknowledged] == [point_id(n) for n in range(acknowledged)]
        hits = store.search_dense(np.ones(4, dtype=np.float32), limit=5)
        assert [round(hit.score, 5) for hit in hits] == [1.0] * 5


def test_what_a_killed_optimization_left_is_removed_when_opening(tmp_path: Path):
    EdgeStore.create(tmp_path / "docs", spec=SPEC).close()
    orphan = tmp_path / "docs/shard/temp_segments/segment_builder_x/vectors"
    orphan.parent.mkdir(parents=True)
    orphan.write_bytes(b"left")
    EdgeStore.open(tmp_path / "docs", spec=SPEC).close()
    assert not orphan.exists()


def test_after_optimizing_many_points_the_nearest_are_still_found(tmp_path: Path):
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((6000, 512)).astype(np.float32)  # over the engine's 10 MB
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    word = SparseVector((1,), (1.0,))
    many = [Point(id=point_id(n), dense=v, sparse=word, payload={}) for n, v in enumerate(vectors)]
    with EdgeStore.create(tmp_path / "docs", spec=CollectionSpec(dimensions=512)) as store:
        store.upsert(many)
        store.optimize()
        found = [store.search_dense(vectors[n], limit=1)[0].id for n in range(0, 6000, 300)]
    assert found == [point_id(n) for n in range(0, 6000, 300)]


def test_a_write_that_could_fill_the_disk_is_refused_and_the_store_lives(tmp_path: Path):
    free = [1024 * MEBIBYTE]
    disk = DiskGuard(tmp_path, measure=lambda _: free[0])
    with EdgeStore.create(tmp_path / "docs", spec=SPEC, disk=disk) as store:
        store.upsert(points(0, 10))
        free[0] = 200 * MEBIBYTE
        for write in (
            lambda: store.upsert(points(10, 10)),
            lambda: store.set_payload({point_id(1): {}}),
            store.optimize,
        ):
            with pytest.raises(DiskFullError, match=r"must be free in .*; got 200\.0 MiB"):
                write()
        store.delete([point_id(9)])
        assert store.count() == 9, "deleting may use some of the reserve"
        free[0] = MEBIBYTE
        with pytest.raises(DiskFullError):
            store.flush()
        free[0] = 1024 * MEBIBYTE
        store.upsert(points(10, 10))
    assert store_count(tmp_path / "docs") == 19


def test_a_full_disk_leaves_nothing_open(tmp_path: Path):
    EdgeStore.create(tmp_path / "docs", spec=SPEC).close()
    full = DiskGuard(tmp_path, measure=lambda _: 0)
    with pytest.raises(DiskFullError, match="to open the collection"):
        EdgeStore.open(tmp_path / "docs", spec=SPEC, disk=full)
    with pytest.raises(DiskFullError, match="to create a collection"):
        EdgeStore.create(tmp_path / "new", spec=SPEC, disk=full)
    assert store_count(tmp_path / "docs") == 0


def test_a_full_disk_does_not_keep_a_store_from_closing(tmp_path: Path):
    free = [1024 * MEBIBYTE]
    disk = DiskGuard(tmp_path, measure=lambda _: free[0])
    store = EdgeStore.create(tmp_path / "docs", spec=SPEC, disk=disk)
    store.upsert(points(0, 10))
    free[0] = 0
    with pytest.raises(DiskFullError):
        store.close()
    store.close()
    assert store_count(tmp_path / "docs") == 10


def store_count(directory: Path) -> int:
    with EdgeStore.open(directory, spec=SPEC) as store:
        return store.count()


def test_a_forked_child_gets_an_error_and_the_parent_goes_on(tmp_path: Path):
    with EdgeStore.create(tmp_path / "docs", spec=SPEC) as store:
        store.upsert(points(0, 100))
        child = os.fork()
        if child == 0:
            signal.alarm(10)  # the engine itself would hang
            try:
                store.count()
            except StoreError as error:
                store.close()
                os._exit(0 if "opened before a fork" in str(error) else 2)
            os._exit(1)
        assert os.waitpid(child, 0)[1] == 0
        store.upsert(points(100, 100))
        store.flush()
        with pytest.raises(IndexLockedError):
            EdgeStore.open(tmp_path / "docs", spec=SPEC)
    assert store_count(tmp_path / "docs") == 200


def test_a_failed_write_ends_the_writing_but_not_the_reading(tmp_path: Path):
    with EdgeStore.create(tmp_path / "docs", spec=SPEC) as store:
        store.upsert(points(0, 100))
        store.flush()
        # What a second open without a lock does to a shard, in small.
        for journal in (tmp_path / "docs").rglob("tracker_journal.dat"):
            os.truncate(journal, 0)
        store.upsert(points(100, 100))
        with pytest.raises(StoreError, match=r"could not flush.*shorter than expected"):
            store.flush()
        with pytest.raises(StoreError, match="an earlier write failed"):
            store.upsert(points(200, 100))
        assert store.count() == 200
    assert store_count(tmp_path / "docs") == 200, "the log has what could not be flushed"


def test_a_collection_opens_only_as_what_it_is(tmp_path: Path):
    with EdgeStore.create(tmp_path / "docs", spec=SPEC) as store:
        store.upsert(points(0, 10))
    with pytest.raises(StoreError, match="expected vector size 5, but got 4"):
        EdgeStore.open(tmp_path / "docs", spec=CollectionSpec(dimensions=5))
    assert store_count(tmp_path / "docs") == 10


def test_opening_a_folder_that_holds_no_collection_makes_none(tmp_path: Path):
    (tmp_path / "docs" / "shard").mkdir(parents=True)
    with pytest.raises(NoIndexError, match="there must be a collection"):
        EdgeStore.open(tmp_path / "docs", spec=SPEC)
    assert list((tmp_path / "docs" / "shard").iterdir()) == []


def test_creating_over_a_collection_is_refused(tmp_path: Path):
    with EdgeStore.create(tmp_path / "docs", spec=SPEC) as store:
        store.upsert(points(0, 10))
    with pytest.raises(StoreError, match="unused folder"):
        EdgeStore.create(tmp_path / "docs", spec=SPEC)
    assert store_count(tmp_path / "docs") == 10


def test_a_refused_point_leaves_nothing_in_the_log_that_a_later_load_could_bring_back(
    tmp_path: Path,
):
    with EdgeStore.create(tmp_path / "docs", spec=SPEC) as store:
        bad = Point(
            id=point_id(9),
            dense=np.asarray([1, 2, np.nan, 3], dtype=np.float32),
            sparse=SparseVector((), ()),
            payload={},
        )
        with pytest.raises(InvalidPointError, match="finite"):
            store.upsert([*points(0, 3), bad])
    assert store_count(tmp_path / "docs") == 0
