"""The tests every connector must pass, for authors of connectors.

Subclass `ConnectorConformance` in a test file and give it a pytest fixture ``source``: something
that changes a real source and makes connectors for it.

    class TestWikiConnector(ConnectorConformance):
        @pytest.fixture
        def source(self, tmp_path):
            return WikiUnderTest(tmp_path)
"""

import json
import pickle
from collections.abc import Iterable
from typing import Protocol

from connectors.base import Change, Checkpoint, Connector, Delete, Failed, Upsert
from connectors.document import Document
from connectors.errors import DocumentError, SourceError


class SourceUnderTest(Protocol):
    """A source that the tests may change. A key is the test's own name for a document."""

    def connector(self) -> Connector:
        """A new connector for the source as it is."""

    def put(self, key: str, text: str) -> None:
        """Add a document, or replace the text of one by another."""

    def remove(self, key: str) -> None:
        """Take a document away."""

    def spoil(self, key: str) -> None:
        """Make a document unreadable while it stays in the source."""

    def cut_off(self) -> None:
        """Make the source as a whole unreachable."""


class ConnectorConformance:
    """What the indexing side relies on."""

    def test_every_document_is_named_once(self, source: SourceUnderTest) -> None:
        """Ids are unique and can be stored."""
        _fill(source)
        changes = _run(source)
        ids = [change.document_id for change in _upserts(changes)]
        _require(len(ids) == 3, f"3 documents were put, these were named: {ids}")
        named = ids + [change.document_id for change in changes if isinstance(change, Failed)]
        _require(len(set(named)) == len(named), f"ids must be unique; got {named}")
        for document_id in named:
            _require(bool(document_id), "an id must not be empty")
            _require(_is_storable(document_id), f"id {document_id!a} can't be stored")

    def test_a_second_run_repeats_the_first(self, source: SourceUnderTest) -> None:
        """Same ids, order, revisions and documents."""
        _fill(source)
        first, second = _run(source), _run(source)
        _require(
            [_without_load(change) for change in first]
            == [_without_load(change) for change in second],
            "an unchanged source must give the same changes in the same order",
        )
        _require(
            [change.load() for change in _upserts(first)]
            == [change.load() for change in _upserts(second)],
            "an unchanged source must give equal documents",
        )

    def test_a_full_run_ends_with_complete(self, source: SourceUnderTest) -> None:
        """Once and last, also for a source without documents."""
        _require_complete(_run(source))
        _fill(source)
        _require_complete(_run(source))

    def test_a_change_of_content_changes_that_revision_only(self, source: SourceUnderTest) -> None:
        """Or revisions are unknown throughout."""
        _fill(source)
        before = _revisions(source)
        source.put("b", "Other words than before, and more of them.")
        after = _revisions(source)
        _require(before.keys() == after.keys(), "a change of content must not change an id")
        changed = [key for key in before if before[key] != after[key] or after[key] is None]
        unknown = [key for key in before if after[key] is None]
        _require(
            len(changed) == 1 or (bool(unknown) and changed == unknown),
            f"one document changed, so one revision must; got {changed}",
        )

    def test_a_removed_document_is_not_named_again(self, source: SourceUnderTest) -> None:
        """So `Complete` tells that it is gone, or `Delete` does."""
        _fill(source)
        before = set(_revisions(source))
        source.remove("b")
        changes = _run(source)
        after = {change.document_id for change in _upserts(changes)}
        deleted = {change.document_id for change in changes if isinstance(change, Delete)}
        _require(after < before, "a run after a removal must name the others and no new ones")
        _require(len(after) == 2, f"2 documents are left; got {sorted(after)}")
        _require(deleted <= before - after, "only the removed document may be deleted")

    def test_an_unreadable_document_does_not_stop_the_others(self, source: SourceUnderTest) -> None:
        """It is `Failed`, or its ``load`` raises."""
        _fill(source)
        source.spoil("b")
        changes = _run(source)
        loaded, reasons = _load_all(_upserts(changes))
        reasons += [change.reason for change in changes if isinstance(change, Failed)]
        _require(len(loaded) == 2, f"the 2 readable documents must load; got {len(loaded)}")
        _require(len(reasons) == 1, f"the unreadable one must be reported once; got {reasons}")
        _require(bool(reasons[0].strip()), "a failure must give a reason")

    def test_a_source_that_is_cut_off_raises(self, source: SourceUnderTest) -> None:
        """`SourceError`, so that nothing is deleted."""
        _fill(source)
        source.cut_off()
        seen: list[Change] = []
        try:
            seen.extend(source.connector().changes(None))
        except SourceError as exc:
            _require(bool(str(exc).strip()), "`SourceError` must say what is wrong")
            return
        raise AssertionError(f"an unreachable source must raise `SourceError`; got {seen}")

    def test_load_can_be_sent_to_another_process(self, source: SourceUnderTest) -> None:
        """It survives pickling."""
        _fill(source)
        for change in _upserts(_run(source)):
            copy = pickle.loads(pickle.dumps(change.load))  # noqa: S301 - our own bytes
            _require(copy() == change.load(), f"a pickled `load` must give {change.document_id}")

    def test_a_document_vanishing_before_load_is_told(self, source: SourceUnderTest) -> None:
        """By `DocumentError`, unless it was carried along."""
        _fill(source)
        upserts = _upserts(_run(source))
        for key in ("a", "b", "c"):
            source.remove(key)
        loaded, reasons = _load_all(upserts)
        _require(
            len(loaded) + len(reasons) == len(upserts),
            "`load` must give what was listed or raise `DocumentError`",
        )

    def test_documents_are_well_formed(self, source: SourceUnderTest) -> None:
        """Their offsets lie in the text; see `check_document`."""
        _fill(source)
        for change in _upserts(_run(source)):
            check_document(change.load(), document_id=change.document_id)

    def test_a_run_resumes_after_its_last_checkpoint(self, source: SourceUnderTest) -> None:
        """Or lists everything, where it gives no checkpoints."""
        _fill(source)
        before = _revisions(source)
        cursors = [change.cursor for change in _run(source) if isinstance(change, Checkpoint)]
        source.put("d", "A document that came after the checkpoint.")
        resumed = list(source.connector().changes(cursors[-1] if cursors else None))
        resumed_ids = {change.document_id for change in _upserts(resumed)}
        new_ids = _revisions(source).keys() - before.keys()
        _require(len(new_ids) == 1, f"one document was added; got {sorted(new_ids)}")
        _require(new_ids <= resumed_ids, "a resumed run must name what came after its cursor")


def check_document(document: Document, *, document_id: str) -> None:
    """Check a document against what `Document` promises; `AssertionError` says what is broken."""
    _require(document.id == document_id, f"{document.id!r} was announced as {document_id!r}")
    for text in (document.text, document.title, document.uri):
        _require(_is_storable(text), f"{document_id}: NUL or a lone surrogate in {text[:40]!a}")
    json.dumps(dict(document.metadata), allow_nan=False)
    for who in document.access or ():
        _require(_is_storable(who) and bool(who), f"{document_id}: nobody is called {who!a}")
    _check_places(document)


def _check_places(document: Document) -> None:
    starts = [heading.start for heading in document.headings]
    _require(starts == sorted(set(starts)), f"{document.id}: headings must be in text order")
    for heading in document.headings:
        place = f"{document.id}: heading {heading.title!r} at {heading.start}"
        _require(heading.level >= 1, f"{place}: level must be at least 1; got {heading.level}")
        _require(bool(heading.title.strip()), f"{place}: the title must not be empty")
        _require(0 <= heading.start < len(document.text), f"{place}: outside the text")
        before = document.text[heading.start - 1 : heading.start]
        _require(before in {"", "\n"}, f"{place}: not at the start of a line")
    pages = list(document.page_starts)
    _require(pages == sorted(pages), f"{document.id}: page starts must not decrease; got {pages}")
    _require(not pages or pages[0] == 0, f"{document.id}: page 1 must start at 0; got {pages}")
    _require(
        not pages or pages[-1] <= len(document.text), f"{document.id}: a page starts after the text"
    )


def _require_complete(changes: list[Change]) -> None:
    kinds = [type(change).__name__ for change in changes]
    _require(kinds.count("Complete") == 1, f"`Complete` must come exactly once; got {kinds}")
    _require(kinds[-1] == "Complete", f"`Complete` must come last; got {kinds}")


def _fill(source: SourceUnderTest) -> None:
    source.put("a", "The first document. It has two sentences.")
    source.put("b", "The second document: ünïcödé, 中文, עברית and an emoji 🦆.")
    source.put("c", "The third document.\n\nIt has two paragraphs.")


def _run(source: SourceUnderTest) -> list[Change]:
    return list(source.connector().changes(None))


def _upserts(changes: Iterable[Change]) -> list[Upsert]:
    return [change for change in changes if isinstance(change, Upsert)]


def _revisions(source: SourceUnderTest) -> dict[str, str | None]:
    return {change.document_id: change.revision for change in _upserts(_run(source))}


def _without_load(change: Change) -> object:
    if isinstance(change, Upsert):
        return change.document_id, change.revision
    return change


def _load_all(upserts: Iterable[Upsert]) -> tuple[list[Document], list[str]]:
    loaded: list[Document] = []
    reasons: list[str] = []
    for change in upserts:
        try:
            loaded.append(change.load())
        except DocumentError as exc:
            reasons.append(str(exc))
    return loaded, reasons


def _is_storable(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def _require(holds: bool, otherwise: str) -> None:
    # `assert` would be compiled away under -O, and this module is shipped.
    if not holds:
        raise AssertionError(otherwise)
