"""Every family of decoders becomes an encoder, is one in part, or is refused by name."""

import inspect
import logging
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import Tensor
from transformers import PreTrainedModel

from encoder.attention import (
    CAUSAL_ONLY,
    attention_backend,
    drops_in_training,
    future_reach,
    make_bidirectional,
    one_directional_layers,
)
from encoder.errors import ModelFolderError, NotBidirectionalError
from encoder.loading import load_decoder

pytestmark = pytest.mark.torch

TEXT = torch.tensor([[5, 6, 7, 8, 9, 10], [11, 12, 13, 14, 15, 16]])
MASKS = {
    "none": None,
    "all ones": torch.ones_like(TEXT),
    "padded": torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0]]),
}
ROUNDING = 1e-5
"""Largest difference between equal states in float32; measured: 4e-6."""

Write = Callable[..., Path]
LoadOnce = Callable[..., PreTrainedModel]


@pytest.fixture(scope="module")
def load_once(write_decoder: Write) -> LoadOnce:
    """Load a family's tiny decoder in float32; the tests of this file share it."""
    models: dict[str, PreTrainedModel] = {}

    def load(family: str, **options: object) -> PreTrainedModel:
        key = f"{family} {options}"
        if key not in models:
            decoder = load_decoder(
                write_decoder(family), dtype=torch.float32, device="cpu", **options
            )
            models[key] = decoder.model
        return models[key]

    return load


@torch.no_grad()
def states(
    model: PreTrainedModel, ids: Tensor, mask: Tensor | None = None, **more: Tensor
) -> Tensor:
    """Last states, ``[B, T, D]``."""
    return model(input_ids=ids, attention_mask=mask, use_cache=False, **more).last_hidden_state


def first_state_moves(model: PreTrainedModel, mask: Tensor | None) -> bool:
    """Does another last token change the first state of the first row, by more than rounding?"""
    other = TEXT.clone()
    other[0, -1] = 99
    moved = states(model, TEXT, mask)[0, 0] - states(model, other, mask)[0, 0]
    return bool(moved.abs().max() > ROUNDING)


@pytest.mark.parametrize("backend", [None, "eager"])
def test_the_last_token_reaches_the_first_state_under_every_mask(
    load_once: LoadOnce, family: str, backend: str | None
):
    model = load_once(family, attention=backend)
    moved = {name: first_state_moves(model, mask) for name, mask in MASKS.items()}
    assert moved == {"none": True, "all ones": True, "padded": True}
    assert one_directional_layers(model.config) == []


def test_a_causal_model_does_not_see_the_future(load_once: LoadOnce, family: str):
    model = load_once(family, causal=True)
    assert not any(first_state_moves(model, mask) for mask in MASKS.values())
    assert not any(future_reach(model).values())


def test_backends_agree(load_once: LoadOnce, family: str):
    ours, eager = load_once(family, attention=None), load_once(family, attention="eager")
    assert attention_backend(eager) == "eager"
    for mask in (MASKS["none"], MASKS["padded"]):
        present = (slice(None), slice(0, 4))
        assert torch.allclose(
            states(ours, TEXT, mask)[present], states(eager, TEXT, mask)[present], atol=ROUNDING
        )


def test_a_text_has_the_same_states_alone_padded_and_in_company(load_once: LoadOnce, family: str):
    model = load_once(family, attention=None)
    text, other = TEXT[1:, :4], TEXT[:1]
    padding = torch.zeros((1, 2), dtype=torch.int64)
    ones = torch.ones_like(text)
    alone = states(model, text)

    right, mask = torch.cat([text, padding], 1), torch.cat([ones, padding], 1)
    assert torch.allclose(states(model, right, mask)[:, :4], alone, atol=ROUNDING)

    batch = torch.cat([right, other])
    batch_mask = torch.cat([mask, torch.ones_like(other)])
    both = states(model, batch, batch_mask)
    assert torch.allclose(both[:1, :4], alone, atol=ROUNDING)
    assert torch.allclose(both[1:], states(model, other), atol=ROUNDING)

    # Learned positions can't be shifted, so those of a left-padded row are given.
    takes_positions = "position_ids" in inspect.signature(model.forward).parameters
    positions = {"position_ids": torch.tensor([[0, 0, 0, 1, 2, 3]])} if takes_positions else {}
    left, mask = torch.cat([padding, text], 1), torch.cat([padding, ones], 1)
    assert torch.allclose(states(model, left, mask, **positions)[:, 2:], alone, atol=ROUNDING)


@pytest.mark.parametrize(
    ("of_its_kind", "differ"),
    [("llama", True), ("gpt2", True), ("ernie4_5", True), ("falcon", False), ("diffllama", False)],
)
def test_attention_dropout_makes_two_views_of_a_text_or_is_said_not_to(
    write_decoder: Write, caplog: pytest.LogCaptureFixture, of_its_kind: str, differ: bool
):
    model = load_decoder(
        write_decoder(of_its_kind),
        attention_dropout=0.3,
        dtype=torch.float32,
        device="cpu",
        attention="eager",
    ).model
    assert drops_in_training(model) is differ
    assert ("attention dropout has no effect" not in caplog.text) is differ
    assert torch.equal(states(model, TEXT), states(model, TEXT))
    model.train()
    assert (not torch.equal(states(model, TEXT), states(model, TEXT))) is differ


def test_a_family_that_cant_switch_is_refused_by_name_before_its_weights_are_read(
    write_decoder: Write, tmp_path: Path, causal_only: str
):
    folder = write_decoder(causal_only)
    without_weights = tmp_path / "model"
    without_weights.mkdir()
    (without_weights / "config.json").write_bytes((folder / "config.json").read_bytes())
    (without_weights / "model.safetensors").touch()
    with pytest.raises(NotBidirectionalError, match=rf"a {causal_only} model .*\nhint: choose"):
        load_decoder(without_weights, dtype=torch.float32, device="cpu")


def test_every_name_that_is_refused_is_tested(tiny_models: ModuleType):
    assert CAUSAL_ONLY.keys() == tiny_models.CAUSAL_ONLY.keys()


@pytest.mark.parametrize("backend", ["sdpa", "eager"])
def test_the_proof_refuses_them_too(write_decoder: Write, causal_only: str, backend: str):
    """So the list only spares reading the weights, and a new family like these is refused too."""
    try:
        model = load_decoder(
            write_decoder(causal_only),
            causal=True,
            dtype=torch.float32,
            device="cpu",
            attention=backend,
        ).model
    except ModelFolderError:
        assert backend == "sdpa", "every family has eager attention"
        return
    with pytest.raises(NotBidirectionalError, match=r"every token must see|with and without a"):
        make_bidirectional(model)


def test_a_hybrid_loads_with_a_warning_that_names_its_other_layers(
    write_decoder: Write, caplog: pytest.LogCaptureFixture, hybrid: str
):
    with caplog.at_level(logging.WARNING, logger="encoder.attention"):
        model = load_decoder(write_decoder(hybrid), dtype=torch.float32, device="cpu").model
    others = one_directional_layers(model.config)
    assert others
    assert f"layers of type {', '.join(others)} stay one-directional" in caplog.text
    assert all(future_reach(model).values())


def test_a_hybrids_text_has_the_same_states_alone_and_in_company(write_decoder: Write, hybrid: str):
    model = load_decoder(write_decoder(hybrid), dtype=torch.float32, device="cpu").model
    alone = states(model, TEXT[1:, :4])
    batch = states(model, TEXT, MASKS["padded"])
    assert torch.allclose(batch[1:, :4], alone, atol=ROUNDING)
    assert torch.allclose(batch[:1], states(model, TEXT[:1]), atol=ROUNDING)


def test_a_model_that_switches_in_one_backend_is_refused_in_the_other_with_its_name(
    write_decoder: Write,
):
    folder = write_decoder("modernbert-decoder")
    assert all(future_reach(load_decoder(folder, device="cpu", attention="sdpa").model).values())
    with pytest.raises(NotBidirectionalError, match=r'hint: try .*, `attention = "sdpa"`'):
        load_decoder(folder, device="cpu", attention="eager")


def test_the_page_of_architectures_names_every_family(
    pytestconfig: pytest.Config, tiny_models: ModuleType
):
    page = (pytestconfig.rootpath / "docs/architectures.md").read_text(encoding="utf-8")
    tested = {**tiny_models.FAMILIES, **tiny_models.MORE_FAMILIES}
    assert f"{len(tested)} families" in page
    assert [name for name in tiny_models.PARTICULARS if f"`{name}`" not in page] == []
