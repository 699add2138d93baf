"""Reading runs ahead of the encoder, and never far."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pytest

from encoder.base import FloatArray
from indexing.sync.intake import DOCUMENTS_AHEAD

if TYPE_CHECKING:
    from sync_world import World


def test_documents_are_read_while_others_are_encoded_but_only_so_many(
    world: "World", monkeypatch: pytest.MonkeyPatch
) -> None:
    wiki = world.source()
    for n in range(3 * DOCUMENTS_AHEAD):
        wiki.put(f"page-{n:03d}", f"Page {n} says little.")
    encode, read = world.encoder.encode_documents, []

    def encode_slowly(texts: Sequence[str], *, dimensions: int | None = None) -> FloatArray:
        if not read:
            deadline = time.monotonic() + 20
            while len(wiki.loaded) <= DOCUMENTS_AHEAD and time.monotonic() < deadline:
                time.sleep(0.01)
            time.sleep(0.3)  # long enough to run further ahead, if it did
            read.append(len(wiki.loaded))
        return encode(texts, dimensions=dimensions)

    monkeypatch.setattr(world.encoder, "encode_documents", encode_slowly)
    report = world.sync(wiki, batch_tokens=6, parse_processes=1)
    assert DOCUMENTS_AHEAD < read[0] < DOCUMENTS_AHEAD + 10
    assert report.added == 3 * DOCUMENTS_AHEAD
    assert wiki.loaded == list(wiki.documents)


def test_a_document_named_again_while_its_first_state_waits_is_decided_anew(
    world: "World",
) -> None:
    """The source says new, then old again: by what was known before, the second would be kept."""
    wiki = world.source()
    wiki.put("page", "The old text.")
    world.sync(wiki)
    wiki.put("page", "The new text.")
    (new, *_) = wiki.changes(None)
    new_document = wiki.documents["page"]
    wiki.put("page", "The old text.")
    old_document = wiki.documents["page"]
    (again, *_) = wiki.changes(None)
    wiki.documents = {}
    waiting = [old_document, new_document]
    wiki._load = lambda _: waiting.pop()  # type: ignore[method-assign]
    wiki.extra = [new, again]
    world.sync(wiki)
    assert world.texts() == {"page": ["The old text."]}
    assert world.stored_ids() == world.cataloged_ids()
