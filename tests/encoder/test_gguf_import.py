"""A GGUF file becomes a checkpoint folder that gives the same vectors."""

import json
import os
from pathlib import Path
from types import ModuleType

import gguf
import numpy as np
import pytest
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from encoder.errors import ModelFolderError
from encoder.gguf_import import import_gguf
from encoder.llm2vec import LLM2VecEncoder

pytestmark = [
    pytest.mark.torch,
    # gguf asks numpy's deprecated names while it reads.
    pytest.mark.filterwarnings("ignore::DeprecationWarning:gguf"),
]

TEXTS = ["wing lift and drag", "press the power button", ""]
TENSORS = {
    "embed_tokens": "token_embd",
    "norm": "output_norm",
    "lm_head": "output",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}


def gguf_name(name: str) -> str:
    """Translate ``model.layers.0.mlp.up_proj.weight`` to ``blk.0.ffn_up.weight``."""
    core, _, kind = name.removeprefix("model.").rpartition(".")
    if core.startswith("layers."):
        _, number, part = core.split(".", 2)
        return f"blk.{number}.{TENSORS[part]}.{kind}"
    return f"{TENSORS[core]}.{kind}"


def write_gguf(folder: Path, path: Path) -> None:
    """Write a Qwen2 checkpoint as GGUF in fp32."""
    config = AutoConfig.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    writer = gguf.GGUFWriter(str(path), "qwen2")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_vocab_size(config.vocab_size)
    vocabulary = sorted(tokenizer.get_vocab().items(), key=lambda entry: entry[1])
    special = set(tokenizer.all_special_tokens)
    kinds = [
        gguf.TokenType.CONTROL if word in special else gguf.TokenType.NORMAL
        for word, _ in vocabulary
    ]
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list([word for word, _ in vocabulary])
    writer.add_token_types(kinds)
    writer.add_token_merges(read_merges(folder))
    writer.add_eos_token_id(tokenizer.eos_token_id)
    writer.add_bos_token_id(tokenizer.bos_token_id)
    writer.add_pad_token_id(tokenizer.pad_token_id)
    for name, tensor in AutoModelForCausalLM.from_pretrained(folder).state_dict().items():
        writer.add_tensor(gguf_name(name), tensor.float().numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def read_merges(folder: Path) -> list[str]:
    merges = json.loads((folder / "tokenizer.json").read_text())["model"]["merges"]
    return [" ".join(pair) if isinstance(pair, list) else pair for pair in merges]


@pytest.fixture(scope="module")
def qwen(tiny_models: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tiny_models.write_tiny_decoder(
        tmp_path_factory.mktemp("qwen2"), "qwen2", head_dim=None
    )
    return folder


def test_an_imported_model_gives_the_vectors_of_its_origin(qwen: Path, tmp_path: Path):
    write_gguf(qwen, tmp_path / "tiny.gguf")
    import_gguf(tmp_path / "tiny.gguf", tmp_path / "model")
    origin = LLM2VecEncoder.load(qwen, dtype="bfloat16", device="cpu")
    imported = LLM2VecEncoder.load(tmp_path / "model", dtype="bfloat16", device="cpu")
    for text in TEXTS:
        assert imported.token_spans(text) == origin.token_spans(text)
    ours, theirs = imported.encode_documents(TEXTS), origin.encode_documents(TEXTS)
    assert (ours * theirs).sum(axis=1).min() >= 0.9999


def test_a_missing_file_is_refused(tmp_path: Path):
    with pytest.raises(ModelFolderError, match=r"GGUF import needs a file; got .*absent.gguf"):
        import_gguf(tmp_path / "absent.gguf", tmp_path / "model")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 a zip", b"\x00" * 100])
def test_a_file_that_is_no_gguf_is_refused(tmp_path: Path, content: bytes):
    (tmp_path / "model.gguf").write_bytes(content)
    with pytest.raises(ModelFolderError, match=r"must begin with the bytes GGUF; .* has b'"):
        import_gguf(tmp_path / "model.gguf", tmp_path / "model")


@pytest.mark.parametrize("kept_bytes", [4, 40, 3000, 60_000])
def test_a_gguf_file_that_was_cut_off_is_refused_and_nothing_is_written(
    qwen: Path, tmp_path: Path, kept_bytes: int
):
    write_gguf(qwen, tmp_path / "whole.gguf")
    (tmp_path / "cut.gguf").write_bytes((tmp_path / "whole.gguf").read_bytes()[:kept_bytes])
    with pytest.raises(ModelFolderError, match=r"cut.gguf can't be read as a GGUF decoder"):
        import_gguf(tmp_path / "cut.gguf", tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_an_import_never_overwrites(qwen: Path, tmp_path: Path):
    write_gguf(qwen, tmp_path / "tiny.gguf")
    (tmp_path / "model").mkdir()
    with pytest.raises(
        ModelFolderError, match=r"to a new folder; .* exists already\nhint: name it"
    ):
        import_gguf(tmp_path / "tiny.gguf", tmp_path / "model")


@pytest.mark.model
def test_a_real_gguf_file_becomes_an_encoder(tmp_path: Path):
    name = os.environ.get("ARGOT_TEST_GGUF")
    if not name:
        pytest.skip("needs ARGOT_TEST_GGUF, a GGUF file of a decoder")
    import_gguf(Path(name), tmp_path / "model")
    encoder = LLM2VecEncoder.load(tmp_path / "model", device="cpu")
    vectors = encoder.encode_documents(TEXTS)
    assert np.isfinite(vectors).all()
