"""Every token sees the whole text, or the model is refused."""

import logging
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import AutoModel

from encoder.attention import (
    attention_backend,
    future_reach,
    make_bidirectional,
)
from encoder.loading import load_decoder

pytestmark = pytest.mark.torch

Write = Callable[..., Path]


@pytest.mark.parametrize("backend", ["sdpa", "eager"])
def test_the_modules_flag_alone_is_caught_by_the_probe(write_decoder: Write, backend: str):
    model = AutoModel.from_pretrained(write_decoder("llama"), attn_implementation=backend).eval()
    for module in model.modules():
        if hasattr(module, "is_causal"):
            module.is_causal = False
    reach = future_reach(model)
    # SDPA is the trap: it looks bidirectional until a row is padded.
    assert reach["none"] is (backend == "sdpa")
    assert reach["padded"] is False


def test_the_probe_works_in_bf16(write_decoder: Write):
    folder = write_decoder("llama")
    both = load_decoder(folder, dtype=torch.bfloat16, device="cpu").model
    one = load_decoder(folder, causal=True, dtype=torch.bfloat16, device="cpu").model
    assert all(future_reach(both).values())
    assert not any(future_reach(one).values())


def test_the_probe_leaves_training_mode_as_it_was(write_decoder: Write):
    model = load_decoder(write_decoder("llama"), dtype=torch.float32, device="cpu").model
    model.train()
    future_reach(model)
    assert model.training


def test_the_switch_can_be_made_twice_and_is_saved(write_decoder: Write, tmp_path: Path):
    model = load_decoder(write_decoder("llama"), dtype=torch.float32, device="cpu").model
    make_bidirectional(model)
    model.save_pretrained(tmp_path)
    again = AutoModel.from_pretrained(tmp_path).eval()
    assert all(future_reach(again).values())
    assert attention_backend(again) == "sdpa"


def test_a_pure_decoder_loads_without_a_warning(
    write_decoder: Write, caplog: pytest.LogCaptureFixture
):
    with caplog.at_level(logging.WARNING):
        load_decoder(write_decoder("llama"), dtype=torch.float32, device="cpu")
    assert caplog.records == []
