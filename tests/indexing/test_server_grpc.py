"""Points go over gRPC where the settings say so, and its errors are told apart too."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import grpc
import numpy as np
import pytest
from qdrant_client import grpc as messages

from encoder.base import SparseVector
from indexing.errors import StoreError
from indexing.stores.base import CollectionSpec, Point
from indexing.stores.retries import RetryPolicy
from indexing.stores.server import ServerStore
from indexing.stores.server_connection import connect
from indexing.stores.server_settings import ServerSettings


class Points(messages.PointsServicer):
    """Keeps what it is sent, and fails as it is told."""

    def __init__(self) -> None:
        self.requests: list[Any] = []
        self.keys: list[str] = []
        self.failures: list[tuple[grpc.StatusCode, tuple[tuple[str, str], ...]]] = []

    def Upsert(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        self.requests.append(request)
        self.keys += [str(v) for k, v in context.invocation_metadata() if k == "api-key"]
        if self.failures:
            code, trailing = self.failures.pop(0)
            context.set_trailing_metadata(trailing)
            context.abort(code, "told to fail")
        result = messages.UpdateResult(operation_id=1, status=messages.UpdateStatus.Completed)
        return messages.PointsOperationResponse(result=result, time=0.0)


@pytest.fixture
def points() -> Points:
    return Points()


@pytest.fixture
def slept() -> list[float]:
    return []


@pytest.fixture
def store(points: Points, slept: list[float]) -> Iterator[ServerStore]:
    server = grpc.server(ThreadPoolExecutor(1))
    messages.add_PointsServicer_to_server(points, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    settings = ServerSettings(
        url="http://127.0.0.1:1", prefer_grpc=True, grpc_port=port, api_key="k", timeout_seconds=5
    )
    connection = connect(settings, retries=RetryPolicy(attempts=3, sleep=slept.append))
    spec = CollectionSpec(dimensions=64)
    with ServerStore(connection, collection="docs", spec=spec) as store:
        yield store
    server.stop(None)


def some(count: int) -> list[Point]:
    return [
        Point(
            id=str(UUID(int=number)),
            dense=np.full(64, 0.125, dtype=np.float32),
            sparse=SparseVector((7,), (0.5,)),
            payload={"text": "naïve 北京", "access": ["a"], "page": 3, "protected": False},
        )
        for number in range(count)
    ]


def test_points_are_sent_as_bytes_and_waited_for(store: ServerStore, points: Points):
    store.upsert(some(300))
    assert [len(request.points) for request in points.requests] == [256, 44]
    request = points.requests[0]
    assert (request.collection_name, request.wait) == ("docs", True)
    assert points.keys == ["k", "k"]
    assert request.ByteSize() / 256 < 64 * 4 + 250, "four bytes a number"
    assert request.points[3].payload["page"].integer_value == 3


@pytest.mark.parametrize(
    ("code", "trailing", "waited"),
    [
        (grpc.StatusCode.UNAVAILABLE, (), 0.5),
        (grpc.StatusCode.INTERNAL, (), 0.5),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, (), 0.5),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, (("retry-after", "9"),), 9),
    ],
)
def test_a_failure_that_passes_is_tried_again(
    store: ServerStore,
    points: Points,
    slept: list[float],
    code: grpc.StatusCode,
    trailing: tuple[tuple[str, str], ...],
    waited: float,
):
    points.failures = [(code, trailing)]
    store.upsert(some(1))
    assert len(points.requests) == 2
    assert waited <= slept[0] <= waited + 0.5


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        (grpc.StatusCode.INVALID_ARGUMENT, "is it running"),
        (grpc.StatusCode.UNAUTHENTICATED, "ARGOT_INDEX__API_KEY"),
        (grpc.StatusCode.PERMISSION_DENIED, "read-only key"),
    ],
)
def test_a_failure_that_stays_is_not(
    store: ServerStore, points: Points, code: grpc.StatusCode, hint: str
):
    points.failures = [(code, ())]
    with pytest.raises(StoreError, match=hint):
        store.upsert(some(1))
    assert len(points.requests) == 1
