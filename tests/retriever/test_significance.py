"""Intervals and p values."""

from itertools import product

import numpy as np
import pytest

from retriever.evaluation.significance import bootstrap_interval, randomisation_test


def rng(seed: int = 7) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_the_interval_holds_the_mean_and_narrows_with_more_queries():
    values = rng().random(50)
    few = bootstrap_interval(values, rng=rng())
    many = bootstrap_interval(np.tile(values, 16), rng=rng())

    assert few.value == pytest.approx(values.mean())
    assert few.low < few.value < few.high
    assert many.high - many.low < (few.high - few.low) / 3


def test_about_95_of_100_intervals_hold_the_true_mean():
    draws = rng().random((200, 60))  # true mean 0.5
    intervals = [bootstrap_interval(values, rng=rng(1), resamples=400) for values in draws]
    covered = sum(interval.low <= 0.5 <= interval.high for interval in intervals)

    assert 180 <= covered <= 199


def test_the_same_seed_gives_the_same_interval():
    values = rng().random(30)

    assert bootstrap_interval(values, rng=rng(3)) == bootstrap_interval(values, rng=rng(3))
    assert bootstrap_interval(values, rng=rng(3)) != bootstrap_interval(values, rng=rng(4))


def test_equal_values_have_no_width():
    interval = bootstrap_interval([0.5] * 9, rng=rng(), resamples=2500)

    assert (interval.value, interval.low, interval.high) == (0.5, 0.5, 0.5)


def test_the_p_value_is_that_of_all_sign_assignments():
    differences = np.array([0.3, 0.1, -0.05, 0.2, 0.15, 0.1, 0.02, -0.1])
    means = [abs(np.mean(differences * signs)) for signs in product((-1, 1), repeat=8)]
    exact = np.mean(np.array(means) >= abs(differences.mean()) - 1e-12)

    result = randomisation_test(differences, np.zeros(8), rng=rng(), resamples=20_000)
    assert result.difference == pytest.approx(differences.mean())
    assert result.p_value == pytest.approx(exact, abs=0.01)


def test_the_test_is_two_sided_and_never_says_impossible():
    better, worse = [1.0] * 40, [0.0] * 40

    ahead = randomisation_test(better, worse, rng=rng(), resamples=999)
    behind = randomisation_test(worse, better, rng=rng(), resamples=999)
    assert (ahead.difference, behind.difference) == (1, -1)
    assert ahead.p_value == behind.p_value == 1 / 1000


def test_equal_systems_have_a_p_value_of_one():
    assert randomisation_test([0.1, 0.7], [0.1, 0.7], rng=rng()).p_value == 1


def test_what_cannot_be_tested_is_refused():
    with pytest.raises(ValueError, match="at least one value"):
        bootstrap_interval([], rng=rng())
    with pytest.raises(ValueError, match="`confidence` in"):
        bootstrap_interval([1.0], rng=rng(), confidence=95)
    with pytest.raises(ValueError, match="got 2 and 1 values"):
        randomisation_test([1.0, 2.0], [1.0], rng=rng())
