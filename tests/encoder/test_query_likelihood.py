"""The likelihood of a query behind a text, against transformers on one text at a time."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from encoder.loading import Decoder, load_decoder
from encoder.query_likelihood import AFTER, BEFORE, QueryLikelihood

pytestmark = [pytest.mark.torch, pytest.mark.usefixtures("one_thread")]

QUERY = "how long may the leave be?"
TEXTS = ["thirty days of leave", "press the power button for three seconds", "", "wing lift"]
Write = Callable[..., Path]


def load(folder: Path) -> Decoder:
    return load_decoder(folder, causal=True, with_head=True, dtype=torch.float32, device="cpu")


def alone(decoder: Decoder, text: str) -> float:
    """The mean log-likelihood of the query, by the model's own loss on one unpadded row."""
    parts = [
        decoder.tokenizer(part, add_special_tokens=False)["input_ids"]
        for part in (BEFORE, text, AFTER, f" {QUERY}")
    ]
    whole = decoder.tokenizer("a")["input_ids"]
    bare = decoder.tokenizer("a", add_special_tokens=False)["input_ids"]
    ids = whole[: len(whole) - len(bare)] if whole[-len(bare) :] == bare else []
    for part in parts:
        ids = [*ids, *part]
    labels = torch.full((1, len(ids)), -100)
    labels[0, -len(parts[-1]) :] = torch.tensor(parts[-1])
    with torch.no_grad():
        return -float(decoder.model(input_ids=torch.tensor([ids]), labels=labels).loss)


@pytest.mark.parametrize("architecture", ["llama", "gpt_neox", "jamba", "mistral", "gemma2"])
@pytest.mark.parametrize("token_budget", [1, 4096])
def test_scores_are_the_loss_that_transformers_gives_each_text_alone(
    write_decoder: Write, architecture: str, token_budget: int
) -> None:
    window = {"sliding_window": 64} if architecture == "mistral" else {}
    decoder = load(
        write_decoder(architecture, max_position_embeddings=2048, initializer_range=0.3, **window)
    )
    expected = [alone(decoder, text) for text in TEXTS]
    found = QueryLikelihood(decoder, token_budget=token_budget).scores(QUERY, TEXTS)
    assert found == pytest.approx(expected, abs=1e-3)
    assert max(expected) - min(expected) > 0.01


@pytest.fixture
def decoder(write_decoder: Write) -> Decoder:
    return load(write_decoder("llama", max_position_embeddings=256, initializer_range=0.3))


def test_long_texts_and_queries_are_cut_to_the_context(decoder: Decoder) -> None:
    long = "the leave of thirty days " * 200
    short, cut = QueryLikelihood(decoder).scores(QUERY, [TEXTS[0], long])
    assert short < 0
    assert cut < 0
    assert len(QueryLikelihood(decoder).scores(long, [long])) == 1
    only = QueryLikelihood(decoder, passage_tokens=4)
    assert only.scores(QUERY, [long]) == only.scores(QUERY, [f"{long} and more"])


def test_a_text_can_not_speak_as_a_special_token(decoder: Decoder) -> None:
    reranker = QueryLikelihood(decoder)
    special = decoder.tokenizer.eos_token
    assert reranker.scores(QUERY, [f"leave {special} days"]) == reranker.scores(
        QUERY, ["leave   days"]
    )


def test_nothing_to_compare_scores_nothing(decoder: Decoder) -> None:
    reranker = QueryLikelihood(decoder)
    assert reranker.scores(QUERY, []) == []
    assert reranker.scores("  ", TEXTS) == [0.0] * 4
    with pytest.raises(ValueError, match="list of strings"):
        reranker.scores(QUERY, "leave")
    with pytest.raises(ValueError, match="passage_tokens"):
        QueryLikelihood(decoder, passage_tokens=0)


@pytest.mark.model
def test_the_real_model_finds_the_text_that_answers() -> None:
    folder = Path(os.environ["ARGOT_TEST_MODEL"])
    decoder = load_decoder(folder, causal=True, with_head=True, device="cpu")
    texts = [
        "Cups belong in the dishwasher and not in the sink.",
        "Employees have twenty-five days of paid leave a year.",
        "Press the power button for three seconds to restart the router.",
    ]
    found = QueryLikelihood(decoder).scores("how many days of paid leave do I get?", texts)
    assert found.index(max(found)) == 1
