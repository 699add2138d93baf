"""A reader that can't open the newest copy tries again, and does not go on with an old one."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from encoder.base import SparseVector
from indexing.errors import StoreError
from indexing.published.copies import PublishedCopies
from indexing.stores.base import Point
from indexing.versions.collection import create_index, open_index, spec_of
from indexing.versions.copy_failures import GIVE_UP_SECONDS, RETRY_SECONDS
from indexing.versions.published_reader import PublishedStore


class World:
    """An index with a point, a reader of it, and a clock."""

    def __init__(self, indexes: Path) -> None:
        self.indexes = indexes
        self.seconds = 1000.0
        with create_index(indexes, dense=None, chunker={}, bm25={}) as index:
            self.version = index.version
            index.store.upsert([point("first")])
        self.folder = indexes / self.version.name
        self.copies = PublishedCopies(self.folder)
        self.reader = PublishedStore.open(
            self.folder, spec=spec_of(self.version), clock=lambda: self.seconds
        )

    def write(self, text: str) -> None:
        with open_index(self.indexes, version=self.version.name) as index:
            index.store.upsert([point(text)])

    def break_newest(self) -> dict[Path, str]:
        """Damage the newest copy; returns what repairs it."""
        newest = self.copies.newest()
        assert newest is not None
        whole = {
            path: path.read_text(encoding="utf-8")
            for path in self.copies.folder_of(newest).rglob("segment.json")
        }
        assert whole
        for path in whole:
            path.write_text("{", encoding="utf-8")
        return whole

    def text(self) -> str:
        ((found,),) = self.reader.scan()
        return str(found.payload["text"])


def point(text: str) -> Point:
    return Point(
        id="00000000-0000-0000-0000-000000000001",
        dense=None,
        sparse=SparseVector((7,), (1.0,)),
        payload={"document_id": "d", "source": "wiki", "text": text},
    )


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path / "indexes")
    with closing(world.reader):
        yield world


def test_a_copy_that_could_not_be_opened_once_is_tried_again_after_seconds(world: World):
    world.write("second")
    whole = world.break_newest()
    assert not world.reader.follow()
    for path, text in whole.items():
        path.write_text(text, encoding="utf-8")
    world.seconds += RETRY_SECONDS - 1
    assert not world.reader.follow()
    assert world.text() == "first"
    world.seconds += 1
    assert world.reader.follow()
    assert world.text() == "second"


def test_a_newer_copy_than_the_one_that_fails_is_tried_at_once(world: World):
    world.write("second")
    world.break_newest()
    assert not world.reader.follow()
    world.write("third")
    assert world.reader.follow()
    assert world.text() == "third"


def test_after_a_minute_without_the_newest_copy_the_old_one_is_no_answer(world: World):
    world.write("second")
    whole = world.break_newest()
    for _ in range(int(GIVE_UP_SECONDS / 10)):
        assert not world.reader.follow()
        world.seconds += 10
    for seconds in (0, 1, 3600):
        world.seconds += seconds
        with pytest.raises(StoreError, match=r"newest copy, 3; for 60 seconds.*\nhint: call `ref"):
            world.reader.follow()
    for path, text in whole.items():
        path.write_text(text, encoding="utf-8")
    world.seconds += RETRY_SECONDS
    assert world.reader.follow()
    assert world.text() == "second"
    assert not world.reader.follow()


def test_other_newer_copies_that_fail_do_not_begin_the_minute_anew(world: World):
    for text in ("second", "third"):
        world.write(text)
        world.break_newest()
        assert not world.reader.follow()
        world.seconds += GIVE_UP_SECONDS / 2
    with pytest.raises(StoreError):
        world.reader.follow()


def test_opening_it_again_makes_the_damaged_copy_anew(world: World):
    world.write("second")
    world.break_newest()
    world.reader.follow()
    world.seconds += GIVE_UP_SECONDS
    with pytest.raises(StoreError):
        world.reader.follow()
    with closing(PublishedStore.open(world.folder, spec=spec_of(world.version))) as again:
        assert next(again.scan())[0].payload["text"] == "second"
    assert world.reader.follow()
    assert world.text() == "second"


def test_a_closed_reader_follows_nothing(world: World):
    world.write("second")
    world.reader.close()
    assert not world.reader.follow()
