"""Decisions about documents, and the guard in front of deletions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.base import Complete, Delete, Failed, Upsert
from connectors.document import Document
from indexing.errors import DeleteGuardError
from indexing.plan import (
    MAX_ATTEMPTS,
    Action,
    KnownDocument,
    Presence,
    check_deletes,
    decide,
    decide_unread,
)

INDEXED = KnownDocument(content_hash="c", metadata_hash="m", revision="r1")


@pytest.mark.parametrize(
    ("known", "content", "metadata", "action"),
    [
        (None, "c", "m", Action.ADD),
        (KnownDocument(failure="damaged", attempts=1), "c", "m", Action.ADD),
        (INDEXED, "c2", "m", Action.CHANGE),
        (INDEXED, "c2", "m2", Action.CHANGE),
        (INDEXED, "c", "m2", Action.METADATA_ONLY),
        (INDEXED, "c", "m", Action.KEEP),
    ],
)
def test_a_document_that_was_read_is_compared_by_its_hashes(
    known: KnownDocument | None, content: str, metadata: str, action: Action
) -> None:
    assert decide(known, content_hash=content, metadata_hash=metadata).action is action


def failed(attempts: int) -> KnownDocument:
    return KnownDocument(failure="damaged", failed_revision="r1", attempts=attempts)


@pytest.mark.parametrize(
    ("known", "revision", "action"),
    [
        (None, "r1", None),
        (INDEXED, "r1", Action.KEEP),
        (INDEXED, "r2", None),
        (INDEXED, None, None),
        (KnownDocument(), "r1", None),
        (failed(1), "r1", None),
        (failed(MAX_ATTEMPTS), "r1", Action.SET_ASIDE),
        (failed(MAX_ATTEMPTS), "r2", None),
        (failed(MAX_ATTEMPTS), None, None),
    ],
)
def test_a_revision_decides_alone_where_it_can(
    known: KnownDocument | None, revision: str | None, action: Action | None
) -> None:
    decision = decide_unread(known, revision=revision, protected=False, retry_failed=False)
    assert (decision and decision.action) == action


def test_a_failed_document_is_tried_again_when_asked_for() -> None:
    known = failed(MAX_ATTEMPTS)
    assert decide_unread(known, revision="r1", protected=False, retry_failed=True) is None


def test_a_document_is_read_again_when_its_source_becomes_protected() -> None:
    assert decide_unread(INDEXED, revision="r1", protected=True, retry_failed=False) is None


def upsert(document_id: str) -> Upsert:
    return Upsert(document_id, None, lambda: Document(id=document_id, text=""))


def test_only_a_complete_listing_makes_documents_missing() -> None:
    presence = Presence()
    for change in (upsert("a"), Failed("b", "locked"), Delete("d"), Delete("stranger")):
        presence.note(change)
    known = dict.fromkeys("abcd", True)
    assert presence.deletes(known) == ["d"]
    presence.note(Complete())
    assert presence.deletes(known) == ["c", "d"]


def test_a_document_that_came_back_after_its_deletion_stays() -> None:
    presence = Presence()
    for change in (Delete("a"), upsert("a"), upsert("b"), Delete("b")):
        presence.note(change)
    assert presence.deletes({}) == ["b"]


def refused(deletes: int, known: int, max_fraction: float = 0.2) -> bool:
    documents = {str(n): True for n in range(known)}
    try:
        check_deletes(
            list(documents)[:deletes], documents, max_fraction=max_fraction, source="wiki"
        )
    except DeleteGuardError:
        return True
    return False


@pytest.mark.parametrize(
    ("deletes", "known", "allowed"),
    [
        (0, 0, True),
        (20, 100, True),
        (21, 100, False),
        (2, 10, True),
        (3, 10, False),
        (1, 3, True),  # one may always go
        (2, 4, False),
        (1, 2, True),
        (1, 1, False),  # but never the last
    ],
)
def test_a_fifth_may_go(deletes: int, known: int, allowed: bool) -> None:
    assert refused(deletes, known) is not allowed


@given(known=st.integers(1, 300), data=st.data(), max_fraction=st.floats(0, 0.999))
def test_a_whole_source_never_goes_unasked(
    known: int, data: st.DataObject, max_fraction: float
) -> None:
    assert refused(known, known, max_fraction)
    deletes = data.draw(st.integers(0, known))
    if deletes > max(1, max_fraction * known):
        assert refused(deletes, known, max_fraction)
    assert not refused(deletes, known, 1)
    assert refused(deletes, known, 0) is (deletes > 0)


def test_documents_of_which_nothing_is_indexed_do_not_count() -> None:
    known = {"a": True, "b": True, "c": False, "d": False}
    check_deletes(["a", "c", "d"], known, max_fraction=0.5, source="wiki")


@given(known=st.integers(2, 300), data=st.data())
def test_the_fraction_that_the_refusal_names_is_enough(known: int, data: st.DataObject) -> None:
    deletes = data.draw(st.integers(1, known))
    documents = {str(n): True for n in range(known)}
    try:
        check_deletes(list(documents)[:deletes], documents, max_fraction=0.01, source="wiki")
    except DeleteGuardError as error:
        named = float(str(error).rpartition("--max-delete-fraction ")[2].rstrip("`"))
        assert not refused(deletes, known, named)
