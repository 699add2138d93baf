"""A collection that is filled from another holds the same points, whatever each rounds."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest

from encoder.base import SparseVector
from indexing.backup.transfer import check_equal, rounding_of, same_point, transfer
from indexing.errors import StoreError
from indexing.reduction.settings import STORAGES, Storage
from indexing.stores.base import CollectionSpec, Point
from indexing.stores.edge import EdgeStore

WIDTH, COUNT = 64, 700


def points(count: int = COUNT) -> list[Point]:
    rows = np.random.default_rng(0).standard_normal((count, WIDTH)).astype(np.float32)
    rows[0] = np.eye(WIDTH)[3]  # one large number: the coarsest rounding
    return [
        Point(
            id=str(UUID(int=number * 7919)),
            dense=row / np.linalg.norm(row),
            sparse=SparseVector((5, number + 10), (0.1, 1 / 3)),
            payload={"text": f"text {number}", "access": ["group:a"], "page": None},
        )
        for number, row in enumerate(rows)
    ]


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[EdgeStore, EdgeStore]]:
    spec = CollectionSpec(dimensions=WIDTH)
    with (
        EdgeStore.create(tmp_path / "one", spec=spec) as one,
        EdgeStore.create(tmp_path / "two", spec=spec) as two,
    ):
        yield one, two


def test_what_is_there_is_left_and_what_is_not_right_is_written(pair: tuple[EdgeStore, EdgeStore]):
    one, two = pair
    one.upsert(points())
    first = transfer(one.scan, two)
    assert (first.points, first.written, first.removed) == (COUNT, COUNT, 0)
    again = transfer(one.scan, two)
    assert (again.points, again.written, again.removed) == (COUNT, 0, 0)
    held = points()
    two.delete([held[3].id, held[COUNT - 1].id])
    two.set_payload({held[9].id: {"text": "stale"}})
    two.upsert([replace(held[0], id=str(UUID(int=1))), replace(held[20], dense=held[21].dense)])
    mended = transfer(one.scan, two)
    assert (mended.points, mended.written, mended.removed) == (COUNT, 4, 1)


def test_it_is_told_how_far_it_has_come(pair: tuple[EdgeStore, EdgeStore]):
    one, two = pair
    one.upsert(points())
    told: list[int] = []
    transfer(one.scan, two, tell=told.append)
    assert told == [0, 256, 512] * 2


@pytest.mark.parametrize("storage", STORAGES)
def test_storing_twice_is_within_the_rounding_that_is_allowed(storage: Storage, tmp_path: Path):
    spec = CollectionSpec(dimensions=WIDTH, storage=storage)
    with (
        EdgeStore.create(tmp_path / "one", spec=spec) as one,
        EdgeStore.create(tmp_path / "two", spec=spec) as two,
    ):
        one.upsert(points(200))
        assert transfer(one.scan, two).points == 200
        assert largest_difference(one, two) <= rounding_of(spec) / 2, "with room to spare"


def largest_difference(one: EdgeStore, two: EdgeStore) -> float:
    pages = zip(one.scan(), two.scan(), strict=True)
    pairs = [pair for page, other in pages for pair in zip(page, other, strict=True)]
    return max(float(np.abs(np.subtract(a.dense, b.dense)).max()) for a, b in pairs)


@pytest.mark.parametrize(
    "changes",
    [
        {"id": str(UUID(int=1))},
        {"payload": {"text": "text 0"}},
        {"sparse": SparseVector((5, 10), (0.1, 0.3))},
        {"sparse": SparseVector((5,), (0.1,))},
        {"dense": None},
        {"dense": np.eye(WIDTH, dtype=np.float32)[4]},
        {"dense": np.ones(3, dtype=np.float32)},
    ],
)
def test_a_point_that_differs_anywhere_is_another(changes: dict[str, Any]):
    one = points(1)[0]
    assert same_point(one, replace(one), rounding=1e-6)
    assert same_point(one, replace(one, sparse=SparseVector((10, 5), (1 / 3, 0.1))), rounding=1e-6)
    assert not same_point(one, replace(one, **changes), rounding=1e-3)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda two: two.delete([points()[5].id]), "is missing"),
        (lambda two: two.set_payload({points()[5].id: {}}), "differs"),
        (
            lambda two: two.upsert([replace(points()[5], id=str(UUID(int=6)))]),
            "should not be there",
        ),
    ],
)
def test_comparing_names_the_first_point_that_is_wrong(
    pair: tuple[EdgeStore, EdgeStore], spoil: Any, says: str
):
    one, two = pair
    one.upsert(points(20))
    two.upsert(points(20))
    assert check_equal(one.scan, two) == 20
    spoil(two)
    with pytest.raises(StoreError, match=rf"point [0-9a-f-]{{36}} {says}\nhint: run the same"):
        check_equal(one.scan, two)
