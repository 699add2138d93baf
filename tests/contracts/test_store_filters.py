"""Filters of every vector store, against an evaluation in plain Python."""

import uuid
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from encoder.base import SparseVector
from indexing.filters import And, AnyOf, Condition, Eq, Not, Or, Range
from indexing.stores.base import Payload, Point, VectorStore

SCALARS = st.sampled_from(["a", "b", "A", "1", "", 0, 1, 2, -1, True, False])
VALUES = st.one_of(SCALARS, st.sampled_from([0.5, 1.0, None]), st.lists(SCALARS, max_size=3))
METADATA = st.fixed_dictionaries({}, optional={"x y": VALUES, "lang": VALUES})
PAYLOADS = st.fixed_dictionaries(
    {}, optional={"source": VALUES, "page": VALUES, "metadata": METADATA}
)
FIELDS = st.sampled_from(["source", "page", "metadata.lang", 'metadata."x y"', "absent"])
BOUNDS = st.none() | st.sampled_from([-1.0, 0.0, 0.5, 1.0, 2.0])
LEAVES: st.SearchStrategy[Condition] = st.one_of(
    st.builds(Eq, FIELDS, SCALARS),
    st.builds(AnyOf, FIELDS, st.lists(st.sampled_from(["a", "b", "1", "zz"])).map(tuple)),
    st.builds(AnyOf, FIELDS, st.lists(st.sampled_from([0, 1, 2, 9])).map(tuple)),
    st.builds(Range, FIELDS, BOUNDS, BOUNDS),
)
CONDITIONS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(And, st.lists(inner, max_size=3).map(tuple)),
        st.builds(Or, st.lists(inner, max_size=3).map(tuple)),
        st.builds(Not, inner),
    ),
    max_leaves=5,
)


def values_at(payload: Payload, field: str) -> list[Any]:
    value: Any = payload
    for key in field.replace('"', "").split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, list) else [value]


def same(one: object, other: object) -> bool:
    return type(one) is type(other) and one == other


def holds(where: Condition, payload: Payload) -> bool:
    match where:
        case And(conditions):
            return all(holds(part, payload) for part in conditions)
        case Or(conditions):
            return any(holds(part, payload) for part in conditions)
        case Not(part):
            return not holds(part, payload)
        case _:
            return any(selects(where, value) for value in values_at(payload, where.field))


def selects(where: Eq | AnyOf | Range, got: object) -> bool:
    match where:
        case Eq(_, value):
            return same(value, got)
        case AnyOf(_, values):
            return any(same(value, got) for value in values)
        case Range(_, low, high):
            is_number = type(got) in (int, float)
            return is_number and (low is None or got >= low) and (high is None or got <= high)


@given(payloads=st.lists(PAYLOADS, max_size=6), conditions=st.lists(CONDITIONS, min_size=1))
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_filters_select_what_plain_python_selects(
    store: VectorStore, payloads: list[Payload], conditions: list[Condition]
):
    ids = [str(uuid.UUID(int=n)) for n in range(6)]
    one = np.ones(8, dtype=np.float32)
    word = SparseVector((1,), (1.0,))
    store.delete(ids)
    store.upsert(
        [Point(id=i, dense=one, sparse=word, payload=p) for i, p in zip(ids, payloads)]  # noqa: B905
    )
    for where in conditions:
        expected = {ids[n] for n, payload in enumerate(payloads) if holds(where, payload)}
        for found in (
            store.search_dense(one, limit=10, where=where),
            store.search_sparse(word, limit=10, where=where),
        ):
            assert {hit.id for hit in found} == expected, where
        assert store.count(where) == len(expected)
