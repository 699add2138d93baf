"""Folders that are no decoder checkpoint are refused, each with what is wrong."""

import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from transformers import (
    AutoModel,
    BertConfig,
    BertModel,
    T5Config,
    T5ForConditionalGeneration,
)

from encoder.directory import read_any_spec
from encoder.errors import ModelFolderError
from encoder.llm2vec import LLM2VecEncoder
from encoder.loading import load_decoder

pytestmark = pytest.mark.torch

TINY: dict[str, Any] = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "vocab_size": 320,
}


@pytest.fixture
def folder(tiny_decoder_folder: Path, tmp_path: Path) -> Path:
    """A copy of the tiny Llama, to be damaged."""
    return Path(shutil.copytree(tiny_decoder_folder, tmp_path / "model"))


def edit_config(folder: Path, **changes: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def write_bert(folder: Path) -> None:
    """What a sentence-transformers MiniLM folder holds."""
    (folder / "model.safetensors").unlink()
    BertModel(BertConfig(**TINY, intermediate_size=32)).save_pretrained(folder)
    (folder / "modules.json").write_text("[]")


def write_t5(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    config = T5Config(d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2, vocab_size=320)
    T5ForConditionalGeneration(config).save_pretrained(folder)


def only_pickles(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    torch.save({}, folder / "pytorch_model.bin")


def no_tokenizer(folder: Path) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()


def truncated_weights(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])


def one_weight_missing(folder: Path) -> None:
    model = AutoModel.from_pretrained(folder)
    states = model.state_dict()
    states.pop("layers.1.mlp.up_proj.weight")
    model.save_pretrained(folder, state_dict=states)


def no_end_of_text(folder: Path) -> None:
    path = folder / "tokenizer_config.json"
    content = json.loads(path.read_text())
    content.pop("eos_token")
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (shutil.rmtree, "a model must be a folder; .* is not one"),
        (lambda f: (f / "config.json").unlink(), "must hold config.json; .* has none"),
        (lambda f: (f / "config.json").write_text("{"), "config.json must describe a decoder"),
        (lambda f: (f / "config.json").write_text("[]"), "config.json must describe a decoder"),
        (lambda f: (f / "config.json").write_text("{}"), "config.json must describe a decoder"),
        (lambda f: edit_config(f, model_type="zzz"), "config.json can't be used: .*zzz"),
        (lambda f: edit_config(f, num_hidden_layers="two"), "config.json can't be used"),
        (lambda f: edit_config(f, intermediate_size=48), "can't be loaded as a decoder"),
        (lambda f: (f / "model.safetensors").unlink(), r"hold \*.safetensors; .* has none"),
        (only_pickles, "has only pickled weights, which can run code"),
        (truncated_weights, "can't be loaded as a decoder"),
        (lambda f: (f / "model.safetensors").write_text("x"), "can't be loaded as a decoder"),
        (one_weight_missing, "1 are missing, the first is layers.1.mlp.up_proj.weight"),
        (write_bert, "must be a decoder LLM, such as Llama or Qwen; .* is a bert model"),
        (write_t5, "must be decoder-only; .* is an encoder-decoder"),
        (no_tokenizer, "must hold its tokenizer, tokenizer.json; .* has none"),
        (lambda f: (f / "tokenizer.json").write_text("{"), "no tokenizer that can be loaded"),
        (no_end_of_text, "a tokenizer must have an end-of-text token"),
    ],
)
def test_a_damaged_folder_is_refused(folder: Path, damage: Callable[[Path], object], message: str):
    damage(folder)
    with pytest.raises(ModelFolderError, match=message):
        LLM2VecEncoder.load(folder, dtype="float32", device="cpu")


def test_an_adapter_without_its_base_is_refused(adapter_folders: list[Path]):
    with pytest.raises(ModelFolderError, match="is an adapter without its base"):
        LLM2VecEncoder.load(adapter_folders[0])


@pytest.mark.parametrize("name", ["model.gguf", "notes.txt"])
def test_a_file_is_refused(tmp_path: Path, name: str):
    (tmp_path / name).write_bytes(b"GGUF")
    expected = "hint: `argot init --model" if name.endswith("gguf") else "is not one"
    with pytest.raises(ModelFolderError, match=expected):
        LLM2VecEncoder.load(tmp_path / name)


def test_an_unknown_attention_backend_is_refused(tiny_decoder_folder: Path):
    with pytest.raises(ModelFolderError, match="attn_implementation"):
        LLM2VecEncoder.load(tiny_decoder_folder, device="cpu", attention="quantum")


def test_flash_attention_without_its_package_is_refused(tiny_decoder_folder: Path):
    with pytest.raises(ModelFolderError, match=r"needs a package: .*[Ff]lash"):
        LLM2VecEncoder.load(
            tiny_decoder_folder, dtype="bfloat16", device="cpu", attention="flash_attention_2"
        )


def test_an_unknown_dtype_is_refused(tiny_decoder_folder: Path):
    with pytest.raises(ValueError, match=r"`dtype` must be one of float32, .*; got 'int8'"):
        LLM2VecEncoder.load(tiny_decoder_folder, dtype="int8")


@pytest.mark.parametrize(
    ("architecture", "changes", "width"),
    [("opt", {"word_embed_proj_dim": 16}, 16), ("opt", {}, 32), ("gpt2", {}, 32)],
)
def test_the_width_of_a_vector_is_known_before_the_model_is_loaded(
    tiny_models: ModuleType,
    tmp_path: Path,
    architecture: str,
    changes: dict[str, int],
    width: int,
):
    folder = tiny_models.write_tiny_decoder(tmp_path / "model", architecture, **changes)
    encoder = LLM2VecEncoder.load(folder, device="cpu")
    assert read_any_spec(folder).dimensions == encoder.dimensions == width
    assert encoder.encode_documents(["a text"]).shape == (1, width)


def test_loading_logs_no_report(tiny_decoder_folder: Path, caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.INFO, logger="transformers"):
        load_decoder(tiny_decoder_folder, device="cpu")
    assert not [record for record in caplog.records if "lm_head" in record.message]
    assert logging.getLogger("transformers").level != logging.ERROR


def test_the_head_is_kept_for_training(tiny_decoder_folder: Path):
    decoder = load_decoder(tiny_decoder_folder, with_head=True, dtype=torch.float32, device="cpu")
    assert decoder.model.get_output_embeddings().weight.shape == (320, 32)
    assert decoder.model.config.is_causal is False


def test_attention_dropout_reaches_the_modules(tiny_decoder_folder: Path):
    model = load_decoder(tiny_decoder_folder, attention_dropout=0.3, device="cpu").model
    dropouts = {m.attention_dropout for m in model.modules() if hasattr(m, "attention_dropout")}
    assert dropouts == {0.3}
