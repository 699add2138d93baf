"""What the index holds the vectors of is not encoded again, wherever it has moved to."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sqlalchemy import text

from indexing.errors import StoreError

if TYPE_CHECKING:
    from sync_world import Source, World

PARAGRAPHS = [f"Paragraph {n} " + "word " * 20 for n in range(9)]


@pytest.fixture
def wiki(world: "World") -> "Source":
    source = world.source()
    source.put("list", "\n\n".join(PARAGRAPHS), title="List")
    for n in range(6):
        source.put(f"page-{n}", f"Page {n} says little.")
    return source


def vectors(world: "World") -> dict[tuple[str, str], Any]:
    return {
        (point.payload["document_id"], point.payload["text"]): point.dense
        for batch in world.store.scan()
        for point in batch
    }


def payloads(world: "World", document_id: str) -> list[Mapping[str, Any]]:
    points = [point.payload for batch in world.store.scan() for point in batch]
    return [payload for payload in points if payload["document_id"] == document_id]


def test_chunks_that_only_moved_within_their_document_are_not_encoded(
    world: "World", wiki: "Source"
) -> None:
    world.sync(wiki)
    before = vectors(world)
    wiki.put("list", "\n\n".join(["A new beginning " + "word " * 20, *PARAGRAPHS]), title="List")
    assert world.sync(wiki).chunks_embedded == 1
    assert len(world.texts()["list"]) == 10
    after = vectors(world)
    for key, vector in before.items():
        np.testing.assert_allclose(after[key], vector, atol=1e-6)


def test_a_renamed_document_keeps_its_vectors(world: "World", wiki: "Source") -> None:
    world.sync(wiki)
    before, encoded = vectors(world), len(world.encoder.texts)
    wiki.documents["archive/list"] = replace(wiki.documents.pop("list"), id="archive/list")
    report = world.sync(wiki)
    assert (report.added, report.deleted, report.chunks_embedded) == (1, 1, 0)
    assert len(world.encoder.texts) == encoded
    after = vectors(world)
    for paragraph in world.texts()["archive/list"]:
        moved = after["archive/list", paragraph]
        np.testing.assert_allclose(moved, before["list", paragraph], atol=1e-6)
    assert "list" not in world.texts()
    assert world.stored_ids() == world.cataloged_ids()


def test_a_copy_in_another_source_is_not_encoded(world: "World", wiki: "Source") -> None:
    world.sync(wiki)
    files = world.source("files")
    files.documents = dict(wiki.documents)
    report = world.sync(files)
    assert (report.added, report.chunks_embedded) == (7, 0)
    assert world.store.count() == 30
    assert world.stored_ids() == world.cataloged_ids()


def test_a_text_that_is_there_twice_is_encoded_once(world: "World", wiki: "Source") -> None:
    for n in range(6):
        wiki.put(f"page-{n}", "All pages say the same.")
    assert world.sync(wiki).chunks_embedded == 9 + 1
    assert world.store.count() == 15


def test_vectors_that_the_store_has_lost_are_encoded_again(world: "World", wiki: "Source") -> None:
    world.sync(wiki)
    world.store.delete(sorted(world.stored_ids()))
    wiki.documents["new list"] = replace(wiki.documents["list"], id="new list")
    assert world.sync(wiki).chunks_embedded == 9


def test_a_new_access_list_alone_is_stored_without_encoding(world: "World", wiki: "Source") -> None:
    world.sync(wiki)
    before, encoded = world.stored_ids(), len(world.encoder.texts)
    wiki.documents["list"] = replace(wiki.documents["list"], access=("user:ann",))
    report = world.sync(wiki)
    assert (report.metadata_only, report.chunks_embedded, report.kept) == (1, 0, 6)
    assert (world.stored_ids(), len(world.encoder.texts)) == (before, encoded)
    assert [payload["access"] for payload in payloads(world, "list")] == [["user:ann"]] * 9


def test_an_access_list_that_was_half_rewritten_and_then_taken_back_is_not_left_behind(
    world: "World", wiki: "Source", monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = replace(wiki.documents["list"], access=("user:ann",))
    wiki.documents["list"] = secret
    world.sync(wiki)
    wiki.documents["list"] = replace(secret, access=("group:everybody",))

    def fail() -> None:
        raise StoreError("the engine failed")

    with monkeypatch.context() as patch:
        patch.setattr(world.store, "flush", fail)
        with pytest.raises(StoreError):
            world.sync(wiki)
    assert payloads(world, "list")[0]["access"] == ["group:everybody"]
    wiki.documents["list"] = secret
    assert world.sync(wiki).metadata_only == 1
    assert [payload["access"] for payload in payloads(world, "list")] == [["user:ann"]] * 9
    assert world.sync(wiki).kept == 7


@pytest.mark.parametrize(
    ("column", "embedded"), [("encoder_hash", 15), ("chunker_hash", 0)], ids=str
)
def test_what_another_encoder_made_is_encoded_again_and_what_another_chunker_made_is_cut_again(
    world: "World", wiki: "Source", column: str, embedded: int
) -> None:
    world.sync(wiki)
    before = vectors(world).keys()
    with world.catalog._engine.begin() as connection:
        connection.execute(text(f"UPDATE documents SET {column} = 'of another'"))  # noqa: S608
    report = world.sync(wiki)
    assert (report.changed, report.chunks_embedded) == (7, embedded)
    assert vectors(world).keys() == before
    assert world.sync(wiki).kept == 7
