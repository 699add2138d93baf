"""Filters in plain values: the forms, and what is refused."""

import json
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given as hypothesis_given
from hypothesis import strategies as st

from indexing.filters import And, AnyOf, Condition, Eq, HasWords, Not, Or, Range
from indexing.stores.edge_forms import edge_filter
from retriever.conditions import condition_json, condition_of
from retriever.search import Searcher


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"source": "x"}, Eq("source", "x")),
        ({"page": [1, 2]}, AnyOf("page", (1, 2))),
        ({"page": {"!=": 1}}, Not(Eq("page", 1))),
        ({"title": {"in": ["A", "B"]}}, AnyOf("title", ("A", "B"))),
        ({"title": {"not in": ["A"]}}, Not(AnyOf("title", ("A",)))),
        ({"page": {">": 1}}, Range("page", above=1)),
        (
            {"page": {">=": 1.5, "<": 3}},
            And((Range("page", at_least=1.5), Range("page", below=3))),
        ),
        ({"metadata.d": {"<=": "2024-01-31"}}, Range("metadata.d", at_most=date(2024, 1, 31))),
        (
            {"metadata.d": {">=": "2024-01-31T10:00:00Z"}},
            Range("metadata.d", at_least=datetime(2024, 1, 31, 10, tzinfo=UTC)),
        ),
        ({"metadata.d": {"<=": " 20240131 "}}, Range("metadata.d", at_most=date(2024, 1, 31))),
        (
            {"metadata.d": {"<": "20240131T10Z"}},
            Range("metadata.d", below=datetime(2024, 1, 31, 10, tzinfo=UTC)),
        ),
        ({"text": {"words": "annual leave"}}, HasWords("text", "annual leave")),
        ({"not": {"page": 1}}, Not(Eq("page", 1))),
        ({"page": 1.5}, Range("page", at_least=1.5, at_most=1.5)),
        ({"page": []}, AnyOf("page", ())),
        (
            {"page": ["A1", 2, True, 1.5]},
            Or(
                (
                    AnyOf("page", ("A1",)),
                    AnyOf("page", (2,)),
                    Eq("page", True),
                    Range("page", at_least=1.5, at_most=1.5),
                )
            ),
        ),
        (
            {"or": [{"page": 1}, {"page": 2, "source": "x"}]},
            Or((Eq("page", 1), And((Eq("page", 2), Eq("source", "x"))))),
        ),
        ({"and": []}, And(())),
        ({"or": []}, Or(())),
    ],
)
def test_a_mapping_is_read_as_the_condition_it_stands_for(given: dict[str, Any], wanted: Condition):
    assert condition_of(given) == wanted


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"page": {}}, "must have an operator"),
        ({"page": {"~": 1}}, "no operator '~'; there are =, !=, in"),
        ({"page": {">": "soon"}}, "a number or a date such as 2024-01-31"),
        ({"page": {">": True}}, "a finite number or a date"),
        ({"page": {">": 10**400}}, "a finite number or a date"),
        ({"page": {"$gte": 3}}, "no operator '\\$gte'(?s:.)*hint: write '>='"),
        ({"page": None}, "must have a value; got None\nhint: leave 'page' out"),
        ({"page": {"!=": None}}, "must have a value; got None"),
        ({"page": [None]}, "strings, finite numbers and booleans alone; got None"),
        ({"page": [[1]]}, "strings, finite numbers and booleans alone; got \\[1\\]"),
        ({"page": [float("inf")]}, "a finite number"),
        ({"page": float("nan")}, "a finite number"),
        ({"page": {">": float("nan")}}, "a finite number or a date"),
        ({"page": {"in": "ab"}}, "must have a list"),
        ({"text": {"words": "--"}}, "text with a word in it"),
        ({"or": {"page": 1}}, "'or' must have a list of filters"),
        ({"or": [{}]}, "must have an entry"),
        ({"not": "x"}, "'not' must hold filters"),
        ({"or": [Eq("page", 1)]}, "each a mapping"),
        ({3: 1}, "field must be text"),
        ({"page": 2**63}, "64-bit int"),
        ({"metadata.due date": 1}, "must be a path such as"),
        ({"or": [{"access": "user:x"}]}, "no chunk has the field 'access'"),
        ({"not": {"protected": True}}, "no chunk has the field 'protected'"),
    ],
)
def test_what_is_no_filter_is_refused(given: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=message):
        condition_of(given)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["and", "or", "not", "page", "metadata.x", "=", ">", "in", "words"]),
            inner,
            max_size=3,
        ),
    ),
    max_leaves=8,
)


@hypothesis_given(JSON)
def test_any_json_is_a_filter_an_engine_can_read_or_refused(given_json: Any):
    try:
        where = condition_of(given_json)
    except (ValueError, TypeError):
        return
    assert where is None or edge_filter(where) is not None
    assert where is None or json.loads(json.dumps(condition_json(where))) == condition_json(where)


def test_a_filter_nested_without_end_is_refused():
    given: dict[str, Any] = {"page": 1}
    for _ in range(100):
        given = {"not": given}
    with pytest.raises(ValueError, match="nested 16 deep at most"):
        condition_of(given)


@pytest.mark.parametrize(
    ("given", "documents"),
    [
        ({"metadata.year": {">": 2023}}, {"leave"}),
        ({"metadata.year": {"<": 2024}}, {"parking"}),
        ({"text": {"words": "LEAVE annual"}}, {"leave"}),
        ({"or": [{"source": "intranet"}, {"metadata.year": 2023}]}, {"travel", "parking"}),
        ({"metadata.year": 2023.0}, {"parking"}),
        ({"metadata.year": [2023.0, "2024", True]}, {"parking"}),
        ({"not": {"source": "handbook"}}, {"travel"}),
        ({"document_id": {"not in": ["leave", "pay"]}}, {"parking", "travel"}),
    ],
)
def test_plain_filters_narrow_a_search(
    searcher: Searcher, given: dict[str, Any], documents: set[str]
):
    query = "annual leave, trains, parking, salaries"
    found = searcher.search(query, mode="dense", where=condition_of(given))

    assert {hit.document_id for hit in found} == documents
    assert searcher.search(query, mode="dense", where=given) == found


def test_explanations_show_bounds_words_and_dates():
    where = condition_of({"metadata.d": {">": "2024-01-31"}, "text": {"words": "a"}, "page": 1})

    assert where is not None
    assert condition_json(where) == {
        "and": [
            {"field": "metadata.d", "above": "2024-01-31"},
            {"field": "text", "words": "a"},
            {"field": "page", "equals": 1},
        ]
    }
