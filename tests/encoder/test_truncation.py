"""Fewer dimensions, at unit norm."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from encoder.truncation import truncate

VECTORS = np.random.default_rng(0).normal(size=(5, 16)).astype(np.float32)


@given(st.integers(1, 16))
def test_a_truncated_vector_has_unit_norm_and_its_old_direction(dimensions: int):
    kept = truncate(VECTORS, dimensions)
    assert kept.shape == (5, dimensions)
    assert kept.dtype == np.float32
    assert np.allclose(np.linalg.norm(kept, axis=1), 1, atol=1e-6)
    part = VECTORS[:, :dimensions]
    assert np.allclose(kept, part / np.linalg.norm(part, axis=1, keepdims=True), atol=1e-6)


def test_none_keeps_all_dimensions():
    assert truncate(VECTORS, None).shape == (5, 16)


@pytest.mark.parametrize("dimensions", [0, -1, 17])
def test_a_width_out_of_range_is_refused(dimensions: int):
    with pytest.raises(ValueError, match=rf"must be in \[1, 16\]; got {dimensions}"):
        truncate(VECTORS, dimensions)


def test_a_vector_that_is_zero_stays_zero():
    assert not truncate(np.zeros((1, 4), dtype=np.float32), 2).any()


def test_no_vectors_stay_no_vectors():
    assert truncate(VECTORS[:0], 4).shape == (0, 4)
