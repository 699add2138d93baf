"""Continuing prompts in batches, against transformers' own generation of one prompt at a time."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from encoder import generation
from encoder.errors import EncoderError
from encoder.generation import Continuation, continue_prompts
from encoder.loading import Decoder, load_decoder
from encoder.sampling import Sampling, choose_tokens

pytestmark = [pytest.mark.torch, pytest.mark.usefixtures("one_thread")]

Write = Callable[..., Path]

EXAMPLE = "the quick brown fox jumps over the lazy dog\n"
PROMPTS = [
    EXAMPLE + "a retriever finds the passage",
    EXAMPLE + "wing",
    EXAMPLE + "employees may take thirty days of leave in every year",
    EXAMPLE + "wing lift",
    EXAMPLE + "press the power button for three seconds to reset the device",
    EXAMPLE + "drag!",
]
GREEDY = Sampling(max_new_tokens=12, temperature=0)
DRAWN = Sampling(each=2, max_new_tokens=12, temperature=1, top_p=0.95, seed=3)


def load(folder: Path) -> Decoder:
    return load_decoder(folder, causal=True, with_head=True, dtype=torch.float32, device="cpu")


@pytest.fixture(scope="module")
def decoder(write_decoder: Write) -> Decoder:
    return load(write_decoder("llama", initializer_range=0.3))


def written(
    decoder: Decoder, prompts: list[str], *, sampling: Sampling, batch_tokens: int = 1024
) -> list[list[Continuation]]:
    found = {
        position: continuations
        for batch in continue_prompts(
            decoder, prompts, sampling=sampling, batch_tokens=batch_tokens
        )
        for position, continuations in batch
    }
    return [found[i] for i in range(len(prompts))]


def generated(decoder: Decoder, prompt: str, *, max_new_tokens: int) -> str:
    """What transformers writes behind one prompt: greedy, without padding, prefix or batch."""
    encoded = decoder.tokenizer(prompt, return_tensors="pt", return_token_type_ids=False)
    ids = decoder.model.generate(**encoded, do_sample=False, max_new_tokens=max_new_tokens)
    text = decoder.tokenizer.decode(
        ids[0, encoded["input_ids"].shape[1] :], skip_special_tokens=True
    )
    return text.strip().split("\n")[0].strip()


def require_what_transformers_writes(decoder: Decoder) -> None:
    prompts, sampling = PROMPTS[:3], replace(GREEDY, max_new_tokens=6)
    alone = [generated(decoder, prompt, max_new_tokens=6) for prompt in prompts]
    assert [found.text for (found,) in written(decoder, prompts, sampling=sampling)] == alone
    assert len(set(alone)) > 1


@pytest.mark.parametrize(
    "name",
    [
        "llama",
        "gemma",
        "gemma3_text",  # a window in some layers
        "gpt_neox",
        "mixtral",
        "bloom",  # takes no positions
        "jamba",  # starts its state anew with every part it reads
        "minimax",  # a cache of its own kind
    ],
)
def test_batches_with_a_shared_prefix_write_what_transformers_writes_alone(
    write_decoder: Write, name: str
):
    require_what_transformers_writes(load(write_decoder(name, initializer_range=0.3)))


@pytest.mark.slow
def test_every_family_writes_what_transformers_writes_alone(write_decoder: Write, family: str):
    require_what_transformers_writes(load(write_decoder(family, initializer_range=0.3)))


@pytest.mark.slow
def test_layers_that_carry_a_state_write_the_same_too(write_decoder: Write, hybrid: str):
    made = load(write_decoder(hybrid, initializer_range=0.3))
    if hybrid == "recurrent_gemma":
        with pytest.raises(EncoderError, match="RecurrentGemmaForCausalLM does not"):
            written(made, PROMPTS, sampling=GREEDY)
    else:
        require_what_transformers_writes(made)


def test_a_sliding_window_shorter_than_the_prompts_changes_nothing(
    write_decoder: Write,
):
    folder = write_decoder("mistral", sliding_window=10, initializer_range=0.3)
    require_what_transformers_writes(load(folder))


def test_a_beginning_of_text_is_read_once_and_an_end_of_text_never(
    write_decoder: Write,
):
    made = load(write_decoder("llama", add_bos=True, add_eos=True, initializer_range=0.3))
    tokenizer = made.tokenizer
    ids = [tokenizer.bos_token_id, *tokenizer(PROMPTS[0], add_special_tokens=False)["input_ids"]]
    output = made.model.generate(torch.tensor([ids]), do_sample=False, max_new_tokens=12)
    text = tokenizer.decode(output[0, len(ids) :], skip_special_tokens=True).strip()
    for prompt in (PROMPTS[0], tokenizer.bos_token + PROMPTS[0]):
        assert written(made, [prompt], sampling=GREEDY)[0][0].text == text.split("\n")[0].strip()


def test_what_is_drawn_depends_on_neither_the_batch_nor_the_other_prompts(decoder: Decoder):
    together = written(decoder, PROMPTS, sampling=DRAWN)
    small_batches = written(decoder, PROMPTS, sampling=DRAWN, batch_tokens=1)
    alone = [written(decoder, [prompt], sampling=DRAWN)[0] for prompt in PROMPTS]
    assert together == small_batches == alone
    assert any(first != second for first, second in together)
    assert written(decoder, PROMPTS, sampling=replace(DRAWN, seed=4)) != together


def test_prompts_without_a_common_beginning_are_continued_too(decoder: Decoder):
    prompts = ["wing lift", "employees may", "press the power button"]
    alone = [generated(decoder, prompt, max_new_tokens=12) for prompt in prompts]
    assert [found.text for (found,) in written(decoder, prompts, sampling=GREEDY)] == alone
    assert list(continue_prompts(decoder, [], sampling=GREEDY, batch_tokens=64)) == []


def test_writing_ends_at_a_line_break_behind_text_or_at_the_end_of_text(decoder: Decoder):
    sampling = Sampling(each=12, max_new_tokens=30, temperature=1.5)
    found = [line for lines in written(decoder, PROMPTS, sampling=sampling) for line in lines]
    assert any(line.ended and line.text for line in found)
    assert any(not line.ended for line in found)
    assert all("\n" not in line.text for line in found)


def test_an_empty_prompt_and_one_beyond_the_context_are_refused(decoder: Decoder):
    with pytest.raises(ValueError, match=r"context of 128 tokens; the longest prompt has \d+"):
        written(decoder, ["wing", "wing lift and drag " * 40], sampling=GREEDY)
    with pytest.raises(ValueError, match="number 1 has none"):
        written(decoder, ["wing", ""], sampling=GREEDY)


def test_tokens_are_drawn_with_their_probabilities_from_the_nucleus_alone():
    probabilities = torch.tensor([0.1, 0.4, 0.2, 0.3])
    draws = torch.linspace(0, 1, 10_001, dtype=torch.float64)[:-1]
    logits = probabilities.log().expand(len(draws), -1)

    def shares(**settings: float) -> list[float]:
        chosen = choose_tokens(logits, draws, sampling=Sampling(**settings))  # type: ignore[arg-type]
        return list(np.bincount(chosen, minlength=4) / len(draws))

    assert shares(temperature=1, top_p=1) == pytest.approx([0.1, 0.4, 0.2, 0.3], abs=1e-3)
    assert shares(temperature=1, top_p=0.6) == pytest.approx([0, 4 / 7, 0, 3 / 7], abs=1e-3)
    assert shares(temperature=1, top_p=0.01) == [0, 1, 0, 0]
    assert shares(temperature=0.5, top_p=1) == pytest.approx(
        [1 / 30, 16 / 30, 4 / 30, 9 / 30], abs=1e-3
    )
    assert shares(temperature=0, top_p=1) == [0, 1, 0, 0]


@pytest.mark.parametrize(
    ("text", "max_lines", "ended", "kept"),
    [
        ("wing\n", 1, True, "wing"),
        ("\n \n", 1, False, ""),
        ("wing\n\nlift", 1, False, "wing"),
        ("wing\n", 2, False, "wing"),
        (" wing\n\n lift \n", 2, True, "wing\nlift"),
        ("wing\n\nlift\n", None, False, "wing\n\nlift"),
        ("wing\nlift<eos>", 3, True, "wing\nlift"),
    ],
)
def test_a_row_ends_behind_as_many_lines_as_are_wanted_blank_ones_not_counted(
    decoder: Decoder, text: str, max_lines: int | None, *, ended: bool, kept: str
):
    ids = decoder.tokenizer(text)["input_ids"]
    assert generation._end_test(decoder, max_lines=max_lines)(ids) is ended
    assert generation._first_lines(generation._decode(decoder, ids), max_lines) == kept
