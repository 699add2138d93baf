"""Adapters are added in fp32, as peft would one after another."""

import json
import shutil
from pathlib import Path
from types import ModuleType

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoModelForCausalLM

from encoder.errors import ModelFolderError
from encoder.merging import merge_adapters

pytestmark = [
    pytest.mark.torch,
    # peft reads a property that transformers renamed.
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning"),
]

LOADERS = {"with head": AutoModelForCausalLM, "without head": AutoModel}


def largest_difference(model: torch.nn.Module, other: torch.nn.Module) -> float:
    ours, theirs = model.state_dict(), other.state_dict()
    assert ours.keys() == theirs.keys()
    return max(float((ours[name] - theirs[name]).abs().max()) for name in ours)


@pytest.mark.parametrize("trained", ["with head", "without head"])
@pytest.mark.parametrize("merged_into", ["with head", "without head"])
@pytest.mark.parametrize("rslora", [False, True])
def test_a_merge_equals_pefts(
    tiny_models: ModuleType,
    tiny_decoder_folder: Path,
    tmp_path: Path,
    trained: str,
    merged_into: str,
    rslora: bool,
):
    adapter = tiny_models.write_tiny_adapter(
        tmp_path / "adapter",
        tiny_decoder_folder,
        with_head=trained == "with head",
        use_rslora=rslora,
    )
    ours = LOADERS[merged_into].from_pretrained(tiny_decoder_folder)
    base = LOADERS[merged_into].from_pretrained(tiny_decoder_folder)
    merge_adapters(ours, [adapter])
    assert largest_difference(ours, base) > 0.01

    theirs = LOADERS[trained].from_pretrained(tiny_decoder_folder)
    theirs = PeftModel.from_pretrained(theirs, adapter).merge_and_unload()
    ours_core, theirs_core = ours.base_model, theirs.base_model
    assert largest_difference(ours_core, theirs_core) <= 1e-6


@pytest.mark.parametrize(
    ("architecture", "targets"),
    [
        ("gpt2", ("c_attn", "c_proj", "c_fc")),  # Conv1D: weights stored the other way round
        ("gpt_neox", ("query_key_value", "dense")),
        ("opt", ("q_proj", "fc1")),
        ("phi3", ("qkv_proj", "gate_up_proj")),
        ("falcon", ("query_key_value", "dense_h_to_4h")),
    ],
)
def test_a_merge_equals_pefts_in_other_architectures(
    tiny_models: ModuleType, tmp_path: Path, architecture: str, targets: tuple[str, ...]
):
    base = tiny_models.write_tiny_decoder(tmp_path / "base", architecture)
    adapter = tiny_models.write_tiny_adapter(
        tmp_path / "adapter",
        base,
        with_head=True,
        targets=targets,
        fan_in_fan_out=architecture == "gpt2",
    )
    ours = AutoModel.from_pretrained(base)
    merge_adapters(ours, [adapter])
    theirs = AutoModelForCausalLM.from_pretrained(base)
    theirs = PeftModel.from_pretrained(theirs, adapter).merge_and_unload()
    assert largest_difference(ours, theirs.base_model) <= 1e-6


def test_two_adapters_equal_two_merges_in_fp32(
    tiny_decoder_folder: Path, adapter_folders: list[Path]
):
    ours = AutoModel.from_pretrained(tiny_decoder_folder)
    merge_adapters(ours, adapter_folders)
    theirs = AutoModel.from_pretrained(tiny_decoder_folder)
    for adapter in adapter_folders:
        merge_adapters(theirs, [adapter])
    assert largest_difference(ours, theirs) <= 1e-6


def test_a_bf16_weight_is_rounded_once(tiny_decoder_folder: Path, adapter_folders: list[Path]):
    stored = AutoModel.from_pretrained(tiny_decoder_folder, dtype=torch.bfloat16)
    exact = AutoModel.from_pretrained(tiny_decoder_folder, dtype=torch.bfloat16).float()
    merge_adapters(stored, adapter_folders)
    merge_adapters(exact, adapter_folders)
    assert largest_difference(stored, exact.to(torch.bfloat16)) == 0


def test_no_adapters_change_nothing(tiny_decoder_folder: Path):
    model = AutoModel.from_pretrained(tiny_decoder_folder)
    merge_adapters(model, [])
    assert largest_difference(model, AutoModel.from_pretrained(tiny_decoder_folder)) == 0


def test_an_adapter_of_another_model_is_refused(
    tiny_models: ModuleType, tmp_path: Path, adapter_folders: list[Path]
):
    deeper = tiny_models.write_tiny_decoder(tmp_path / "one", num_hidden_layers=1)
    with pytest.raises(ModelFolderError, match=r"has no layers\.1\.\S+ to adapt"):
        merge_adapters(AutoModel.from_pretrained(deeper), adapter_folders)
    wider = tiny_models.write_tiny_decoder(tmp_path / "wide", intermediate_size=96)
    with pytest.raises(ModelFolderError, match=r"is \(32, 96\) there and \(32, 64\)"):
        merge_adapters(AutoModel.from_pretrained(wider), adapter_folders)


@pytest.mark.filterwarnings("ignore:Setting `save_embedding_layers`:UserWarning")
@pytest.mark.parametrize(
    "changes",
    [
        {"use_dora": True},
        {"rank_pattern": {"q_proj": 8}},
        {"alpha_pattern": {"q_proj": 32}},
        {"targets": ("embed_tokens", "q_proj")},
        {"trainable_token_indices": [5, 6]},
        {"modules_to_save": ["norm"]},
    ],
)
def test_an_adapter_that_is_not_plain_lora_is_refused(
    tiny_models: ModuleType,
    tiny_decoder_folder: Path,
    tmp_path: Path,
    changes: dict[str, object],
):
    adapter = tiny_models.write_tiny_adapter(tmp_path / "a", tiny_decoder_folder, **changes)
    with pytest.raises(ModelFolderError, match=r"an adapter must be plain LoRA; .* is LORA with"):
        merge_adapters(AutoModel.from_pretrained(tiny_decoder_folder), [adapter])


def test_a_damaged_adapter_is_refused(
    tiny_decoder_folder: Path, adapter_folders: list[Path], tmp_path: Path
):
    model = AutoModel.from_pretrained(tiny_decoder_folder)
    adapter = Path(shutil.copytree(adapter_folders[0], tmp_path / "adapter"))
    weights = adapter / "adapter_model.safetensors"
    tensors = load_file(weights)
    tensors.pop(next(iter(tensors)))
    save_file(tensors, weights)
    with pytest.raises(ModelFolderError, match="must be plain LoRA"):
        merge_adapters(model, [adapter])
    weights.write_bytes(b"junk")
    with pytest.raises(ModelFolderError, match="can't be read as an adapter"):
        merge_adapters(model, [adapter])
    (adapter / "adapter_config.json").write_text("{")
    with pytest.raises(ModelFolderError, match="can't be read as an adapter"):
        merge_adapters(model, [adapter])
    (adapter / "adapter_config.json").write_text(json.dumps({"peft_type": "IA3"}))
    shutil.copy(adapter_folders[0] / weights.name, weights)
    with pytest.raises(ModelFolderError, match=r"must be plain LoRA; .* is IA3"):
        merge_adapters(model, [adapter])
