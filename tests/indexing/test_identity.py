"""Names and digests are stable and tell everything apart."""

from dataclasses import replace
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.document import Document, Heading
from indexing.identity import content_hash, metadata_hash, point_id, printable

DOCUMENT = Document(
    id="a",
    text="Body.",
    title="T",
    uri="u",
    metadata={"k": 1, "l": [None, "x"]},
    headings=(Heading(level=1, title="H", start=0),),
)


def test_the_id_of_a_point_never_changes() -> None:
    # Every index in the world depends on it.
    # from indexing.identity import point_id
    # print(point_id("s", "d", ordinal=0, encoded_text="t"))
    assert point_id("s", "d", ordinal=0, encoded_text="t") == "835487c7-56b7-5a30-bdd0-fb9b8d116bd5"


names = st.text(alphabet=st.characters(codec="utf-8"), max_size=4)


@given(
    a=st.tuples(names, names, st.integers(0, 9), names),
    b=st.tuples(names, names, st.integers(0, 9), names),
)
def test_points_share_an_id_only_where_all_fields_are_equal(
    a: tuple[str, str, int, str], b: tuple[str, str, int, str]
) -> None:
    first, second = (
        point_id(source, document, ordinal=ordinal, encoded_text=text)
        for source, document, ordinal, text in (a, b)
    )
    assert (first == second) == (a == b)
    assert str(UUID(first)) == first


def test_fields_do_not_run_into_each_other() -> None:
    assert point_id("a", "b:c", ordinal=1, encoded_text="") != point_id(
        "a:b", "c", ordinal=1, encoded_text=""
    )
    assert content_hash(Document(id="a", text="xy", title="z")) != content_hash(
        Document(id="a", text="x", title="yz")
    )


@pytest.mark.parametrize(
    "fields",
    [{"text": "Other."}, {"title": "U"}, {"headings": ()}],
    ids=lambda fields: next(iter(fields)),
)
def test_what_is_encoded_is_content(fields: dict[str, object]) -> None:
    changed = replace(DOCUMENT, **fields)
    assert content_hash(changed) != content_hash(DOCUMENT)
    assert metadata_hash(changed, protected=False) == metadata_hash(DOCUMENT, protected=False)


@pytest.mark.parametrize(
    "fields",
    [
        {"uri": "v"},
        {"metadata": {}},
        {"access": ()},
        {"access": ("user:x",)},
        {"page_starts": (0,)},
    ],
    ids=lambda fields: f"{next(iter(fields))}",
)
def test_what_is_stored_beside_is_metadata(fields: dict[str, object]) -> None:
    changed = replace(DOCUMENT, **fields)
    assert content_hash(changed) == content_hash(DOCUMENT)
    assert metadata_hash(changed, protected=False) != metadata_hash(DOCUMENT, protected=False)


def test_the_order_of_metadata_does_not_matter() -> None:
    turned = replace(DOCUMENT, metadata={"l": [None, "x"], "k": 1})
    assert metadata_hash(turned, protected=False) == metadata_hash(DOCUMENT, protected=False)
    assert metadata_hash(turned, protected=True) != metadata_hash(DOCUMENT, protected=False)


@given(text=st.text(alphabet=st.characters(codec="utf-8"), max_size=20))
def test_valid_text_is_printable_as_it_is(text: str) -> None:
    assert printable(text) == text


def test_half_a_surrogate_pair_is_written_out() -> None:
    assert printable("caf\udce9") == r"caf\udce9"
