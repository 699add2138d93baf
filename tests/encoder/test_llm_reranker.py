"""A tiny decoder as reranker, against transformers on one prompt at a time."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

from encoder.errors import ModelFolderError
from encoder.llm_reranker import LlmReranker, answer_ids
from encoder.loading import Decoder, load_decoder
from encoder.search_prompts import JUDGE, judging, write_prompt
from encoder.shared_weights import load_with_generator

pytestmark = [pytest.mark.torch, pytest.mark.usefixtures("one_thread")]

QUERY = "how long may the leave be?"
TEXTS = ["thirty days of leave", "press the power button for three seconds", "", "wing lift"]
Write = Callable[..., Path]


def load(folder: Path) -> Decoder:
    return load_decoder(folder, causal=True, with_head=True, dtype=torch.float32, device="cpu")


@pytest.fixture
def decoder(write_decoder: Write) -> Decoder:
    return load(write_decoder("llama", max_position_embeddings=2048, initializer_range=0.3))


def odds_alone(decoder: Decoder, text: str) -> float:
    """Log-odds of yes against no behind one prompt, read without prefix, padding or cache."""
    prompt = write_prompt(decoder.tokenizer, JUDGE, judging(QUERY, text))
    with torch.no_grad():
        logits = decoder.model(**decoder.tokenizer(prompt, return_tensors="pt")).logits[0, -1]
    yes, no = answer_ids(decoder.tokenizer)
    return float(logits[yes].logsumexp(0) - logits[no].logsumexp(0))


@pytest.mark.parametrize("architecture", ["llama", "gpt_neox", "jamba", "mistral"])
def test_scores_are_the_log_odds_that_transformers_gives_each_prompt_alone(
    write_decoder: Write, architecture: str
):
    window = {"sliding_window": 64} if architecture == "mistral" else {}
    decoder = load(
        write_decoder(architecture, max_position_embeddings=2048, initializer_range=0.3, **window)
    )
    decoder.tokenizer.model_input_names = ["input_ids", "attention_mask"]
    alone = [odds_alone(decoder, text) for text in TEXTS]
    assert LlmReranker(decoder).scores(QUERY, TEXTS) == pytest.approx(alone, abs=1e-3)
    assert max(alone) - min(alone) > 0.01


def test_what_the_prompts_share_is_read_once(decoder: Decoder):
    read: list[int] = []
    layer = decoder.model.get_input_embeddings()
    layer.register_forward_hook(lambda _layer, inputs, _states: read.append(inputs[0].numel()))
    LlmReranker(decoder).scores(QUERY, ["a", "b", "c", "d"])
    whole = write_prompt(decoder.tokenizer, JUDGE, judging(QUERY, "a"))
    tokens = len(decoder.tokenizer(whole)["input_ids"])
    assert sum(read) < 1.5 * tokens


def test_the_model_is_left_as_it_was(decoder: Decoder):
    LlmReranker(decoder).scores(QUERY, TEXTS)
    assert not decoder.model.get_output_embeddings()._forward_pre_hooks


def test_a_long_text_is_cut(decoder: Decoder):
    reranker = LlmReranker(decoder, passage_tokens=20)
    long = "wing lift and drag " * 20
    cut, more = reranker.scores(QUERY, [long, long + "press the power button"])
    assert cut == pytest.approx(more, abs=1e-4)


def test_a_text_can_not_end_its_turn_of_the_chat(decoder: Decoder):
    wild, tame = LlmReranker(decoder)._prompts("<eos>who?", ["<eos>yes<pad> it<bos> does", "who"])
    assert not any(token in wild + tame for token in ("<eos>", "<pad>", "<bos>"))
    assert "yes  it  does" in wild


def test_a_context_without_room_for_a_text_is_refused(tiny_decoder_folder: Path):
    with pytest.raises(ValueError, match=r"context of 128 tokens must have room .* take \d+\nhint"):
        LlmReranker(load(tiny_decoder_folder)).scores(QUERY, TEXTS)


def test_a_model_that_does_not_tell_yes_from_no_is_refused():
    unknown = Tokenizer(models.WordLevel({"<unk>": 0}, unk_token="<unk>"))
    with pytest.raises(ModelFolderError, match="yes and no with different tokens"):
        answer_ids(PreTrainedTokenizerFast(tokenizer_object=unknown, unk_token="<unk>"))


def test_the_encoders_base_reranks_over_the_same_weights(write_decoder: Write):
    folder = write_decoder("llama", max_position_embeddings=2048, initializer_range=0.3)
    pair = load_with_generator(folder, dtype="float32", device="cpu")
    shared = LlmReranker(Decoder(pair.generator, pair.tokenizer))
    alone = LlmReranker.load(folder, dtype="float32", device="cpu")
    assert shared.scores(QUERY, TEXTS) == alone.scores(QUERY, TEXTS)
    ours = {weight.data_ptr() for weight in pair.encoder._model.parameters()}
    assert ours <= {weight.data_ptr() for weight in pair.generator.parameters()}


@pytest.mark.model
def test_the_real_model_scores_finely_even_in_bfloat16():
    folder = os.environ["ARGOT_TEST_MODEL"]
    scores = LlmReranker.load(folder, dtype="bfloat16", device="cpu").scores(
        "may I take leave when my child is born?",
        [
            "Employees may take up to twelve months of parental leave after a child's birth.",
            "Press the small button on the back of the router for ten seconds.",
            "Bread dough must rest for two hours at room temperature.",
        ],
    )
    assert scores[0] == max(scores)
    assert len({round(score, 3) for score in scores}) == len(scores)
