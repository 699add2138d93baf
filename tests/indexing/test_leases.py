"""Workers that share a catalog never sync one source at once, and a dead one's is taken over."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import pytest

from indexing.catalog.leases import Lease, Leases
from indexing.errors import LeaseLostError
from indexing.stores.base import Payload, Point
from indexing.sync.options import SyncOptions
from indexing.sync.pipeline import sync
from indexing.sync.writing import PointWriter

if TYPE_CHECKING:
    from sync_world import World

VERSION = "docs-0001"
TTL = 60.0


class Clock:
    """Stands still until it is moved."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def worker(world: "World", clock: Clock) -> Callable[[str], Leases]:
    def make(owner: str) -> Leases:
        return Leases(world.catalog._engine, ttl_seconds=TTL, clock=clock, owner=owner)

    return make


def test_a_source_is_leased_to_one_worker_at_a_time(worker: Callable[[str], Leases]) -> None:
    ann, bob = worker("ann"), worker("bob")
    lease = ann.take("wiki", version=VERSION)
    assert lease is not None
    assert bob.take("wiki", version=VERSION) is None
    assert bob.owner_of("wiki", version=VERSION) == "ann"
    for source, version in (("files", VERSION), ("wiki", "docs-0002")):
        other = bob.take(source, version=version)
        assert other is not None
        other.release()
    lease.release()
    taken = bob.take("wiki", version=VERSION)
    assert taken is not None
    lease.release()  # once more: it is no longer its own
    assert ann.owner_of("wiki", version=VERSION) == "bob"
    taken.release()
    assert ann.owner_of("wiki", version=VERSION) is None


def test_a_dead_workers_source_is_taken_over_when_its_lease_expires(
    worker: Callable[[str], Leases], clock: Clock
) -> None:
    lease = worker("ann").take("wiki", version=VERSION)
    assert lease is not None
    clock.now += TTL - 1
    assert worker("bob").take("wiki", version=VERSION) is None
    clock.now += 2
    taken = worker("bob").take("wiki", version=VERSION)
    assert taken is not None
    lease.release()
    assert worker("bob").owner_of("wiki", version=VERSION) == "bob"
    taken.release()


def test_a_lease_is_renewed_while_its_worker_lives(world: "World") -> None:
    ann = Leases(world.catalog._engine, ttl_seconds=0.6)
    with ann.take("wiki", version=VERSION) or pytest.fail("it was free"):
        for _ in range(4):
            time.sleep(0.3)
            assert ann.owner_of("wiki", version=VERSION) == ann.owner


class TakenOver:
    """A store whose worker is suspended before it writes, for longer than its lease."""

    def __init__(self, world: "World", clock: Clock, while_away: Callable[[], None]) -> None:
        self._upsert, self._clock, self._while_away = world.store.upsert, clock, while_away

    def __call__(self, points: Sequence[Point]) -> None:
        if any("first" in point.payload["text"] for point in points):
            self._clock.now += TTL + 1
            self._while_away()
        self._upsert(points)


def test_a_worker_that_was_suspended_commits_nothing_over_its_successors_work(
    world: "World", worker: Callable[[str], Leases], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    wiki = world.source()
    wiki.put("page", "The first text.")
    with worker("ann").take("wiki", version=VERSION) or pytest.fail("it was free") as anns:

        def bobs_run() -> None:
            wiki.put("page", "The second text.")
            with worker("bob").take("wiki", version=VERSION) or pytest.fail("expired") as bobs:
                run(world, wiki, lease=bobs)

        suspended = TakenOver(world, clock, bobs_run)
        monkeypatch.setattr(world.store, "upsert", suspended)
        with pytest.raises(LeaseLostError, match="taken over by another worker"):
            run(world, wiki, lease=anns)
    (document,) = world.catalog.indexed_documents(version=VERSION)
    assert document.chunks[0].text == "The second text."
    # What the suspended worker wrote after its successor is noted, and goes with the next run.
    world.sync(wiki)
    assert world.texts() == {"page": ["The second text."]}
    assert world.stored_ids() == world.cataloged_ids()


def test_a_source_is_not_taken_over_while_its_points_are_being_deleted(
    world: "World", worker: Callable[[str], Leases], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ann is about to delete a point; Bob, in her place, would write the same point anew."""
    wiki = world.source()
    wiki.put("page", "The text.")
    world.sync(wiki)
    delete, progress = world.store.delete, []

    def bobs_run() -> None:
        bob, lease = worker("bob"), None
        while lease is None:
            lease = bob.take("wiki", version=VERSION)
        progress.append("bob took over")
        with lease:
            run(world, wiki, lease=lease)

    successor = threading.Thread(target=bobs_run)

    def suspended(ids: Sequence[str]) -> None:
        monkeypatch.setattr(world.store, "delete", delete)
        clock.now += TTL + 1
        successor.start()
        successor.join(timeout=1)
        delete(ids)
        progress.append("ann deleted")

    with worker("ann").take("wiki", version=VERSION) or pytest.fail("it was free") as anns:
        records = world.catalog.source("wiki", version=VERSION, lease=anns)
        records.remove(["page"])
        monkeypatch.setattr(world.store, "delete", suspended)
        PointWriter(world.target, records, slice_tokens=100, on_encoded=lambda _: None).sweep()
        successor.join()
    assert progress == ["ann deleted", "bob took over"]
    assert world.texts() == {"page": ["The text."]}
    assert world.stored_ids() == world.cataloged_ids()


def test_what_a_suspended_worker_writes_over_its_successors_payload_is_made_good(
    world: "World", worker: Callable[[str], Leases], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    wiki = world.source()
    wiki.put("page", "The text.", access=("user:old",))
    world.sync(wiki, protected=True)
    wiki.put("page", "The text.", access=("user:older",))
    set_payload = world.store.set_payload

    def bobs_run() -> None:
        wiki.put("page", "The text.", access=("user:new",))
        with worker("bob").take("wiki", version=VERSION) or pytest.fail("expired") as bobs:
            run(world, wiki, lease=bobs, protected=True)

    def suspended(payloads: Mapping[str, Payload]) -> None:
        monkeypatch.setattr(world.store, "set_payload", set_payload)
        clock.now += TTL + 1
        bobs_run()
        set_payload(payloads)

    monkeypatch.setattr(world.store, "set_payload", suspended)
    with (
        worker("ann").take("wiki", version=VERSION) or pytest.fail("it was free") as anns,
        pytest.raises(LeaseLostError),
    ):
        run(world, wiki, lease=anns, protected=True)
    assert world.sync(wiki, protected=True).metadata_only == 1
    [[point]] = list(world.store.scan())
    assert point.payload["access"] == ["user:new"]


def run(world: "World", source: object, *, lease: Lease, protected: bool = False) -> None:
    options = SyncOptions(parse_processes=0, protected=protected)
    sync(source, catalog=world.catalog, target=world.target, options=options, lease=lease)


def test_workers_in_one_version_leave_each_others_unfinished_points_alone(world: "World") -> None:
    """Ann has announced and written a point; Bob begins with another source, and sweeps."""
    records = world.catalog.source("wiki", version=VERSION)
    records.announce(["6d0f6a3e-8f0b-5c7a-9b1d-2f4c1e7a5d90"])
    files = world.source("files")
    files.put("page", "A page.")
    world.sync(files)
    assert records.loose_points() == ["6d0f6a3e-8f0b-5c7a-9b1d-2f4c1e7a5d90"]
    assert world.catalog.source("files", version=VERSION).loose_points() == []
    everything = world.catalog.source("", version=VERSION)
    assert everything.loose_points() == records.loose_points()
