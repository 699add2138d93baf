"""What is asked of a server a second time, what is not, and for how long."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING
from uuid import UUID

import numpy as np
import pytest

from encoder.base import SparseVector
from indexing.errors import StoreError
from indexing.stores.base import CollectionSpec, Point
from indexing.stores.retries import RetryPolicy
from indexing.stores.server import ServerStore
from indexing.stores.server_collections import build_graph
from indexing.stores.server_connection import Connection, connect
from indexing.stores.server_settings import ServerSettings

if TYPE_CHECKING:
    from fake_qdrant import FakeQdrant

SPEC = CollectionSpec(dimensions=4)


@dataclass
class Clock:
    """Time that passes when somebody sleeps."""

    time: float = 0.0
    slept: list[float] = field(default_factory=list)

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


def connected(server: "FakeQdrant", clock: Clock, **settings: object) -> Connection:
    policy = RetryPolicy(attempts=4, deadline_seconds=100, sleep=clock.sleep, now=clock.now)
    return connect(ServerSettings(url=server.url, **settings), retries=policy)  # type: ignore[arg-type]


@pytest.fixture
def store(server: "FakeQdrant", clock: Clock) -> ServerStore:
    store = ServerStore.create(connected(server, clock), collection="docs", spec=SPEC)
    server.seen.clear()
    return store


def point(number: int, **changes: object) -> Point:
    parts = {
        "id": str(UUID(int=number)),
        "dense": np.eye(4, dtype=np.float32)[number % 4],
        "sparse": SparseVector((number,), (1.0,)),
        "payload": {"source": "handbook"},
    }
    return Point(**(parts | changes))  # type: ignore[arg-type]


def test_a_write_is_repeated_until_the_server_is_well_again(
    store: ServerStore, server: "FakeQdrant", fake_servers: ModuleType, clock: Clock
):
    fault = fake_servers.Fault
    server.faults = [fault(status=503), fault(drop=True), fault(status=500, applied=True)]
    store.upsert([point(1), point(2)])
    assert store.count() == 2
    assert server.count("PUT", "/points") == 4
    assert len(clock.slept) == 3
    for slept, least in zip(clock.slept, (0.5, 1, 2), strict=True):
        assert least <= slept <= least + 0.5, "twice as long each time, and up to 0.5 s by chance"


@pytest.mark.parametrize(
    ("status", "hint"),
    [
        (400, "is it running"),
        (401, "ARGOT_INDEX__API_KEY"),
        (403, "read-only key"),
        (404, "collection_prefix"),
        (507, "disk is full"),
    ],
)
def test_what_will_not_pass_is_asked_once(
    store: ServerStore, server: "FakeQdrant", fake_servers: ModuleType, status: int, hint: str
):
    server.faults = [fake_servers.Fault(status=status)]
    with pytest.raises(
        StoreError, match=rf"collection 'docs': the server could not write points.*{status}"
    ) as error:
        store.upsert([point(1)])
    assert hint in str(error.value)
    assert server.count("PUT", "/points") == 1


def test_a_server_that_asks_for_patience_gets_it_but_not_for_ever(
    store: ServerStore, server: "FakeQdrant", fake_servers: ModuleType, clock: Clock
):
    busy = fake_servers.Fault(status=429, headers={"Retry-After": "7"})
    server.faults = [busy, busy]
    store.upsert([point(1)])
    assert clock.slept == [7, 7]
    server.faults = [busy] * 10
    with pytest.raises(StoreError, match="could not write points"):
        store.upsert([point(1)])
    assert len(server.faults) == 6, "attempts that were asked to wait count too"
    server.faults = [fake_servers.Fault(status=429, headers={"Retry-After": "3600"})]
    before = len(clock.slept)
    with pytest.raises(StoreError, match="could not count"):
        store.count()
    assert len(clock.slept) == before, "an hour is past the deadline: no use in waiting"


@pytest.mark.parametrize("status", [408, 429])
def test_a_server_that_was_too_slow_is_asked_again(
    store: ServerStore, server: "FakeQdrant", fake_servers: ModuleType, status: int
):
    server.faults = [fake_servers.Fault(status=status)]
    assert store.count() == 0
    assert server.count("POST", "/points/count") == 2


def test_a_request_has_a_time_limit_and_is_sent_again(
    server: "FakeQdrant", fake_servers: ModuleType, clock: Clock
):
    connection = connected(server, clock, timeout_seconds=1)
    with ServerStore.create(connection, collection="docs", spec=SPEC) as store:
        server.faults = [fake_servers.Fault(pause_seconds=1.2, status=200)]
        server.seen.clear()
        assert store.count() == 0
    assert server.count("POST", "/points/count") == 2
    assert len(clock.slept) == 1


def test_a_search_gives_up_sooner_than_a_write(
    store: ServerStore, server: "FakeQdrant", fake_servers: ModuleType, clock: Clock
):
    server.faults = [fake_servers.Fault(status=429, headers={"Retry-After": "20"})] * 2
    with pytest.raises(StoreError, match="could not search"):
        store.search_sparse(SparseVector((1,), (1.0,)), limit=1)
    assert clock.slept == []
    store.count()
    assert clock.slept == [20]


def test_a_write_that_is_only_in_the_log_is_written_again(store: ServerStore, server: "FakeQdrant"):
    server.update_status = "wait_timeout"
    with pytest.raises(StoreError, match="must be completed; it is wait_timeout"):
        store.upsert([point(1)])
    assert server.count("PUT", "/points") == 4
    server.update_status = "completed"
    store.set_payload({point(1).id: {"source": "moved"}})
    store.delete([point(1).id])
    assert store.count() == 0


def test_making_a_collection_is_not_repeated(
    server: "FakeQdrant", clock: Clock, fake_servers: ModuleType
):
    connection = connected(server, clock)
    server.faults = [None, fake_servers.Fault(status=503, applied=True)]
    with pytest.raises(StoreError, match="could not create"):
        ServerStore.create(connection, collection="docs", spec=SPEC)
    assert [one.method for one in server.seen] == ["GET", "PUT"]


def test_a_request_has_neither_too_many_points_nor_too_many_bytes(
    store: ServerStore, server: "FakeQdrant"
):
    store.upsert([point(n) for n in range(600)])
    assert server.count("PUT", "/points") == 3
    server.seen.clear()
    store.upsert([point(n, payload={"text": "x" * 1_000_000}) for n in range(10)])
    sizes = [one.size for one in server.seen]
    assert len(sizes) == 3
    assert max(sizes) < 5_000_000
    assert store.count() == 600


def test_a_new_collection_is_indexed_first_and_gets_its_graph_last(
    server: "FakeQdrant", clock: Clock
):
    settings = {
        "shard_number": 3, "replication_factor": 2, "write_consistency_factor": 2,
        "tenant_field": "metadata.customer",
    }  # fmt: skip
    store = ServerStore.create(connected(server, clock, **settings), collection="docs", spec=SPEC)
    made = server.bodies[1][2]
    assert made["vectors"]["dense"]["hnsw_config"]["m"] == 0
    assert (made["shard_number"], made["replication_factor"]) == (3, 2)
    assert made["write_consistency_factor"] == 2
    indexes = {body["field_name"]: body["field_schema"] for _, path, body in server.bodies[2:]}
    assert indexes["access"] == "keyword"
    assert indexes["protected"] == "bool"
    assert indexes["metadata.customer"]["is_tenant"] is True
    server.bodies.clear()
    server.statuses = ["green", "yellow", "grey", "green"]
    store.optimize()
    patches = [body for method, _, body in server.bodies if method == "PATCH"]
    assert patches[0]["vectors"]["dense"]["hnsw_config"]["m"] == 16
    assert patches[1] == {"optimizers_config": {}}, "what was left undone is begun"
    assert len(patches) == 2


@pytest.mark.parametrize("statuses", [["green", "red"], ["yellow"] * 100])
def test_a_graph_that_is_not_built_in_time_is_an_error(
    server: "FakeQdrant", clock: Clock, statuses: list[str]
):
    connection = connected(server, clock, optimize_timeout_seconds=60)
    ServerStore.create(connection, collection="docs", spec=SPEC)
    server.statuses = statuses
    with pytest.raises(StoreError, match=r"must become green within 60 s; it is (red|yellow)"):
        build_graph(connection, "docs", spec=SPEC)
    assert clock.time < 70


def test_the_key_is_sent_and_never_shown(
    server: "FakeQdrant", clock: Clock, caplog: pytest.LogCaptureFixture, fake_servers: ModuleType
):
    connection = connected(server, clock, api_key="s3cret-key")
    server.faults = [fake_servers.Fault(status=503), fake_servers.Fault(status=401)]
    with pytest.raises(StoreError) as error:
        ServerStore.open(connection, collection="docs", spec=SPEC)
    assert {one.api_key for one in server.seen} == {"s3cret-key"}
    shown = f"{error.value}{error.value.__cause__!r}{caplog.text}{connection.settings!r}"
    assert "s3cret-key" not in shown
    assert "trying again" in caplog.text
    assert "unencrypted" not in caplog.text, "it does not leave this machine"


def test_a_key_that_would_cross_the_network_in_clear_is_warned_of(
    caplog: pytest.LogCaptureFixture,
):
    connect(ServerSettings(url="http://qdrant.example.com:6333", api_key="k")).close()
    assert "use https://" in caplog.text
    caplog.clear()
    for url in ("https://qdrant.example.com", "http://[::1]:6333", "http://localhost:6333"):
        connect(ServerSettings(url=url, api_key="k")).close()
    connect(ServerSettings(url="http://qdrant.example.com:6333")).close()
    assert caplog.text == ""


def test_a_certificate_that_is_none_is_refused(tmp_path: Path):
    file = tmp_path / "ca.pem"
    file.write_text("not a certificate", encoding="utf-8")
    settings = ServerSettings(url="https://qdrant.example.com", ca_file=str(file))
    with pytest.raises(StoreError, match=r"`ca_file` in \[index\] must be a PEM file"):
        connect(settings)


def test_a_defect_of_ours_is_no_reason_to_ask_again(clock: Clock):
    calls: list[int] = []

    def broken() -> None:
        calls.append(1)
        raise TypeError("no such argument")

    run: Callable[..., None] = RetryPolicy(sleep=clock.sleep, now=clock.now).run
    with pytest.raises(TypeError):
        run(broken, what="try")
    assert len(calls) == 1
