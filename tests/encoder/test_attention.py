"""Every token sees the whole text, or the model is refused."""

import logging
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from transformers import AutoModel, PreTrainedModel

from encoder.attention import (
    attention_backend,
    future_reach,
    make_bidirectional,
    one_directional_layers,
)
from encoder.errors import NotBidirectionalError
from encoder.loading import load_decoder

pytestmark = pytest.mark.torch

TEXT = torch.tensor([[5, 6, 7, 8, 9, 10], [11, 12, 13, 14, 15, 16]])
MASKS = {
    "none": None,
    "all ones": torch.ones_like(TEXT),
    "padded": torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0]]),
}
Write = Callable[..., Path]


@pytest.fixture(scope="module")
def write(tiny_models: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Write:
    folders: dict[str, Path] = {}

    def write_once(architecture: str, **changes: Any) -> Path:
        key = f"{architecture} {changes}"
        if key not in folders:
            folders[key] = tiny_models.write_tiny_decoder(
                tmp_path_factory.mktemp(architecture), architecture, **changes
            )
        return folders[key]

    return write_once


def architectures(metafunc: pytest.Metafunc) -> list[str]:
    source = Path(metafunc.config.rootpath) / "tests/tiny_models.py"
    names = source.read_text().split("ARCHITECTURES = [")[1].split("]")[0]
    return [line.split('"')[1] for line in names.splitlines() if '"' in line]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "architecture" in metafunc.fixturenames:
        metafunc.parametrize("architecture", architectures(metafunc))


@torch.no_grad()
def first_state_moves(model: PreTrainedModel, mask: torch.Tensor | None) -> bool:
    """Does another last token change the first state of the first row, by more than rounding?"""
    other = TEXT.clone()
    other[0, -1] = 99
    states = [model(input_ids=ids, attention_mask=mask).last_hidden_state for ids in (TEXT, other)]
    return bool((states[0][0, 0] - states[1][0, 0]).abs().max() > 1e-5)


@pytest.mark.parametrize("backend", [None, "eager"])
def test_the_last_token_reaches_the_first_state_under_every_mask(
    write: Write, architecture: str, backend: str | None
):
    model = load_decoder(
        write(architecture), dtype=torch.float32, device="cpu", attention=backend
    ).model
    moved = {name: first_state_moves(model, mask) for name, mask in MASKS.items()}
    assert moved == {"none": True, "all ones": True, "padded": True}


def test_a_causal_model_does_not_see_the_future(write: Write, architecture: str):
    model = load_decoder(write(architecture), causal=True, dtype=torch.float32, device="cpu").model
    assert not any(first_state_moves(model, mask) for mask in MASKS.values())
    assert not any(future_reach(model).values())


def test_padding_on_either_side_leaves_the_states_as_they_are(write: Write, architecture: str):
    model = load_decoder(write(architecture), dtype=torch.float32, device="cpu").model
    text = TEXT[1:, :4]
    zeros = torch.zeros((1, 2), dtype=torch.int64)
    ones = torch.ones_like(text)
    with torch.no_grad():
        alone = model(input_ids=text).last_hidden_state
        right = model(
            input_ids=torch.cat([text, zeros], 1), attention_mask=torch.cat([ones, zeros], 1)
        ).last_hidden_state[:, :4]
        assert torch.allclose(alone, right, atol=1e-5)
        # Positions of a left-padded row are given, as learned positions can't be shifted.
        takes_positions = architecture not in {"bloom"}
        positions = torch.tensor([[0, 0, 0, 1, 2, 3]])
        left = model(
            input_ids=torch.cat([zeros, text], 1),
            attention_mask=torch.cat([zeros, ones], 1),
            **({"position_ids": positions} if takes_positions else {}),
        ).last_hidden_state[:, 2:]
        assert torch.allclose(alone, left, atol=1e-5)


@pytest.mark.parametrize("backend", ["sdpa", "eager"])
def test_the_modules_flag_alone_is_caught_by_the_probe(write: Write, backend: str):
    model = AutoModel.from_pretrained(write("llama"), attn_implementation=backend).eval()
    for module in model.modules():
        if hasattr(module, "is_causal"):
            module.is_causal = False
    reach = future_reach(model)
    # SDPA is the trap: it looks bidirectional until a row is padded.
    assert reach["none"] is (backend == "sdpa")
    assert reach["padded"] is False


def test_the_probe_works_in_bf16(write: Write):
    folder = write("llama")
    both = load_decoder(folder, dtype=torch.bfloat16, device="cpu").model
    one = load_decoder(folder, causal=True, dtype=torch.bfloat16, device="cpu").model
    assert all(future_reach(both).values())
    assert not any(future_reach(one).values())


def test_the_probe_leaves_training_mode_as_it_was(write: Write):
    model = load_decoder(write("llama"), dtype=torch.float32, device="cpu").model
    model.train()
    future_reach(model)
    assert model.training


def test_the_switch_can_be_made_twice_and_is_saved(write: Write, tmp_path: Path):
    model = load_decoder(write("llama"), dtype=torch.float32, device="cpu").model
    make_bidirectional(model)
    model.save_pretrained(tmp_path)
    again = AutoModel.from_pretrained(tmp_path).eval()
    assert first_state_moves(again, None)
    assert attention_backend(again) == "sdpa"


@pytest.mark.parametrize("backend", [None, "eager"])
@pytest.mark.parametrize("architecture_refused", ["gpt_neo", "llama4_text"])
def test_attention_that_cant_switch_is_refused(
    write: Write, architecture_refused: str, backend: str | None
):
    folder = write(architecture_refused)
    with pytest.raises(NotBidirectionalError, match=r"does not with mask: .*padded\nhint: try"):
        load_decoder(folder, dtype=torch.float32, device="cpu", attention=backend)


def test_a_model_that_needs_a_mask_is_refused(write: Write):
    with pytest.raises(NotBidirectionalError, match="with and without an attention mask; MptModel"):
        load_decoder(write("mpt"), dtype=torch.float32, device="cpu")


@pytest.mark.parametrize(
    ("hybrid", "layers"), [("lfm2", "conv"), ("qwen3_next", "linear_attention")]
)
def test_a_hybrid_loads_with_a_warning(
    write: Write, caplog: pytest.LogCaptureFixture, hybrid: str, layers: str
):
    with caplog.at_level(logging.WARNING, logger="encoder.attention"):
        model = load_decoder(write(hybrid), dtype=torch.float32, device="cpu").model
    assert f"layers of type {layers} stay one-directional" in caplog.text
    assert one_directional_layers(model.config) == [layers]


def test_a_pure_decoder_loads_without_a_warning(write: Write, caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.WARNING):
        load_decoder(write("llama"), dtype=torch.float32, device="cpu")
    assert caplog.records == []
