"""Batches lose no text and stay within their budget."""

from hypothesis import given
from hypothesis import strategies as st

from encoder.batching import batches_by_length, pad

LENGTHS = st.lists(st.integers(1, 600), max_size=60)


@given(LENGTHS, st.integers(1, 2000))
def test_each_position_comes_once(lengths: list[int], budget: int):
    batches = list(batches_by_length(lengths, token_budget=budget))
    assert sorted(position for batch in batches for position in batch) == list(range(len(lengths)))


@given(LENGTHS, st.integers(1, 2000))
def test_a_batch_is_within_budget_or_one_text(lengths: list[int], budget: int):
    for batch in batches_by_length(lengths, token_budget=budget):
        padded = len(batch) * max(lengths[position] for position in batch)
        assert padded <= budget or len(batch) == 1


@given(LENGTHS, st.integers(1, 2000))
def test_the_longest_texts_come_first(lengths: list[int], budget: int):
    order = [p for batch in batches_by_length(lengths, token_budget=budget) for p in batch]
    assert [lengths[p] for p in order] == sorted(lengths, reverse=True)


@given(LENGTHS, st.integers(1, 2000))
def test_no_batch_could_have_taken_the_first_text_of_the_next(lengths: list[int], budget: int):
    batches = list(batches_by_length(lengths, token_budget=budget))
    for batch in batches[:-1]:
        assert lengths[batch[0]] * (len(batch) + 1) > budget


def test_rows_are_padded_on_the_right():
    ids, mask = pad([[5, 6, 7], [8]], fill=2)
    assert ids.tolist() == [[5, 6, 7], [8, 2, 2]]
    assert mask.tolist() == [[True, True, True], [True, False, False]]
