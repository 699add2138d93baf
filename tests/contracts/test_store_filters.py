"""Filters of every vector store, against an evaluation in plain Python."""

import re
import uuid
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from encoder.base import SparseVector
from indexing.filters import And, AnyOf, Condition, Eq, HasWords, Not, Or, Range
from indexing.stores.base import Payload, Point, VectorStore
from indexing.stores.spellings import spellings

SCALARS = st.sampled_from(["a", "b", "A", "1", "", 0, 1, 2, -1, True, False])
TEXTS = st.sampled_from(["A b", "b-a", "aa b", "Büro A", "büro", "2024", "a.b", "don't"])
DATES = st.sampled_from(
    ["2024-01-30", "2024-01-31", "2024-01-31T10:20:30", "2024-01-31T23:30:00-02:00",
     "2024-01-31T00:30:00+02:00", "2024-01-31 10:20:30", "2024-02-01T00:00:00Z"]
)  # fmt: skip
TEXT_OR_DATE = st.one_of(TEXTS, DATES)
VALUES = st.one_of(
    SCALARS,
    TEXT_OR_DATE,
    st.sampled_from([0.5, 1.0, None]),
    st.lists(st.one_of(SCALARS, TEXT_OR_DATE), max_size=3),
)
METADATA = st.fixed_dictionaries({}, optional={"x y": VALUES, "lang": VALUES})
PAYLOADS = st.fixed_dictionaries(
    {}, optional={"source": VALUES, "page": VALUES, "metadata": METADATA}
)
FIELDS = st.sampled_from(["source", "page", "metadata.lang", 'metadata."x y"', "absent"])
BOUNDS = st.none() | st.sampled_from([-1.0, 0.0, 0.5, 1.0, 2.0])
MOMENTS = st.none() | st.sampled_from(
    [date(2024, 1, 30), date(2024, 1, 31), datetime(2024, 1, 31, 10, 20, 30),
     datetime(2024, 2, 1, 1, 30, tzinfo=UTC),
     datetime(2024, 1, 31, tzinfo=timezone(timedelta(hours=2))), date.max]
)  # fmt: skip
WORDS = st.sampled_from(["a", "A", "b a", "a b", "büro", "BÜRO", "aa", "2024", "t don", "zz a"])
LEAVES: st.SearchStrategy[Condition] = st.one_of(
    st.builds(Eq, FIELDS, SCALARS),
    st.builds(AnyOf, FIELDS, st.lists(st.sampled_from(["a", "b", "1", "zz"])).map(tuple)),
    st.builds(AnyOf, FIELDS, st.lists(st.sampled_from([0, 1, 2, 9])).map(tuple)),
    st.builds(Range, FIELDS, BOUNDS, BOUNDS, BOUNDS, BOUNDS),
    st.builds(Range, FIELDS, MOMENTS, MOMENTS, MOMENTS, MOMENTS),
    st.builds(HasWords, FIELDS, WORDS),
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


def moment(given: object) -> datetime | None:
    if isinstance(given, str) and re.match(r"\d{4}-\d\d-\d\d", given):
        given = datetime.fromisoformat(given)
    if not isinstance(given, datetime):
        return None
    return given if given.tzinfo else given.replace(tzinfo=UTC)


def within_dates(where: Range, got: object) -> bool:
    """Day by day for a bound that is a day, else moment by moment."""
    found = moment(got)
    if found is None:
        return False

    def compare(bound: date) -> float:
        wanted = moment(bound)
        if wanted is None:
            return (found.astimezone(UTC).date() - bound).days
        return (found - wanted).total_seconds()

    tests = {
        "at_least": lambda apart: apart >= 0,
        "at_most": lambda apart: apart <= 0,
        "above": lambda apart: apart > 0,
        "below": lambda apart: apart < 0,
    }
    return all(tests[name](compare(bound)) for name, bound in where.bounds.items())


def within(where: Range, got: object) -> bool:
    if where.is_of_dates:
        return within_dates(where, got)
    if type(got) not in (int, float):
        return False
    low, high, above, below = where.at_least, where.at_most, where.above, where.below
    return (
        (low is None or got >= low)
        and (high is None or got <= high)
        and (above is None or got > above)
        and (below is None or got < below)
    )


def words_of(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower()))


def selects(where: Eq | AnyOf | Range | HasWords, got: object) -> bool:
    match where:
        case Eq(_, value):
            return same(value, got)
        case AnyOf(_, values):
            return any(same(value, got) for value in values)
        case HasWords(_, words):
            return isinstance(got, str) and words_of(words) <= words_of(got)
        case Range():
            return within(where, got)


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


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("B\u00fcro", {"composed", "decomposed"}),
        ("bu\u0308ro", {"composed", "decomposed"}),
        ("\u5e74\u5047", {"chinese"}),
        ("\u5e74\u5047 \u516c\u53f8", {"chinese"}),
        ("\u5e74\u5047 absent", set()),
        ("2024", {"full width", "digits"}),
        ("\uff12\uff10\uff12\uff14", {"full width", "digits"}),
        ("2024\u5e74", {"digits and a character", "full width and a character"}),
        ("20", set()),
        ("\u0e25\u0e32", {"thai"}),
        ("\ufb01le", {"ligature", "letters"}),
    ],
)
def test_words_are_found_however_a_text_writes_them(
    store: VectorStore, words: str, found: set[str]
):
    texts = {
        "composed": "das B\u00fcro",
        "decomposed": "das Bu\u0308ro",
        "chinese": "\u6211\u4eec\u516c\u53f8\u7684\u5e74\u5047\u5236\u5ea6",
        "digits": "in 2024 and",
        "full width": "in \uff12\uff10\uff12\uff14 and",
        "digits and a character": "2024\u5e74\u5ea6",
        "full width and a character": "\uff12\uff10\uff12\uff14\u5e74\u5ea6",
        "thai": "\u0e01\u0e32\u0e23\u0e25\u0e32\u0e1e\u0e31\u0e01\u0e23\u0e49\u0e2d\u0e19",
        "ligature": "the \ufb01le",
        "letters": "the file",
    }
    one, word = np.ones(8, dtype=np.float32), SparseVector((1,), (1.0,))
    store.upsert(
        [
            Point(
                id=str(uuid.UUID(int=n)),
                dense=one,
                sparse=word,
                payload={"name": name, "text": text},
            )
            for n, (name, text) in enumerate(texts.items())
        ]
    )
    hits = store.search_sparse(word, limit=20, where=HasWords("text", words))

    assert {hit.payload["name"] for hit in hits} == found


@given(st.text(min_size=1).filter(lambda words: any(map(str.isalnum, words))))
@example("\uff9e")  # a letter whose compatibility form is a mark
def test_there_is_a_spelling_of_any_words_and_none_matches_everything(words: str):
    found = spellings(words)

    assert found
    assert all(found)
    assert all(any(map(str.isalnum, part.text)) for spelling in found for part in spelling)


def test_words_of_a_list_are_those_of_one_text(store: VectorStore):
    one, word = np.ones(8, dtype=np.float32), SparseVector((1,), (1.0,))
    payload: Payload = {"metadata": {"names": ["B\u00fcro Nord", "Lager S\u00fcd"]}}
    store.upsert([Point(id=str(uuid.UUID(int=1)), dense=one, sparse=word, payload=payload)])

    def count(words: str) -> int:
        return store.count(HasWords("metadata.names", words))

    assert count("nord b\u00fcro") == 1
    assert count("b\u00fcro s\u00fcd") == 0
