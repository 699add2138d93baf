"""The choice among measured ways of making vectors smaller."""

from argot.tuning.reduction_options import Tried, choose, name_of, options, pareto_front
from indexing.reduction.settings import ReductionSettings
from retriever.evaluation.significance import Interval


def tried(name: str, quality: float, chunk_bytes: float, p95_ms: float) -> Tried:
    return Tried(
        reduction=ReductionSettings(),
        name=name,
        quality=Interval(quality, quality, quality),
        chunk_bytes=chunk_bytes,
        p50_ms=p95_ms,
        p95_ms=p95_ms,
        build_seconds=1.0,
    )


FULL = tried("full", 0.50, 2304, 2.0)
ALL = [
    FULL,
    tried("same but larger", 0.50, 2900, 2.0),
    tried("half", 0.496, 1152, 1.0),
    tried("small", 0.495, 288, 0.5),
    tried("small and slow", 0.497, 288, 0.9),
    tried("tiny", 0.30, 72, 0.4),
]


def test_the_smallest_that_keeps_enough_is_chosen_and_of_equals_the_faster():
    assert choose(ALL, keep=0.99).name == "small"
    assert choose(ALL, keep=0.5).name == "tiny"
    assert choose(ALL, keep=1.0) is FULL


def test_the_front_holds_what_nothing_else_beats():
    names = [one.name for one in pareto_front(ALL)]
    assert names == ["full", "small", "small and slow", "tiny"]


def test_two_that_measure_the_same_are_both_on_the_front():
    twins = [tried("a", 0.5, 10, 1), tried("b", 0.5, 10, 1)]
    assert len(pareto_front(twins)) == 2


def test_options_begin_with_everything_and_fit_the_encoder():
    for width in (8, 64, 576, 4096):
        listed = options(width)
        assert listed[0] == ReductionSettings()
        assert all(1 <= option.width(width) <= width for option in listed)
        assert len({name_of(option, width) for option in listed}) == len(listed)
