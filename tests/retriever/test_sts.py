"""Spearman's correlation of cosines with people's scores, and its resamples."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retriever.errors import JudgementsError
from retriever.evaluation.resampling import RESAMPLES, Measured, ratio_of_sums
from retriever.evaluation.sts import measure_similarity, read_scored_pairs, spearman

HEAD = "sentence1\tsentence2\tscore\n"


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_equal_values_share_their_mean_rank():
    # ranks 1, 2.5, 2.5, 4 against 1, 2, 3, 4: by hand 4.5 / sqrt(4.5 * 5)
    assert spearman([1, 2, 2, 9], [10, 20, 30, 40]) == pytest.approx(4.5 / math.sqrt(22.5))
    assert spearman([1, 2, 3], [3, 2, 1]) == pytest.approx(-1)
    assert math.isnan(spearman([1, 1, 1], [1, 2, 3]))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=3, max_size=40))
def test_the_correlation_is_scipys(pairs: list[tuple[int, int]]):
    stats = pytest.importorskip("scipy.stats", reason="needs scipy to compare with")
    first, second = zip(*pairs, strict=True)
    ours = spearman(first, second)
    if len(set(first)) < 2 or len(set(second)) < 2:
        assert math.isnan(ours)
    else:
        assert ours == pytest.approx(float(stats.spearmanr(first, second).statistic), abs=1e-9)


def test_cosines_in_the_order_of_the_scores_give_one_whatever_the_scale():
    angles = np.linspace(0, 1.5, 30)
    second = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    first = np.tile(np.float32([1, 0]), (30, 1))
    scores = tuple(float(5 - angle**3) for angle in angles)
    found = measure_similarity(first, second, scores, rng=np.random.default_rng(0))
    assert found.value == pytest.approx(1)
    assert (found.interval().low, found.interval().high) == pytest.approx((1, 1))


def test_the_interval_holds_the_value_and_narrows_with_more_pairs():
    def width(pairs: int) -> float:
        rng = np.random.default_rng(1)
        vectors = rng.normal(size=(2, pairs, 8)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=2, keepdims=True)
        cosines = (vectors[0] * vectors[1]).sum(axis=1)
        scores = tuple((cosines + rng.normal(size=pairs) * 0.3).tolist())
        found = measure_similarity(*vectors, scores, rng=rng)
        interval = found.interval()
        assert interval.low < found.value < interval.high
        assert found.resamples.shape == (RESAMPLES,)
        return interval.high - interval.low

    assert width(800) < width(50) / 2


def test_a_paired_difference_is_narrower_than_the_intervals_of_its_sides():
    rng = np.random.default_rng(0)
    items = rng.integers(5, 20, size=60)
    right = rng.binomial(items, 0.7)
    better = np.minimum(items, right + (rng.random(60) < 0.3))
    a, b = (ratio_of_sums(x, items, rng=np.random.default_rng(7)) for x in (better, right))
    difference = a.minus(b)
    assert difference.low > 0
    assert a.interval().low < b.interval().high  # apart, the two could not be told from each other
    with pytest.raises(ValueError, match="same resamples"):
        a.minus(Measured(0.5, b.resamples[:5]))


def test_quotation_marks_are_text_and_blank_lines_nothing(tmp_path: Path):
    path = write(tmp_path / "s.tsv", HEAD + '"a" man\tsays "hi\t2.5\n\nb\tc\t0\n')
    pairs = read_scored_pairs(path)
    assert pairs.first == ('"a" man', "b")
    assert pairs.second == ('says "hi', "c")
    assert pairs.scores == (2.5, 0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a\tb\t1\nc\td\t2\n", r"s.tsv:1: the first line must be the headings"),
        ("", "got an empty file"),
        (HEAD + "a\tb\n", r"s.tsv:2: a line must hold 3 fields; got 2"),
        (HEAD + "a\tb\t1\nc\td\thigh\n", r"s.tsv:3: the score.*got 'high'"),
        (HEAD + "a\tb\tnan\n", r"s.tsv:2: a score must be finite"),
        (HEAD + "a\tb\t3\nc\td\t3\n", "two different scores"),
    ],
)
def test_a_file_that_is_no_sts_file_is_refused_by_line(tmp_path: Path, text: str, said: str):
    with pytest.raises(JudgementsError, match=said):
        read_scored_pairs(write(tmp_path / "s.tsv", text))


def test_the_english_test_split_has_its_official_count(shared_data: Path):
    pairs = read_scored_pairs(shared_data / "sts/stsb/en-test.tsv")
    assert len(pairs.scores) == 1379
    assert 0 <= min(pairs.scores) < max(pairs.scores) <= 5
