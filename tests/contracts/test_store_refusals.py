"""What every vector store must refuse, since its engine would take it and answer wrongly."""

import uuid
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pytest

from encoder.base import SparseVector
from indexing.errors import InvalidPointError
from indexing.filters import And, AnyOf, Condition, Eq, HasWords, Not, Or, Range
from indexing.stores.base import Point, VectorStore

ONES = np.ones(8, dtype=np.float32)
GOOD = Point(
    id=str(uuid.UUID(int=1)),
    dense=ONES,
    sparse=SparseVector((1,), (1.0,)),
    payload={},
)


def changed(**changes: Any) -> Point:
    return replace(GOOD, **({"id": str(uuid.UUID(int=2))} | changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dense": ONES[:5]}, r"shape \(8,\); got \(5,\)"),
        ({"dense": None}, r"shape \(8,\); got None"),
        ({"dense": ONES * np.float32("nan")}, "finite"),
        ({"dense": np.full(8, 1e39)}, "finite"),
        ({"sparse": SparseVector((1,), (float("inf"),))}, "weight must be finite"),
        ({"sparse": SparseVector((-1,), (1.0,))}, "term id"),
        ({"id": "handbook-17"}, "must be a UUID"),
        ({"id": "0000000A-0000-0000-0000-000000000002"}, "must be a UUID"),
        ({"id": GOOD.id}, "unique"),
        ({"payload": {"metadata": {"score": float("nan")}}}, r"payload\.metadata\.score"),
        ({"payload": {"metadata": {1: "one"}}}, r"payload\.metadata must be plain JSON"),
        ({"payload": {"access": ("a",)}}, r"payload\.access must be plain JSON.*tuple"),
        ({"payload": {"text": "\ud800"}}, r"payload\.text must be encodable"),
        ({"payload": {"metadata": {"n": 2**63}}}, r"payload\.metadata\.n"),
    ],
)
def test_a_bad_point_is_refused_before_any_point_is_written(
    refusing_store: VectorStore, changes: dict[str, Any], message: str
):
    with np.errstate(over="ignore"), pytest.raises(InvalidPointError, match=message):
        refusing_store.upsert([GOOD, changed(**changes)])
    assert refusing_store.count() == 1


def test_a_payload_that_could_never_be_read_again_is_refused(refusing_store: VectorStore):
    nested: dict[str, Any] = {}
    for _ in range(100):
        nested = {"a": nested}
    with pytest.raises(InvalidPointError, match="nested at most"):
        refusing_store.upsert([changed(payload=nested)])


def test_a_bad_query_is_refused_and_not_answered_with_nothing(refusing_store: VectorStore):
    with pytest.raises(InvalidPointError, match="finite"):
        refusing_store.search_dense(ONES * np.float32("nan"), limit=5)
    with pytest.raises(InvalidPointError, match="shape"):
        refusing_store.search_dense(ONES[:3], limit=5)
    with pytest.raises(ValueError, match="`limit` must be at least 1; got 0"):
        refusing_store.search_dense(ONES, limit=0)


@pytest.mark.parametrize(
    ("where", "message"),
    [
        (Eq("due date", "x"), "must be a path"),
        (Eq("", "x"), "must be a path"),
        (Not(Eq("a..b", 1)), "must be a path"),
        (Or((Eq("a", 2**63),)), "64-bit int"),
        (Eq("a", 0.5), "64-bit int"),  # type: ignore[arg-type]
        (And((AnyOf("a", (1, "b")),)), "all str or all int"),  # type: ignore[arg-type]
        (AnyOf("a", (True,)), "all str or all int"),
        (Range("a", at_least=float("nan")), "finite"),
        (Range("a", at_least=True), "a finite number or a date"),
        (Range("a", at_least="2024-01-31"), "a finite number or a date"),  # type: ignore[arg-type]
        (Range("a", above=1, below=date(2024, 1, 31)), "all numbers or all dates"),
        (HasWords("a", " - "), "text with a word"),
        (HasWords("a", 7), "text with a word"),  # type: ignore[arg-type]
        (HasWords("a", "\ud800 x"), "UTF-8"),
    ],
)
def test_a_filter_that_an_engine_would_misread_is_refused(
    refusing_store: VectorStore, where: Condition, message: str
):
    with pytest.raises(ValueError, match=message):
        refusing_store.count(where)
