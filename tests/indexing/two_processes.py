"""One side of a writer and a reader of one index: ``write FOLDER ROUND`` or ``read FOLDER``.

In round R, of every ten points one is taken out and the others are written anew, with a text and a
vector that follow from the point's number and R. So every point that is read tells whether it is
whole: its vector must be that of its text.
"""

import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from encoder.base import SparseVector
from encoder.fake import HashingEncoder
from indexing.stores.base import Payload, Point
from indexing.versions.collection import create_index, open_index
from indexing.versions.description import live_version, set_live
from indexing.versions.published_reader import open_published
from retriever.search import Searcher

POINTS = 200
WIDTH = 16
BATCH = 20
ENCODER = HashingEncoder(WIDTH)


class Words:
    """Weighs nothing: every text has its number's term and one that all share."""

    def encode_queries(self, texts: Iterable[str]) -> list[SparseVector]:
        return [SparseVector((1000,), (1.0,)) for _ in texts]

    encode_documents = encode_queries

    def terms(self, text: str) -> dict[int, str]:
        return dict.fromkeys([1000], text)


def text_of(number: int, turn: int) -> str:
    return f"document {number} of round {turn}"


def id_of(number: int) -> str:
    return f"00000000-0000-0000-0000-{number:012d}"


def payload_of(number: int, turn: int) -> Payload:
    return {
        "document_id": f"d{number}",
        "source": "wiki",
        "text": text_of(number, turn),
        "title": "",
        "uri": "",
        "page": None,
        "span": [0, 1],
        "heading_path": [],
        "metadata": {},
        "protected": False,
    }


def is_there(number: int, turn: int) -> bool:
    return (number + turn) % 10 != 0


def expected(turn: int) -> dict[str, str]:
    """Text of each point after a round."""
    return {id_of(n): text_of(n, turn) for n in range(POINTS) if is_there(n, turn)}


def check_whole(points: Iterable[Point]) -> dict[str, str]:
    """Read the texts of points, each of which must have the vector of its text."""
    found = {point.id: point for point in points}
    texts = {point_id: str(point.payload["text"]) for point_id, point in found.items()}
    vectors = ENCODER.encode_documents(list(texts.values()))
    for point, vector in zip(found.values(), vectors, strict=True):
        number, turn = (int(part) for part in point.payload["text"].split()[1::3])
        assert id_of(number) == point.id, point
        assert is_there(number, turn), point
        assert point.dense is not None
        assert np.allclose(point.dense, vector, atol=1e-4), point
        assert point.sparse.indices == (number, 1000), point
    return texts


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def write(indexes: Path, turn: int) -> None:
    """Do a round, whatever of it was done before."""
    if live_version(indexes) is None:
        index = create_index(indexes, dense=ENCODER, chunker={}, bm25={})
        set_live(indexes, index.version.name)
    else:
        index = open_index(indexes)
    say("open")
    with index:
        for start in range(0, POINTS, BATCH):
            numbers = [n for n in range(start, start + BATCH) if is_there(n, turn)]
            vectors = ENCODER.encode_documents([text_of(n, turn) for n in numbers])
            index.store.upsert(
                [
                    Point(
                        id=id_of(n),
                        dense=vector,
                        sparse=SparseVector((n, 1000), (1.0, 0.5)),
                        payload=payload_of(n, turn),
                    )
                    for n, vector in zip(numbers, vectors, strict=True)
                ]
            )
            index.store.flush()
            index.store.delete(
                [id_of(n) for n in range(start, start + BATCH) if not is_there(n, turn)]
            )
        if turn % 3 == 0:
            index.store.optimize()


def read(indexes: Path) -> None:
    """Search and check until the end of standard input, following what is published."""
    with open_published(indexes) as index:
        store = index.store
        searcher = Searcher(index, sparse=Words(), dense=ENCODER, before_search=store.follow)
        say("open")
        for count in range(1, sys.maxsize):
            for hits in searcher.search_many(["document 7 of round 1", "round"], k=20):
                assert len(hits) == 20
            if count % 5 == 0:
                check_whole(point for batch in store.scan() for point in batch)
            say(str(count))


if __name__ == "__main__":
    if sys.argv[1] == "write":
        write(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        read(Path(sys.argv[2]))
