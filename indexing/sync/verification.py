"""Check an index version against the catalog, point by point, and mend what is wrong."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from indexing.catalog.catalog import Catalog
from indexing.catalog.points import CatalogPoints
from indexing.chunks.chunking import Chunk
from indexing.identity import point_id
from indexing.records import IndexedDocument
from indexing.stores.base import Point, VectorStore
from indexing.sync.target import Item, Target

MIN_COSINE = 0.99
"""Of a stored vector and the same chunk encoded now: room for another compute dtype."""

POINTS_PER_BATCH = 64


class Problem(StrEnum):
    """What can be wrong with a point."""

    MISSING = "the store lacks a chunk"
    STRAY = "the store holds a point of no chunk"
    LOOSE = "an interrupted run left a point to be deleted"
    PAYLOAD = "text or metadata beside the vectors differs from the catalog"
    VECTOR = "the vector is not the encoder's"
    WORDS = "the words are not those of the text"
    CHECKSUM = "the catalog's text is not the one that the point was named after"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A point with which something is wrong."""

    problem: Problem
    point: str
    source: str | None = None
    document_id: str | None = None
    """None where the catalog knows of no document."""

    cosine: float | None = None
    """Of a wrong vector with the right one."""

    @property
    def mendable(self) -> bool:
        """Whether the catalog knows what is right; else only the source does."""
        return self.problem is not Problem.CHECKSUM


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What was compared, and what is wrong."""

    version: str
    chunks: int
    """In the catalog."""

    points: int
    """In the store."""

    sampled: int
    """Points whose vectors were computed again."""

    findings: tuple[Finding, ...]


def verify(
    catalog: Catalog, target: Target, *, sample: int, rng: np.random.Generator
) -> Verification:
    """Compare every point with its chunk, and the vectors of some with what is encoded now.

    Args:
        catalog: Knows the version.
        target: The open version and its encoders.
        sample: Points to encode again, drawn at random; 0: none.
        rng: Draws them.

    Returns:
        All that is wrong.
    """
    points = catalog.points(version=target.version)
    held = target.store.count()
    drawn = set(rng.permutation(held)[:sample].tolist())
    findings = list(_missing(points, target.store))
    at = sampled = 0
    for batch in target.store.scan():
        owners = points.owners([point.id for point in batch])
        findings += _unowned(points, [point.id for point in batch if point.id not in owners])
        findings += _wrong_payloads(batch, owners)
        chosen = [p for place, p in enumerate(batch, start=at) if place in drawn and p.id in owners]
        findings += _wrong_vectors(target, chosen, owners)
        at += len(batch)
        sampled += len(chosen)
    return Verification(
        version=target.version,
        chunks=points.count(),
        points=held,
        sampled=sampled,
        findings=tuple(findings),
    )


def repair(catalog: Catalog, target: Target, findings: Sequence[Finding]) -> int:
    """Write wrong points again from the catalog's chunks, and delete those of no chunk.

    Where the catalog itself is wrong, ``Problem.CHECKSUM``, nothing is done: only the source knows
    better.

    Args:
        catalog: Knows the version.
        target: The open version and its encoders.
        findings: What ``verify`` found; nothing may have written to the version since.

    Returns:
        Points that were written or deleted.
    """
    points = catalog.points(version=target.version)
    wrong = list(dict.fromkeys(finding.point for finding in findings if finding.mendable))
    for start in range(0, len(wrong), POINTS_PER_BATCH):
        batch = wrong[start : start + POINTS_PER_BATCH]
        owners = points.owners(batch)
        target.store.upsert(target.points(_items(owners)))
        target.store.delete([point for point in batch if point not in owners])
    with catalog.source("", version=target.version).sweeping() as loose:
        target.store.delete(loose)
        target.store.flush()
    return len(wrong)


Owners = dict[str, tuple[IndexedDocument, Chunk]]


def _missing(points: CatalogPoints, store: VectorStore) -> Iterator[Finding]:
    for page in points.pages():
        missing = sorted(set(page) - store.existing(page))
        for point, (document, _) in points.owners(missing).items():
            yield _finding(Problem.MISSING, point, document)


def _unowned(points: CatalogPoints, ids: Sequence[str]) -> Iterator[Finding]:
    loose = points.loose(ids)
    for point in ids:
        yield Finding(problem=Problem.LOOSE if point in loose else Problem.STRAY, point=point)


def _wrong_payloads(batch: Sequence[Point], owners: Owners) -> Iterator[Finding]:
    for point in batch:
        if point.id in owners:
            document, chunk = owners[point.id]
            if point.id != _name(document, chunk):
                yield _finding(Problem.CHECKSUM, point.id, document)
            elif dict(point.payload) != document.payload(chunk):
                yield _finding(Problem.PAYLOAD, point.id, document)


def _wrong_vectors(target: Target, batch: Sequence[Point], owners: Owners) -> Iterator[Finding]:
    for start in range(0, len(batch), POINTS_PER_BATCH):
        stored = batch[start : start + POINTS_PER_BATCH]
        right = target.points(_items({point.id: owners[point.id] for point in stored}))
        for is_, should in zip(stored, right, strict=True):
            document, _ = owners[is_.id]
            cosine = _cosine(is_, should)
            if cosine < MIN_COSINE:
                yield _finding(Problem.VECTOR, is_.id, document, cosine=cosine)
            elif not _same_words(is_, should):
                yield _finding(Problem.WORDS, is_.id, document)


def _cosine(is_: Point, should: Point) -> float:
    """Of unit vectors; two that truncation left at zero agree as well."""
    if is_.dense is None or should.dense is None:
        return 1.0 if is_.dense is should.dense else 0.0
    return float(1 - ((is_.dense - should.dense) ** 2).sum() / 2)


def _same_words(is_: Point, should: Point) -> bool:
    one = dict(zip(is_.sparse.indices, is_.sparse.values, strict=True))
    two = dict(zip(should.sparse.indices, should.sparse.values, strict=True))
    return one.keys() == two.keys() and all(
        np.isclose(one[term], two[term], rtol=1e-4) for term in one
    )


def _items(owners: Owners) -> list[Item]:
    return [(document, chunk, point) for point, (document, chunk) in owners.items()]


def _name(document: IndexedDocument, chunk: Chunk) -> str:
    """The point's id, which says whose text it holds: a checksum of what is encoded."""
    return point_id(
        document.source,
        document.document.id,
        ordinal=chunk.ordinal,
        encoded_text=chunk.encoded_text,
    )


def _finding(
    problem: Problem, point: str, document: IndexedDocument, *, cosine: float | None = None
) -> Finding:
    return Finding(
        problem=problem,
        point=point,
        source=document.source,
        document_id=document.document.id,
        cosine=cosine,
    )
