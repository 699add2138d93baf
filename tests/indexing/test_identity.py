"""Names and digests are stable and tell everything apart."""

from dataclasses import replace
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.document import Document, Heading
from indexing.identity import DocumentHashes, document_hashes, point_id, printable

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
    one, other = Document(id="a", text="xy", title="z"), Document(id="a", text="x", title="yz")
    assert hashes(one).content != hashes(other).content


def hashes(document: Document, *, protected: bool = False) -> DocumentHashes:
    return document_hashes(document, protected=protected)


@pytest.mark.parametrize(
    ("fields", "part"),
    [
        ({"text": "Other."}, "content"),
        ({"title": "U"}, "content"),
        ({"headings": ()}, "content"),
        ({"uri": "v"}, "metadata"),
        ({"metadata": {}}, "metadata"),
        ({"page_starts": (0,)}, "metadata"),
        ({"access": ()}, "access"),
        ({"access": ("user:x",)}, "access"),
    ],
    ids=str,
)
def test_a_change_changes_the_hash_of_its_part_alone(fields: dict[str, object], part: str) -> None:
    before, after = hashes(DOCUMENT), hashes(replace(DOCUMENT, **fields))
    changed = {
        n for n in ("content", "metadata", "access") if getattr(before, n) != getattr(after, n)
    }
    assert changed == {part}


def test_protecting_a_source_changes_who_may_see_its_documents() -> None:
    before, after = hashes(DOCUMENT), hashes(DOCUMENT, protected=True)
    assert (before.content, before.metadata) == (after.content, after.metadata)
    assert before.access != after.access


def test_the_order_of_metadata_does_not_matter() -> None:
    turned = replace(DOCUMENT, metadata={"l": [None, "x"], "k": 1})
    assert hashes(turned) == hashes(DOCUMENT)


@given(text=st.text(alphabet=st.characters(codec="utf-8"), max_size=20))
def test_valid_text_is_printable_as_it_is(text: str) -> None:
    assert printable(text) == text


def test_half_a_surrogate_pair_is_written_out() -> None:
    assert printable("caf\udce9") == r"caf\udce9"
