"""The fast path computes what peft and the library compute."""

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import PreTrainedModel

from adapters_training.fast.attention import NAME, GroupedAttention
from adapters_training.fast.dropout import random_bytes, without_dropped
from adapters_training.fast.lora import GroupedLora
from adapters_training.fast.norm import FrozenNorm
from adapters_training.settings.run import LoraSettings
from adapters_training.stages.building import checkpoint_activations
from adapters_training.stages.lora import attach_lora, block_layers, target_names, trainable
from encoder.attention import attention_backend
from encoder.loading import load_decoder

pytestmark = [
    pytest.mark.torch,
    pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning"),  # peft 0.21's
]

GPT2 = {"n_embd": 32, "n_head": 4, "n_layer": 2, "n_positions": 128}
UNDROPPED = dict.fromkeys(("attn_pdrop", "embd_pdrop", "resid_pdrop"), 0.0)
ARCHITECTURES = [
    "llama",
    "qwen2",
    "qwen3",
    "gemma",
    "gemma2",
    "phi",
    "phi3",
    "gpt2",
    "gpt_neox",
    "falcon",
    "bloom",
    "olmo2",
    "mixtral",
]
SEES_FASTER_NORMS = {"llama", "qwen2", "qwen3", "phi3", "olmo2", "mixtral"}


def load(folder: Path, dtype: torch.dtype = torch.float32, **options: Any) -> PreTrainedModel:
    return load_decoder(folder, dtype=dtype, device="cpu", attention="eager", **options).model


def write(tiny_models: ModuleType, folder: Path, architecture: str) -> Path:
    changes = {**GPT2, **UNDROPPED} if architecture == "gpt2" else {}
    made: Path = tiny_models.write_tiny_decoder(
        folder / architecture, architecture, initializer_range=0.2, **changes
    )
    return made


def plain_peft(model: PreTrainedModel, settings: LoraSettings) -> PeftModel:
    """The adapter as peft computes it, with the library's attention and norms."""
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        target_modules=target_names(model, block_layers(model), wanted=()),
        fan_in_fan_out=model.config.model_type == "gpt2",
    )
    return get_peft_model(model, config)


def set_weights(model: PeftModel) -> None:
    generator = torch.Generator().manual_seed(3)
    for parameter in trainable(model).values():
        parameter.data.normal_(std=0.1, generator=generator)


def loss_and_gradients(model: PeftModel) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    generator = torch.Generator().manual_seed(4)
    ids = torch.randint(3, 300, (3, 11), generator=generator)
    mask = torch.ones_like(ids)
    mask[1, 7:] = 0
    hidden = model(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
    weights = torch.randn(hidden.shape, generator=generator) * mask[..., None]
    loss = (hidden * weights).sum() / 100
    loss.backward()
    return loss.detach(), {name: p.grad for name, p in trainable(model).items()}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_loss_and_gradients_are_those_of_peft_and_the_library(
    tiny_models: ModuleType, tmp_path: Path, architecture: str
):
    folder = write(tiny_models, tmp_path, architecture)
    settings = LoraSettings(rank=4, dropout=0.0)
    plain = plain_peft(load(folder), settings)
    fast = attach_lora(load(folder), settings)
    for model in (plain, fast):
        set_weights(model)
        model.train()
    expected, expected_gradients = loss_and_gradients(plain)
    found, gradients = loss_and_gradients(fast)
    assert float(expected) != 0
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    assert gradients.keys() == expected_gradients.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, expected_gradients[name], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_what_is_replaced_depends_on_what_it_computes(
    tiny_models: ModuleType, tmp_path: Path, architecture: str
):
    model = attach_lora(load(write(tiny_models, tmp_path, architecture)), LoraSettings(rank=4))
    kinds = {type(module) for module in model.modules()}
    # Falcon's linear layers are a class of its own.
    assert (GroupedLora in kinds) == (architecture != "falcon")
    assert (FrozenNorm in kinds) == (architecture in SEES_FASTER_NORMS)
    switched = attention_backend(model.get_base_model()) == NAME
    assert switched == (architecture not in {"falcon", "bloom"})


def test_layers_that_read_one_input_are_found_by_behaviour(tiny_decoder_folder: Path):
    model = attach_lora(load(tiny_decoder_folder), LoraSettings(rank=4))
    attention = model.get_decoder().layers[0].self_attn
    mlp = model.get_decoder().layers[0].mlp
    assert attention.q_proj.group is attention.k_proj.group is attention.v_proj.group
    assert mlp.gate_proj.group is mlp.up_proj.group
    alone = {id(layer.group) for layer in (attention.o_proj, mlp.down_proj, mlp.up_proj)}
    assert len(alone) == 3


def test_adapters_of_one_input_share_a_mask_and_the_mean_is_kept(tiny_decoder_folder: Path):
    model = attach_lora(load(tiny_decoder_folder), LoraSettings(rank=4, dropout=0.3)).train()
    set_weights(model)
    layers = model.get_decoder().layers[0].self_attn
    x = torch.randn(2, 3, 32, generator=torch.Generator().manual_seed(0))

    def outputs() -> torch.Tensor:
        return torch.cat([layers.q_proj(x), layers.k_proj(x), layers.v_proj(x)], dim=-1)

    torch.manual_seed(0)
    mean = torch.stack([outputs() for _ in range(500)]).mean(dim=0)
    model.eval()
    torch.testing.assert_close(mean, outputs(), atol=0.1, rtol=0.05)
    model.train()
    layers.k_proj.lora_A["default"].weight.data = layers.q_proj.lora_A["default"].weight.data
    layers.k_proj.lora_B["default"].weight.data = layers.q_proj.lora_B["default"].weight.data[:16]
    query, key = layers.q_proj(x), layers.k_proj(x)
    base = layers.q_proj.get_base_layer()(x)[..., :16], layers.k_proj.get_base_layer()(x)
    torch.testing.assert_close(query[..., :16] - base[0], key - base[1], atol=1e-5, rtol=1e-4)


def test_gradients_through_dropout_are_those_of_the_masks_that_were_drawn(
    tiny_decoder_folder: Path,
):
    """A central difference, with the same masks drawn at both points."""
    model = attach_lora(
        load(tiny_decoder_folder, attention_dropout=0.3), LoraSettings(rank=4, dropout=0.3)
    ).train()
    set_weights(model)
    torch.manual_seed(5)
    _, gradients = loss_and_gradients(model)
    direction = {
        name: torch.randn(g.shape, generator=torch.Generator().manual_seed(6))
        for name, g in gradients.items()
    }
    slope = sum(float((gradients[name] * d).sum()) for name, d in direction.items())
    losses = []
    for step in (1e-3, -2e-3):
        for name, parameter in trainable(model).items():
            parameter.data.add_(direction[name], alpha=step)
        torch.manual_seed(5)
        losses.append(float(loss_and_gradients(model)[0]))
    assert (losses[0] - losses[1]) / 2e-3 == pytest.approx(slope, rel=0.02)


def test_a_step_recomputed_in_the_backward_pass_gives_the_same_gradients(
    tiny_decoder_folder: Path,
):
    found = []
    for checkpointed in (False, True):
        base = load(tiny_decoder_folder, attention_dropout=0.3)
        if checkpointed:
            checkpoint_activations(base)
        model = attach_lora(base, LoraSettings(rank=4, dropout=0.3)).train()
        set_weights(model)
        torch.manual_seed(5)
        found.append(loss_and_gradients(model)[1])
    for name, gradient in found[0].items():
        assert torch.equal(gradient, found[1][name])


def test_bf16_under_autocast_stays_near_float32(tiny_decoder_folder: Path):
    settings = LoraSettings(rank=4, dropout=0.0)
    exact = attach_lora(load(tiny_decoder_folder), settings).train()
    rounded = attach_lora(load(tiny_decoder_folder, torch.bfloat16), settings).train()
    for model in (exact, rounded):
        set_weights(model)
    _, expected = loss_and_gradients(exact)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        _, found = loss_and_gradients(rounded)
    for name, gradient in found.items():
        assert gradient.dtype == torch.float32
        assert float(torch.dist(gradient, expected[name])) < 0.1 * float(expected[name].norm())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_dropped_values_are_zero_and_others_untouched(dtype: torch.dtype):
    torch.manual_seed(0)
    values = torch.randn(7, 13).to(dtype)
    drawn = random_bytes(values.shape)
    kept = without_dropped(values, drawn, 100)
    assert torch.equal(kept, values.masked_fill(drawn < 100, 0.0))
    assert without_dropped(values, None, 0) is values


def test_attention_passes_gradcheck_with_shared_keys_mask_and_dropout():
    generator = torch.Generator().manual_seed(0)
    shapes = ((2, 4, 3, 5), (2, 2, 6, 5), (2, 2, 6, 5))
    q, k, v = (torch.randn(s, generator=generator).double().requires_grad_() for s in shapes)
    mask = torch.zeros(2, 1, 3, 6, dtype=torch.float64)
    mask[1, :, :, 4:] = torch.finfo(torch.float64).min

    def attend(*parts: torch.Tensor) -> torch.Tensor:
        torch.manual_seed(1)
        output: torch.Tensor = GroupedAttention.apply(*parts, mask, 0.3, 64)
        return output

    assert torch.autograd.gradcheck(attend, (q, k, v))
