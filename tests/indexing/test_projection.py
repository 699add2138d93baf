"""Projections fitted on a corpus: what they keep, and that a damaged one is noticed."""

from pathlib import Path

import numpy as np
import pytest

from encoder.base import FloatArray
from encoder.truncation import truncate
from indexing.errors import IndexingError
from indexing.reduction.projection import FILE, fit_projection, read_projection, write_projection
from indexing.reduction.settings import ProjectionKind

FULL = 24


def corpus(count: int = 300, *, seed: int = 0) -> FloatArray:
    """Unit vectors around a mean, which vary along few directions that no axis shows."""
    rng = np.random.default_rng(seed)
    turn, _ = np.linalg.qr(np.random.default_rng(99).standard_normal((FULL, FULL)))
    rows = rng.standard_normal((count, FULL)) * 0.6 ** np.arange(FULL) @ turn + 0.3
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


def test_pca_to_a_few_dimensions_keeps_neighbours_that_truncation_loses():
    documents, queries = corpus(), corpus(20, seed=1)
    pca = fit_projection(documents, kind="pca", dimensions=6)

    def overlap(kept: FloatArray, asked: FloatArray) -> float:
        mean = documents.mean(axis=0)
        true = np.argsort(-(queries - mean) @ (documents - mean).T, axis=1)[:, :10]
        found = np.argsort(-asked @ kept.T, axis=1)[:, :10]
        return float(np.mean([len({*a} & {*b}) / 10 for a, b in zip(true, found, strict=True)]))

    reduced = overlap(pca.apply(documents), pca.apply(queries))
    assert reduced > overlap(documents[:, :6], queries[:, :6]) + 0.1


def test_svd_loses_less_of_the_cosines_than_truncation_and_pca_to_as_few_dimensions():
    documents, queries = corpus(), corpus(20, seed=1)
    true = queries @ documents.T

    def error(kind: ProjectionKind) -> float:
        turned = fit_projection(documents, kind=kind, dimensions=6)
        return float(np.abs(turned.apply(queries) @ turned.apply(documents).T - true).mean())

    truncated, asked = truncate(documents, 6), truncate(queries, 6)
    assert error("svd") < 0.2 * float(np.abs(asked @ truncated.T - true).mean())
    assert error("svd") < 0.2 * error("pca")


def test_projected_vectors_have_unit_norm_and_the_asked_width():
    projected = fit_projection(corpus(), kind="pca", dimensions=5).apply(corpus(7, seed=2))
    assert projected.shape == (7, 5)
    assert projected.dtype == np.float32
    assert np.linalg.norm(projected, axis=1) == pytest.approx(np.ones(7), abs=1e-5)


def test_the_first_directions_are_those_of_fewer_dimensions():
    whole = fit_projection(corpus(), kind="pca", dimensions=None)
    few = fit_projection(corpus(), kind="pca", dimensions=4)
    assert whole.directions.shape == (FULL, FULL)
    np.testing.assert_array_equal(whole.directions[:4], few.directions)


def test_whitening_gives_every_direction_the_same_spread():
    documents = corpus()
    white = fit_projection(documents, kind="whitening", dimensions=8)
    spread = ((documents - white.mean) @ white.directions.T).std(axis=0)
    assert spread == pytest.approx(np.ones(8), abs=0.01)


def test_fitting_again_gives_the_same_projection_in_whatever_order_signs_fall_out():
    first, again = (fit_projection(corpus(), kind="whitening", dimensions=8) for _ in range(2))
    np.testing.assert_array_equal(first.directions, again.directions)
    largest = np.abs(first.directions).argmax(axis=1)
    assert (first.directions[np.arange(8), largest] > 0).all()


def test_a_corpus_that_does_not_vary_gives_finite_vectors():
    same = np.repeat(corpus(1), 40, axis=0)
    for kind in ("pca", "whitening"):
        projected = fit_projection(same, kind=kind, dimensions=8).apply(corpus(5, seed=3))
        assert np.isfinite(projected).all()


def test_too_small_a_sample_is_refused_with_what_to_do():
    with pytest.raises(IndexingError, match=r"more than 8 chunks; got 8\nhint: set fewer"):
        fit_projection(corpus(8), kind="pca", dimensions=8)


def test_a_projection_is_read_as_it_was_written_and_a_damaged_one_is_not(tmp_path: Path):
    projection = fit_projection(corpus(), kind="pca", dimensions=8)
    digest = write_projection(tmp_path, projection)
    read = read_projection(tmp_path, digest=digest, full=FULL, width=8)
    np.testing.assert_array_equal(read.directions, projection.directions)
    np.testing.assert_array_equal(read.mean, projection.mean)
    with pytest.raises(IndexingError, match="must project 24 dimensions to 9"):
        read_projection(tmp_path, digest=digest, full=FULL, width=9)
    content = bytearray((tmp_path / FILE).read_bytes())
    content[-1] ^= 1
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(IndexingError, match=r"must have the digest .*\nhint: "):
        read_projection(tmp_path, digest=digest, full=FULL, width=8)
    (tmp_path / FILE).unlink()
    with pytest.raises(IndexingError, match=r"FileNotFoundError(.|\n)*hint: "):
        read_projection(tmp_path, digest=digest, full=FULL, width=8)
