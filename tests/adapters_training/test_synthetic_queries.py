"""Writing queries for passages with a tiny model."""

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from adapters_training.errors import TrainingInterruptedError, TrainingPairsError
from adapters_training.settings.synthetic import SyntheticSettings
from adapters_training.synthetic.prompt import make_prompt
from adapters_training.synthetic.queries import (
    choose_passages,
    model_digest,
    write_queries,
)
from adapters_training.synthetic.written import WrittenQueries
from encoder.loading import Decoder, load_decoder
from encoder.prompting import readable

pytestmark = [pytest.mark.torch, pytest.mark.usefixtures("one_thread")]

TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}[{{ m['role'] }}] {{ m['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}[assistant] {% endif %}"
)
SETTINGS = SyntheticSettings(
    passages=9, examples=1, max_new_tokens=10, temperature=1.0, passage_tokens=16, batch_tokens=900
)


@pytest.fixture(scope="module")
def decoder(tiny_models: object, tmp_path_factory: pytest.TempPathFactory) -> Decoder:
    folder = tmp_path_factory.mktemp("writer")
    tiny_models.write_tiny_decoder(  # type: ignore[attr-defined]
        folder, initializer_range=0.3, max_position_embeddings=512
    )
    return load_decoder(folder, causal=True, with_head=True, dtype=torch.float32, device="cpu")


@pytest.fixture
def write(decoder: Decoder, sentences: list[str], tmp_path: Path) -> Callable[..., WrittenQueries]:
    def run(**options: object) -> WrittenQueries:
        arguments = {"settings": SETTINGS, "cache": tmp_path / "queries.jsonl", **options}
        return write_queries(decoder, sentences, **arguments)  # type: ignore[arg-type]

    return run


def count_readings(decoder: Decoder, action: Callable[[], object]) -> int:
    readings = []
    hook = decoder.model.register_forward_pre_hook(lambda *_: readings.append(1))
    try:
        action()
    finally:
        hook.remove()
    return len(readings)


def test_every_line_is_a_query_or_fell_for_a_reason(write: Callable[..., WrittenQueries]):
    written = write()
    assert written.passages == 9
    assert written.written == 18
    assert len(written.queries) + sum(map(len, written.unfit.values())) == 18
    assert written.seconds > 0


def test_a_restart_reads_what_was_written_and_runs_no_model(
    write: Callable[..., WrittenQueries], decoder: Decoder
):
    first = write()
    again: list[WrittenQueries] = []
    assert count_readings(decoder, lambda: again.append(write())) == 0
    assert replace(again[0], seconds=0) == replace(first, seconds=0)
    grown = replace(SETTINGS, passages=10)
    few = count_readings(decoder, lambda: again.append(write(settings=grown)))
    assert 0 < few <= 1 + SETTINGS.max_new_tokens
    assert again[1].passages == 10


def test_other_settings_seeds_examples_and_weights_write_anew(
    write: Callable[..., WrittenQueries], decoder: Decoder, sentences: list[str]
):
    write()
    for options in (
        {"settings": replace(SETTINGS, temperature=0.9)},
        {"seed": 1},
        {"examples": [("which?", sentences[0])]},
    ):
        assert count_readings(decoder, lambda options=options: write(**options)) > 0
    before = model_digest(decoder.model)
    weight = decoder.model.get_parameter("model.layers.1.mlp.down_proj.weight")
    with torch.no_grad():
        weight[0, 0] += 1
    try:
        assert model_digest(decoder.model) != before
    finally:
        with torch.no_grad():
            weight[0, 0] -= 1


def test_a_signal_loses_at_most_the_batch_and_the_rest_is_as_without_it(
    write: Callable[..., WrittenQueries], tmp_path: Path
):
    whole = write(cache=tmp_path / "whole.jsonl")
    seen: list[int] = []

    def stop_after_the_first_batch(done: int, total: int) -> None:
        seen.append(done)
        if 0 < done < total:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(TrainingInterruptedError, match="of 9 passages"):
        write(progress=stop_after_the_first_batch)
    assert len(seen) == 2
    with (tmp_path / "queries.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"key": "torn')
    counts: list[tuple[int, int]] = []
    resumed = write(progress=lambda done, total: counts.append((done, total)))
    assert counts[0] == (seen[1], 9)
    assert counts[-1] == (9, 9)
    assert replace(resumed, seconds=0) == replace(whole, seconds=0)


def test_the_choice_of_passages_survives_growth_and_leaves_out_the_short_and_repeated():
    passages = [
        f"passage number {i} speaks of the lift of a wing at length, {i}" for i in range(60)
    ]
    chosen = choose_passages(passages, count=20, seed=1)
    assert len(set(chosen)) == 20
    assert chosen == sorted(chosen)
    assert chosen != choose_passages(passages, count=20, seed=2)
    assert set(chosen) < set(choose_passages(passages, count=30, seed=1))
    assert choose_passages([*passages, "short", *passages], count=99, seed=1) == list(range(60))
    with pytest.raises(TrainingPairsError, match="got 2 passages and none"):
        choose_passages(["12 34", "short"], count=1, seed=1)


def test_a_plain_prompt_shows_examples_and_ends_where_the_query_begins(decoder: Decoder):
    settings = replace(SETTINGS, prompt="auto", passage_tokens=64)
    prompt = make_prompt(decoder.tokenizer, [("who?", "the\nhead")], settings=settings)
    assert prompt("a\nwing") == ("Passage: the head\nQuestion: who?\n\nPassage: a wing\nQuestion:")
    with pytest.raises(ValueError, match="needs a tokenizer with a chat template"):
        make_prompt(decoder.tokenizer, [], settings=replace(settings, prompt="chat"))


def test_a_chat_template_is_used_where_there_is_one(
    decoder: Decoder, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(decoder.tokenizer, "chat_template", TEMPLATE)
    settings = replace(SETTINGS, instruction="Ask!", passage_tokens=64)
    prompt = make_prompt(decoder.tokenizer, [("who?", "the head")], settings=settings)
    assert prompt("a wing") == (
        "<bos>[user] Passage: the head\n\nAsk!\n[assistant] who?\n"
        "[user] Passage: a wing\n\nAsk!\n[assistant] "
    )
    plain = replace(settings, prompt="plain")
    assert make_prompt(decoder.tokenizer, [], settings=plain)("a") == "Passage: a\nQuestion:"


def test_a_passage_is_cut_and_can_not_end_its_turn(decoder: Decoder):
    cut, harmless = readable(
        decoder.tokenizer, ["wing lift and drag " * 30, "<eos>a \ud800 wing<bos>"], max_tokens=8
    )
    assert len(decoder.tokenizer(cut)["input_ids"]) == 8
    assert harmless == "a ? wing"
