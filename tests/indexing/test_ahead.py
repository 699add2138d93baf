"""Texts that are encoded while others are written."""

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pytest

from encoder.base import FloatArray
from encoder.fake import HashingEncoder
from indexing.stores.base import Point
from indexing.sync.ahead import EncodingAhead

if TYPE_CHECKING:
    from sync_world import World


class Gated(HashingEncoder):
    """Waits for a sign, and notes what it is given and in which thread."""

    def __init__(self) -> None:
        super().__init__(dimensions=8)
        self.parts: list[list[str]] = []
        self.threads: set[str] = set()
        self.may_go = threading.Event()
        self.has_begun = threading.Event()
        self.refuses = ""

    def encode_documents(
        self, texts: Sequence[str], *, dimensions: int | None = None
    ) -> FloatArray:
        self.parts.append(list(texts))
        self.threads.add(threading.current_thread().name)
        self.has_begun.set()
        assert self.may_go.wait(10)
        if self.refuses and self.refuses in texts:
            raise RuntimeError("too strange")
        return super().encode_documents(texts, dimensions=dimensions)


@pytest.fixture
def encoder() -> Gated:
    return Gated()


def test_encoding_begins_before_anyone_waits_for_it(encoder: Gated) -> None:
    with EncodingAhead(encoder, dimensions=None) as ahead:
        ahead.begin({"one": 1, "two": 1})
        assert encoder.has_begun.wait(10)
        encoder.may_go.set()
        taken = ahead.take(["two", "one", "never begun"])
    assert set(taken) == {"one", "two"}
    assert (taken["two"] == HashingEncoder(dimensions=8).encode_documents(["two"])[0]).all()
    assert encoder.threads.isdisjoint({threading.current_thread().name})


def test_no_text_is_encoded_twice_until_it_is_forgotten(encoder: Gated) -> None:
    encoder.may_go.set()
    with EncodingAhead(encoder, dimensions=None) as ahead:
        ahead.begin({"one": 1})
        ahead.begin({"one": 1, "two": 1})
        ahead.take(["one", "two"])
        assert encoder.parts == [["one"], ["two"]]
        ahead.forget(["one"])
        assert set(ahead.take(["one", "two"])) == {"two"}
        ahead.begin({"one": 1})
        assert set(ahead.take(["one"])) == {"one"}


def test_a_part_that_fails_is_left_out_and_the_rest_is_there(encoder: Gated) -> None:
    encoder.may_go.set()
    encoder.refuses = "long"
    with EncodingAhead(encoder, dimensions=None) as ahead:
        ahead.begin({"short": 1, "long": 100_000})
        assert set(ahead.take(["short", "long"])) == {"short"}
    assert encoder.parts == [["long"], ["short"]]


def test_leaving_waits_for_one_part_and_drops_the_others(encoder: Gated) -> None:
    with EncodingAhead(encoder, dimensions=None) as ahead:
        ahead.begin({f"text {n}": 100_000 for n in range(5)})
        ahead.begin({"later": 1})
        assert encoder.has_begun.wait(10)
        threading.Timer(0.1, encoder.may_go.set).start()
    assert len(encoder.parts) == 1


def test_a_sync_encodes_the_next_batch_while_one_is_written(world: "World") -> None:
    source = world.source()
    for n in range(6):
        source.put(f"page-{n}", f"Page {n} says this and that at some length.")
    begun, written = threading.Event(), threading.Event()
    encode, upsert = world.encoder.encode_documents, world.store.upsert

    def note_begin(texts: Sequence[str], **options: int | None) -> FloatArray:
        if not written.is_set() and world.encoder.texts:
            begun.set()
        return encode(texts, **options)

    def write_after_next_began(points: Sequence[Point]) -> None:
        assert begun.wait(10), "the second batch was not encoded while the first waited"
        upsert(points)
        written.set()

    world.encoder.encode_documents = note_begin  # type: ignore[method-assign]
    world.store.upsert = write_after_next_began  # type: ignore[method-assign]
    report = world.sync(source, batch_tokens=1)
    assert report.added == report.chunks_embedded == len(world.encoder.texts) == 6


def test_a_text_of_two_batches_is_encoded_once(world: "World") -> None:
    source = world.source()
    for n in range(4):
        source.put(f"page-{n}", "The same words everywhere.")
    report = world.sync(source, batch_tokens=1)
    assert (report.added, len(world.encoder.texts), world.store.count()) == (4, 1, 4)
    assert report.chunks_embedded == 1


def test_nobody_waits_for_an_encoder_that_gave_up(encoder: Gated) -> None:
    class GaveUpError(BaseException):
        pass

    def give_up(*_: object, **__: object) -> FloatArray:
        raise GaveUpError

    encoder.encode_documents = give_up  # type: ignore[method-assign]
    with EncodingAhead(encoder, dimensions=None) as ahead:
        ahead.begin({"one": 1})
        assert ahead.take(["one"]) == {}
