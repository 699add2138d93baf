"""The encoder: same text, same vector; odd texts; what was cut is reported."""

import logging
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from encoder.base import DenseEncoder, TextTokenizer
from encoder.errors import EncoderError
from encoder.llm2vec import LLM2VecEncoder
from encoder.loading import load_decoder
from encoder.pooling import pool

pytestmark = pytest.mark.torch

TEXTS = [
    "a retriever finds the passage that answers the question",
    "wing",
    "press the power button for three seconds to reset the device",
    "lift and drag",
    "x",
]
Load = Callable[..., LLM2VecEncoder]
INSTRUCTION = "find the passage\n"
# Largest difference of a component; measured here: fp32 6e-8, bf16 1.4e-3.
TOLERANCES = {"float32": 1e-5, "bfloat16": 5e-3}


@pytest.mark.parametrize("pooling", ["mean", "weighted_mean", "last_token"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_text_has_one_vector_however_it_is_batched(load: Load, dtype: str, pooling: str):
    together = load(dtype=dtype, pooling=pooling, query_instruction=INSTRUCTION)
    alone = load(dtype=dtype, pooling=pooling, query_instruction=INSTRUCTION, token_budget=1)
    difference = np.abs(together.encode_queries(TEXTS) - alone.encode_queries(TEXTS)).max()
    assert difference <= TOLERANCES[dtype]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_on_either_side_leaves_the_vector(
    load: Load, tiny_decoder_folder: Path, dtype: str, side: str
):
    decoder = load_decoder(tiny_decoder_folder, dtype=getattr(torch, dtype), device="cpu")
    ids = torch.tensor([decoder.tokenizer(TEXTS[0])["input_ids"]])
    pad = torch.full((1, 7), decoder.tokenizer.pad_token_id)
    row = torch.cat([pad, ids] if side == "left" else [ids, pad], dim=1)
    mask = row != decoder.tokenizer.pad_token_id
    with torch.inference_mode():
        hidden = decoder.model(input_ids=row, attention_mask=mask.long()).last_hidden_state
        vector = torch.nn.functional.normalize(pool(hidden, mask, "mean")).numpy()
    expected = load(dtype=dtype).encode_documents(TEXTS[:1])
    assert np.abs(vector - expected).max() <= TOLERANCES[dtype]


@pytest.mark.parametrize("pooling", ["mean", "weighted_mean", "last_token"])
@pytest.mark.parametrize("instruction", ["", INSTRUCTION])
def test_the_vector_is_the_pool_of_the_texts_states(
    load: Load, tiny_decoder_folder: Path, pooling: str, instruction: str
):
    decoder = load_decoder(tiny_decoder_folder, dtype=torch.float32, device="cpu")
    read = decoder.tokenizer(instruction)["input_ids"] if instruction else []
    text = decoder.tokenizer(TEXTS[0])["input_ids"]
    with torch.inference_mode():
        hidden = decoder.model(input_ids=torch.tensor([read + text])).last_hidden_state[0]
    states = hidden[len(read) :].numpy()
    positions = np.arange(len(read), len(read) + len(text)) + 1.0
    expected = {
        "mean": states.mean(axis=0),
        "weighted_mean": positions @ states / positions.sum(),
        "last_token": states[-1],
    }[pooling]
    encoder = load(pooling=pooling, query_instruction=instruction)
    (vector,) = encoder.encode_queries(TEXTS[:1])
    assert np.abs(vector - expected / np.linalg.norm(expected)).max() <= 1e-5


def test_the_instruction_is_read_though_not_pooled(load: Load):
    encoder = load(query_instruction=INSTRUCTION)
    assert np.abs(encoder.encode_queries(TEXTS) - encoder.encode_documents(TEXTS)).max() > 1e-2


def test_bidirectional_and_causal_vectors_differ(load: Load):
    assert np.abs(load().encode_documents(TEXTS) - load(causal=True).encode_documents(TEXTS)).max()
    assert load().fingerprint != load(causal=True).fingerprint


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("instruction", ["", INSTRUCTION])
@pytest.mark.parametrize("tokenizer", ["tiny", "bos", "eos"])
def test_odd_texts_have_finite_vectors_of_unit_norm(
    load: Load,
    request: pytest.FixtureRequest,
    odd_texts: list[str],
    dtype: str,
    instruction: str,
    tokenizer: str,
):
    folder = request.getfixturevalue(f"{tokenizer}_decoder_folder")
    encoder = load(folder, dtype=dtype, document_instruction=instruction)
    vectors = encoder.encode_documents(odd_texts)
    assert np.isfinite(vectors).all()
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    # The two texts beyond the context are cut, and not to nothing.
    assert encoder.cut.texts == 2
    assert np.abs(vectors[-1] - vectors[-2]).max() > 1e-2


def test_a_cut_is_reported_once_in_numbers_and_in_the_log(
    load: Load, caplog: pytest.LogCaptureFixture
):
    encoder = load(max_tokens=8)
    whole = [len(encoder.token_spans(text)) for text in TEXTS]
    with caplog.at_level(logging.WARNING, logger="encoder.llm2vec"):
        encoder.encode_documents(TEXTS)
    long = [length for length in whole if length > 8]
    assert encoder.cut.texts == len(long)
    assert encoder.cut.tokens == sum(long) - 8 * len(long)
    assert len(caplog.records) == 1
    assert f"{len(long)} of {len(TEXTS)} texts are longer than 8 tokens" in caplog.text


def test_texts_that_fit_are_not_reported(load: Load, caplog: pytest.LogCaptureFixture):
    encoder = load()
    with caplog.at_level(logging.WARNING):
        encoder.encode_documents(TEXTS)
    assert (encoder.cut.texts, encoder.cut.tokens) == (0, 0)
    assert caplog.records == []


def test_what_is_cut_does_not_count(load: Load):
    encoder = load(max_tokens=6)
    vectors = encoder.encode_documents(["wing lift and drag and on", "wing lift and drag and off"])
    assert np.allclose(vectors[0], vectors[1], atol=1e-6)


def test_a_text_longer_than_the_models_context_is_cut_to_it(load: Load):
    encoder = load(max_tokens=100_000)
    encoder.encode_documents(["word " * 1000])
    spans = len(encoder.token_spans("word " * 1000))
    assert encoder.cut.tokens == spans - 128  # max_position_embeddings


def test_an_instruction_longer_than_the_limit_is_refused_when_loading(load: Load):
    with pytest.raises(ValueError, match="`max_tokens` must leave room for the text; it is 4"):
        load(max_tokens=4, query_instruction=INSTRUCTION)


def test_fingerprints_follow_what_decides_a_vector(
    load: Load, tiny_models: ModuleType, tmp_path: Path
):
    changes: list[dict[str, object]] = [
        {},
        {"pooling": "last_token"},
        {"query_instruction": "a"},
        {"document_instruction": "a"},
        {"max_tokens": 64},
        {"causal": True},
    ]
    fingerprints = {load(**change).fingerprint for change in changes}
    assert len(fingerprints) == len(changes)
    other = tiny_models.write_tiny_decoder(tmp_path / "qwen", "qwen2")
    assert load(other).fingerprint not in fingerprints


def test_dtype_backend_and_batches_leave_the_fingerprint(load: Load):
    same: list[dict[str, object]] = [
        {},
        {"dtype": "bfloat16"},
        {"attention": "eager"},
        {"token_budget": 64},
    ]
    assert len({load(**options).fingerprint for options in same}) == 1


def test_sdpa_and_eager_agree(load: Load):
    sdpa, eager = (load(attention=name).encode_documents(TEXTS) for name in ("sdpa", "eager"))
    assert np.abs(sdpa - eager).max() <= 1e-5


def test_states_of_tokens_pool_to_the_vector(load: Load):
    encoder = load(document_instruction=INSTRUCTION)
    states = encoder.encode_tokens([*TEXTS, ""])
    assert [len(rows) for rows in states] == [
        *(len(encoder.token_spans(text)) for text in TEXTS),
        1,
    ]
    assert all(rows.shape[1] == encoder.dimensions for rows in states)
    assert all(rows.dtype == np.float32 for rows in states)
    means = np.stack([rows.mean(axis=0) for rows in states])
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    assert np.abs(means - encoder.encode_documents([*TEXTS, ""])).max() <= 1e-5
    assert encoder.encode_tokens([]) == []


def test_token_spans_lie_in_order_and_cover_the_text(load: Load, odd_texts: list[str]):
    encoder = load()
    for text in [*TEXTS, *odd_texts]:
        spans = encoder.token_spans(text)
        assert all(0 <= start <= end <= len(text) for start, end in spans)
        assert spans == sorted(spans)
        covered = {position for start, end in spans for position in range(start, end)}
        assert {i for i, char in enumerate(text) if not char.isspace()} <= covered


def test_token_spans_leave_special_tokens_out(load: Load, eos_decoder_folder: Path):
    assert load(eos_decoder_folder).token_spans("wing") == load().token_spans("wing")
    assert load(eos_decoder_folder).token_spans("") == []


def test_it_fits_the_ports(load: Load):
    dense: DenseEncoder = load()
    tokenizer: TextTokenizer = load()
    assert dense.dimensions == 32
    assert tokenizer.token_spans("x") == [(0, 1)]


def test_compute_names_device_dtype_and_backend(load: Load):
    assert load(dtype="bfloat16").compute == "cpu bfloat16 sdpa"


def test_a_vector_that_is_not_finite_is_an_error(load: Load, tiny_decoder_folder: Path):
    decoder = load_decoder(tiny_decoder_folder, dtype=torch.float32, device="cpu")
    embeddings: Any = decoder.model.get_input_embeddings()
    with torch.no_grad():
        embeddings.weight[decoder.tokenizer("x")["input_ids"]] = np.inf
    encoder = LLM2VecEncoder(decoder, load().spec)
    with pytest.raises(EncoderError, match=r"must be finite; .* in cpu float32 sdpa\nhint"):
        encoder.encode_documents(["wing", "x"])


def test_padding_that_is_not_finite_does_no_harm():
    hidden = torch.tensor([[[1.0, 2.0], [3.0, 4.0], [float("nan"), float("inf")]]])
    mask = torch.tensor([[True, True, False]])
    assert pool(hidden, mask, "mean").tolist() == [[2.0, 3.0]]
    assert pool(hidden, mask, "last_token").tolist() == [[3.0, 4.0]]
    with pytest.raises(ValueError, match=r"`pooling` must be one of mean, .*; got 'max'"):
        pool(hidden, mask, "max")
