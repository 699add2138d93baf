"""What a model writes for a query: passages and other wordings."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from encoder.expansion import PassageWriter, QueryRewriter, fit_wordings
from encoder.generation import Continuation
from encoder.line_cleaning import repeats_itself
from encoder.loading import Decoder, load_decoder

pytestmark = [pytest.mark.torch, pytest.mark.usefixtures("one_thread")]

QUERY = "How is the filter replaced?"
Write = Callable[..., Path]


@pytest.fixture
def decoder(write_decoder: Write) -> Decoder:
    folder = write_decoder("llama", max_position_embeddings=2048, initializer_range=0.3)
    return load_decoder(folder, causal=True, with_head=True, dtype=torch.float32, device="cpu")


@pytest.mark.parametrize(
    ("text", "wordings"),
    [
        ("changing the filter\nsteps to swap it", ["changing the filter", "steps to swap it"]),
        ('1. "changing the filter"\n2) swap it', ["changing the filter", "swap it"]),
        ("Here are two wordings:\n- changing the filter", ["changing the filter"]),
        ("how is the filter REPLACED\nswap the filter", ["swap the filter"]),
        ("Swap the filter\nswap the filter.", ["Swap the filter"]),
        ("...\n?!\n汉字 filter", ["汉字 filter"]),
        ("x" * 400, []),
        ("", []),
    ],
)
def test_wordings_are_the_lines_that_say_something_else(text: str, wordings: list[str]):
    assert fit_wordings(Continuation(text, ended=True), QUERY) == wordings


def test_a_line_that_was_cut_is_no_wording():
    cut = Continuation("changing the filter\nsteps to sw", ended=False)
    assert fit_wordings(cut, QUERY) == ["changing the filter"]


def test_passages_are_the_same_every_time_and_several_need_a_temperature(decoder: Decoder):
    assert PassageWriter(decoder, max_new_tokens=12).write(QUERY) == PassageWriter(
        decoder, max_new_tokens=12
    ).write(QUERY)
    drawn = PassageWriter(decoder, passages=3, max_new_tokens=12, temperature=1.5)
    assert len(drawn.write(QUERY)) > 1
    assert drawn.write(QUERY) == drawn.write(QUERY)
    other = PassageWriter(decoder, passages=3, max_new_tokens=12, temperature=1.5, seed=1)
    assert other.write(QUERY) != drawn.write(QUERY)
    with pytest.raises(ValueError, match="2 passages at temperature 0 would all be the same"):
        PassageWriter(decoder, passages=2)


def test_at_most_as_many_wordings_are_given_as_are_wanted(decoder: Decoder):
    for wanted in (1, 3):
        writer = QueryRewriter(decoder, wordings=wanted, temperature=2, max_new_tokens=80)
        assert len(writer.write(QUERY)) <= wanted


@pytest.mark.parametrize("wrong", [{"wordings": 0}, {"max_new_tokens": 0}, {"temperature": -1}])
def test_numbers_out_of_range_are_refused(decoder: Decoder, wrong: dict[str, int]):
    with pytest.raises(ValueError, match=f"`{next(iter(wrong))}` must be"):
        QueryRewriter(decoder, **wrong)


def test_a_text_that_goes_in_circles_is_told():
    assert repeats_itself("No, no, no, no, no, no, no, no, no")
    assert not repeats_itself("the small button on the back of the router resets it")
    assert not repeats_itself("no no no")
