"""What metadata a vector store keeps, and what it refuses before anything is stored."""

import datetime as dt
from http import HTTPMethod, HTTPStatus
from typing import Any

import numpy as np
import pytest
from langchain_core.documents import Document

from argot.langchain.store import ArgotVectorStore


def deep(levels: int) -> list[Any]:
    """Lists in lists, so many of them."""
    value: list[Any] = []
    for _ in range(levels - 1):
        value = [value]
    return value


def test_metadata_that_would_not_come_back_as_it_is_is_refused(store: ArgotVectorStore):
    for value in (dt.date(2024, 1, 31), {1: "key"}, float("nan"), ("a",)):
        with pytest.raises(ValueError, match="plain JSON values"):
            store.add_texts(["x"], [{"value": value}])


def test_a_refusal_names_the_document_and_the_value(store: ArgotVectorStore):
    with pytest.raises(ValueError, match=r"(?s)of document 'b', 'when' is .*nothing of this call"):
        store.add_texts(["x", "y"], [{}, {"n": 1, "when": dt.date(2024, 1, 31)}], ids=["a", "b"])
    assert store.get_by_ids(["a"]) == []


@pytest.mark.parametrize(
    "value",
    [2**63, -(2**63) - 1, np.array([1, 2]), deep(64), deep(100_000)],
    ids=["large", "small", "array", "deep", "deeper"],
)
def test_metadata_that_no_index_can_hold_is_refused_before_anything_is_stored(
    store: ArgotVectorStore, value: object
):
    documents = [
        Document(id="good", page_content="x"),
        Document(id="bad", page_content="y", metadata={"value": value}),
    ]
    with pytest.raises(ValueError, match=r"(?s)of document 'bad', 'value' is .*nothing of this"):
        store.add_documents(documents)
    assert store.get_by_ids(["good", "bad"]) == []


def test_metadata_are_stored_to_the_limits_that_are_named(store: ArgotVectorStore):
    given = {"most": 2**63 - 1, "least": -(2**63), "deep": deep(62)}
    store.add_texts(["x"], [given], ids=["a"])
    assert store.get_by_ids(["a"])[0].metadata == given


@pytest.mark.parametrize("name", [None, 1, ("a",)])
def test_names_of_metadata_are_texts(store: ArgotVectorStore, name: object):
    odd = Document.model_construct(page_content="x", metadata={name: "x"}, id="a", type="Document")
    with pytest.raises(ValueError, match="of document 'a', a name is"):
        store.add_documents([odd])


def test_members_of_enums_are_stored_as_their_values(store: ArgotVectorStore):
    given = {"status": HTTPStatus.OK, "kinds": [HTTPStatus.CREATED], "method": HTTPMethod.GET}
    store.add_texts(["x"], [given], ids=["a"])
    (found,) = store.get_by_ids(["a"])
    assert found.metadata == {"status": 200, "kinds": [201], "method": "GET"}
