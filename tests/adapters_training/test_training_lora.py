"""Which layers are adapted, and what an adapter on disk is."""

import json
from pathlib import Path
from types import ModuleType

import pytest
import torch
from peft import PeftModel
from transformers import PreTrainedModel

from adapters_training.errors import TrainingError
from adapters_training.settings.run import LoraSettings
from adapters_training.stages.lora import attach_lora, parameter_count, save_adapter, trainable
from encoder.loading import load_decoder
from encoder.merging import merge_adapters

pytestmark = pytest.mark.torch

LAYERS = {
    "llama": {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"},
    "phi3": {"qkv_proj", "o_proj", "gate_up_proj", "down_proj"},
    "gpt_neox": {"query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h"},
    "gpt2": {"c_attn", "c_proj", "c_fc"},
}
GPT2 = {"n_embd": 32, "n_head": 4, "n_layer": 2, "n_positions": 128}


def load(folder: Path, *, with_head: bool = False) -> PreTrainedModel:
    return load_decoder(
        folder, with_head=with_head, dtype=torch.float32, device="cpu", attention="eager"
    ).model


def randomise(model: torch.nn.Module) -> None:
    generator = torch.Generator().manual_seed(3)
    for parameter in trainable(model).values():
        parameter.data.normal_(std=0.1, generator=generator)


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")  # peft 0.21's own
@pytest.mark.parametrize("architecture", LAYERS)
@pytest.mark.parametrize("with_head", [False, True])
def test_every_linear_layer_of_the_blocks_is_adapted_and_nothing_else(
    tiny_models: ModuleType, tmp_path: Path, architecture: str, with_head: bool
):
    changes = GPT2 if architecture == "gpt2" else {}
    folder = tiny_models.write_tiny_decoder(tmp_path / "base", architecture, **changes)
    base = load(folder, with_head=with_head)
    model = attach_lora(base, LoraSettings())
    adapted = {name.split(".lora_")[0].rpartition(".")[2] for name in trainable(model)}
    assert adapted == LAYERS[architecture]
    assert all(p.dtype == torch.float32 for p in trainable(model).values())
    randomise(model)
    save_adapter(model, tmp_path / "adapter")
    ids = torch.arange(3, 15)[None]
    with torch.no_grad():
        expected = model.eval()(input_ids=ids)[0]
        merged = load(folder, with_head=with_head)
        merge_adapters(merged, [tmp_path / "adapter"])
        assert torch.allclose(merged(input_ids=ids)[0], expected, atol=1e-4)
        again = PeftModel.from_pretrained(load(folder, with_head=with_head), tmp_path / "adapter")
        assert torch.allclose(again(input_ids=ids)[0], expected, atol=1e-6)


def test_a_fresh_adapter_changes_nothing(tiny_decoder_folder: Path):
    ids = torch.arange(3, 15)[None]
    with torch.no_grad():
        before = load(tiny_decoder_folder)(input_ids=ids)[0]
        after = attach_lora(load(tiny_decoder_folder), LoraSettings()).eval()(input_ids=ids)[0]
    assert torch.equal(before, after)


def test_adapters_of_bf16_weights_are_float32(tiny_decoder_folder: Path):
    decoder = load_decoder(tiny_decoder_folder, dtype=torch.bfloat16, device="cpu")
    model = attach_lora(decoder.model, LoraSettings(rank=4))
    assert {p.dtype for p in trainable(model).values()} == {torch.float32}
    assert parameter_count(model) == sum(p.numel() for p in trainable(model).values()) > 0


def test_named_layers_only_are_adapted_and_unknown_ones_refused(tiny_decoder_folder: Path):
    model = attach_lora(load(tiny_decoder_folder), LoraSettings(targets=("v_proj",)))
    assert len(trainable(model)) == 2 * 2
    with pytest.raises(TrainingError, match=r"down_proj.*got qproj"):
        attach_lora(load(tiny_decoder_folder), LoraSettings(targets=("qproj",)))


def test_equal_adapters_are_equal_files_without_a_place_of_this_machine(
    tiny_decoder_folder: Path, tmp_path: Path
):
    for name in ("one", "two"):
        model = attach_lora(load(tiny_decoder_folder), LoraSettings())
        randomise(model)
        save_adapter(model, tmp_path / name)
    for file in ("adapter_model.safetensors", "adapter_config.json"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
    config = json.loads((tmp_path / "one/adapter_config.json").read_text())
    assert config["target_modules"] == sorted(LAYERS["llama"])
    assert str(tiny_decoder_folder) not in json.dumps(config)
