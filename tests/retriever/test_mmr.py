"""Maximal marginal relevance: the formula by hand, and the right way round."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retriever.mmr import diverse_order

VECTORS = np.array([[1.0, 0.0], [1.0, 0.0], [0.6, 0.8], [0.0, 1.0]], dtype=np.float32)
RELEVANCE = np.array([0.9, 0.8, 0.5, 0.1], dtype=np.float32)


def order(weight: float) -> list[int]:
    return [place for place, _ in diverse_order(RELEVANCE, VECTORS, weight=weight)]


def test_weight_one_is_relevance_alone():
    assert order(1.0) == [0, 1, 2, 3]


def test_weight_zero_is_difference_alone():
    # after the first, 3 is at right angles to it; 2 is nearer to either than nothing, 1 is a twin
    assert order(0.0) == [0, 3, 2, 1]


def test_the_values_are_those_of_the_formula_computed_by_hand():
    chosen = diverse_order(RELEVANCE, VECTORS, weight=0.5)

    # first 0.5 * 0.9; then 1: 0.4 - 0.5, 2: 0.25 - 0.5 * 0.6, 3: 0.05 - 0 wins;
    # then 1: 0.4 - 0.5, 2: 0.25 - 0.5 * max(0.6, 0.8): 1 wins; then 2: the same
    assert [place for place, _ in chosen] == [0, 3, 1, 2]
    assert [value for _, value in chosen] == pytest.approx([0.45, 0.05, -0.1, -0.15], abs=1e-6)


@given(st.integers(0, 12), st.integers(0, 2**16), st.floats(0, 1))
def test_every_candidate_is_chosen_once_and_the_most_relevant_first(
    count: int, seed: int, weight: float
):
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((count, 3)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    relevance = np.sort(rng.random(count).astype(np.float32))[::-1]

    places = [place for place, _ in diverse_order(relevance, vectors, weight=weight)]
    assert sorted(places) == list(range(count))
    assert places[:1] == [0][:count]
