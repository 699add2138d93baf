"""Decisions about documents, and the guard in front of deletions."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.base import Complete, Delete, Failed, Upsert
from connectors.document import Document
from indexing.errors import DeleteGuardError
from indexing.identity import DocumentHashes, Recipe
from indexing.plan import (
    MAX_ATTEMPTS,
    Action,
    KnownDocument,
    check_deletes,
    decide,
    decide_unread,
)
from indexing.sync.presence import Deletion, Presence

INDEXED = KnownDocument(content_hash="c", metadata_hash="m", access_hash="a", revision="r1")
RECIPE = Recipe(chunker="k", encoder="e")


@pytest.mark.parametrize(
    ("known", "hashes", "action"),
    [
        (None, "c m a", Action.ADD),
        (KnownDocument(failure="damaged", attempts=1), "c m a", Action.ADD),
        (INDEXED, "c2 m a", Action.CHANGE),
        (INDEXED, "c2 m2 a2", Action.CHANGE),
        (INDEXED, "c m2 a", Action.METADATA_ONLY),
        (INDEXED, "c m a2", Action.METADATA_ONLY),
        (replace(INDEXED, metadata_hash=None), "c m a", Action.METADATA_ONLY),
        (INDEXED, "c m a", Action.KEEP),
    ],
)
def test_a_document_that_was_read_is_compared_by_its_hashes(
    known: KnownDocument | None, hashes: str, action: Action
) -> None:
    content, metadata, access = hashes.split()
    found = DocumentHashes(content=content, metadata=metadata, access=access)
    assert decide(known, found, recipe=RECIPE).action is action


@pytest.mark.parametrize(
    ("made_with", "action"),
    [
        ({}, Action.KEEP),
        ({"chunker_hash": "k", "encoder_hash": "e"}, Action.KEEP),
        ({"chunker_hash": "another"}, Action.CHANGE),
        ({"encoder_hash": "another"}, Action.CHANGE),
    ],
    ids=str,
)
def test_what_another_chunker_or_encoder_made_is_made_again(
    made_with: dict[str, str], action: Action
) -> None:
    known = replace(INDEXED, **made_with)
    unread = decide_unread(known, revision="r1", protected=False, retry_failed=False, recipe=RECIPE)
    hashes = DocumentHashes(content="c", metadata="m", access="a")
    assert decide(known, hashes, recipe=RECIPE).action is action
    assert (unread is not None) == (action is Action.KEEP)


def test_what_may_be_half_rewritten_is_read_again() -> None:
    known = replace(INDEXED, metadata_hash=None)
    assert decide_unread(known, revision="r1", protected=False, retry_failed=False) is None


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


@pytest.fixture
def presence() -> Iterator[Presence]:
    with Presence() as presence:
        yield presence


def deletes(presence: Presence, known: str) -> list[str]:
    return [gone.document_id for gone in presence.deletes((name, True) for name in known)]


def test_only_a_complete_listing_makes_documents_missing(presence: Presence) -> None:
    for change in (upsert("a"), Failed("b", "locked"), Delete("d"), Delete("stranger")):
        presence.note(change)
    assert deletes(presence, "abcd") == ["d"]
    presence.note(Complete())
    assert deletes(presence, "abcd") == ["c", "d"]


def test_a_document_that_came_back_after_its_deletion_stays(presence: Presence) -> None:
    for change in (Delete("a"), upsert("a"), upsert("b"), Delete("b")):
        presence.note(change)
    assert deletes(presence, "ab") == ["b"]


def test_what_came_and_went_within_a_run_is_deleted_and_not_counted_as_lost(
    presence: Presence,
) -> None:
    presence.note(upsert("old"), indexed=True)
    presence.note(upsert("new"), indexed=False)
    for name in ("old", "new"):
        presence.note(Delete(name))
    assert list(presence.deletes([("new", True), ("old", True)])) == [
        Deletion("old", indexed=True, lost=True),
        Deletion("new", indexed=True, lost=False),
    ]


def test_documents_of_which_nothing_is_indexed_are_not_counted_as_lost(
    presence: Presence,
) -> None:
    presence.note(Complete())
    assert list(presence.deletes([("a", False)])) == [Deletion("a", indexed=False, lost=False)]


def refused(deletes: int, known: int, max_fraction: float = 0.2) -> bool:
    try:
        check_deletes(deletes, indexed=known, max_fraction=max_fraction, source="wiki")
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


@given(known=st.integers(2, 300), data=st.data())
def test_the_fraction_that_the_refusal_names_is_enough(known: int, data: st.DataObject) -> None:
    deletes = data.draw(st.integers(1, known))
    try:
        check_deletes(deletes, indexed=known, max_fraction=0.01, source="wiki")
    except DeleteGuardError as error:
        named = float(str(error).rpartition("--max-delete-fraction ")[2].rstrip("`"))
        assert not refused(deletes, known, named)
