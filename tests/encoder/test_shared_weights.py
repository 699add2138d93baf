"""One copy of the weights writes and encodes at once, and neither disturbs the other."""

import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from encoder.directory import write_adapter_encoder
from encoder.errors import ModelFolderError, NotBidirectionalError
from encoder.export import export_merged
from encoder.llm2vec import LLM2VecEncoder
from encoder.shared_weights import EncoderWithGenerator, load_with_generator, share_weights
from encoder.spec import EncodingSettings

pytestmark = pytest.mark.torch

Load = Callable[..., LLM2VecEncoder]
TEXTS = ["a retriever finds the passage that answers the question", "wing", "wing lift " * 30]
PROMPTS = ["the quick brown", "employees may take thirty days of"]


def write_encoder(target: Path, base: Path, adapters: list[Path], **settings: Any) -> Path:
    write_adapter_encoder(
        target,
        base=base,
        adapters=[(f"stage{i}", adapter) for i, adapter in enumerate(adapters)],
        settings=EncodingSettings(**settings),
        lineage={},
    )
    return target


@pytest.fixture
def adapted(tiny_decoder_folder: Path, adapter_folders: list[Path], tmp_path: Path) -> Path:
    return write_encoder(
        tmp_path / "adapted", tiny_decoder_folder, adapter_folders, query_instruction="query:\n"
    )


def load_both(folder: Path, **options: Any) -> EncoderWithGenerator:
    return load_with_generator(folder, **{"dtype": "float32", "device": "cpu", **options})


def written_by(model: Any, tokenizer: Any) -> list[tuple[list[int], torch.Tensor]]:
    """What a model writes after each prompt: token ids, and the logits they were chosen by."""
    found = []
    for prompt in PROMPTS:
        rows = tokenizer(prompt, return_tensors="pt")
        out = model.generate(
            **rows,
            max_new_tokens=12,
            do_sample=False,
            pad_token_id=tokenizer.pad_token_id,
            return_dict_in_generate=True,
            output_logits=True,
        )
        found.append((out.sequences[0].tolist(), torch.cat(out.logits)))
    return found


def assert_same(written: Any, expected: Any) -> None:
    for (ids, logits), (expected_ids, expected_logits) in zip(written, expected, strict=True):
        assert ids == expected_ids
        assert torch.equal(logits, expected_logits)


def test_both_models_are_over_the_same_tensors(adapted: Path):
    pair = load_both(adapted)
    model = pair.encoder._model
    base = pair.generator.base_model
    theirs = {**dict(base.named_parameters()), **dict(base.named_buffers())}
    ours = {
        name.replace(".layer.", "."): tensor
        for name, tensor in [*model.named_parameters(), *model.named_buffers()]
        if not name.endswith((".up", ".down"))
    }
    assert ours.keys() == theirs.keys()
    assert all(ours[name].data_ptr() == theirs[name].data_ptr() for name in theirs)
    assert not {id(m) for m in model.modules()} & {id(m) for m in pair.generator.modules()}
    assert model.config is not pair.generator.config


def test_it_writes_what_the_untouched_model_writes_before_between_and_after_encodings(
    adapted: Path, tiny_decoder_folder: Path, load: Load
):
    pair = load_both(adapted)
    untouched = AutoModelForCausalLM.from_pretrained(tiny_decoder_folder).eval()
    expected = written_by(untouched, pair.tokenizer)
    vectors = load(adapted).encode_queries(TEXTS)
    for _ in range(2):
        assert_same(written_by(pair.generator, pair.tokenizer), expected)
        assert np.abs(pair.encoder.encode_queries(TEXTS) - vectors).max() <= 1e-5
    assert_same(written_by(pair.generator, pair.tokenizer), expected)


def test_two_threads_write_and_encode_at_once(adapted: Path, tiny_decoder_folder: Path):
    pair = load_both(adapted)
    untouched = AutoModelForCausalLM.from_pretrained(tiny_decoder_folder).eval()
    expected = written_by(untouched, pair.tokenizer)
    vectors = pair.encoder.encode_documents(TEXTS)
    started, done = threading.Event(), threading.Event()
    encoded: list[np.ndarray] = []

    def encode() -> None:
        while not done.is_set():
            encoded.append(pair.encoder.encode_documents(TEXTS))
            started.set()

    thread = threading.Thread(target=encode)
    thread.start()
    try:
        assert started.wait(timeout=60)
        before = len(encoded)
        for _ in range(5):
            assert_same(written_by(pair.generator, pair.tokenizer), expected)
        during = len(encoded) - before
    finally:
        done.set()
        thread.join(timeout=60)
    assert during >= 5
    assert all(np.array_equal(found, vectors) for found in encoded)


@pytest.mark.parametrize(("dtype", "lowest"), [("float32", 0.999999), ("bfloat16", 0.999)])
def test_its_vectors_are_those_of_the_encoder_alone(
    adapted: Path, load: Load, dtype: str, lowest: float
):
    pair, alone = load_both(adapted, dtype=dtype), load(adapted, dtype=dtype)
    assert pair.encoder.fingerprint == alone.fingerprint
    for ours, theirs in (
        (pair.encoder.encode_documents(TEXTS), alone.encode_documents(TEXTS)),
        (pair.encoder.encode_queries(TEXTS), alone.encode_queries(TEXTS)),
    ):
        assert (ours * theirs).sum(axis=1).min() >= lowest


@pytest.mark.parametrize("architecture", ["gpt2", "gpt_neox", "opt", "gemma3_text", "mixtral"])
def test_other_architectures_share_their_weights_too(
    tiny_models: ModuleType, load: Load, tmp_path: Path, architecture: str
):
    base = tiny_models.write_tiny_decoder(tmp_path / "base", architecture)
    targets = {"gpt2": ("c_attn", "c_proj"), "gpt_neox": ("query_key_value",)}
    adapter = tiny_models.write_tiny_adapter(
        tmp_path / "adapter",
        base,
        with_head=True,
        targets=targets.get(architecture, ("q_proj", "v_proj")),
        fan_in_fan_out=architecture == "gpt2",
    )
    folder = write_encoder(tmp_path / "adapted", base, [adapter])
    pair = load_both(folder)
    expected = written_by(AutoModelForCausalLM.from_pretrained(base).eval(), pair.tokenizer)
    ours, theirs = pair.encoder.encode_documents(TEXTS), load(folder).encode_documents(TEXTS)
    assert np.abs(ours - theirs).max() <= 1e-5
    assert_same(written_by(pair.generator, pair.tokenizer), expected)


def test_a_checkpoint_needs_no_adapters(tiny_decoder_folder: Path, load: Load):
    pair = load_both(tiny_decoder_folder, pooling="last_token", max_tokens=20)
    alone = load(tiny_decoder_folder, pooling="last_token", max_tokens=20)
    assert pair.encoder.fingerprint == alone.fingerprint
    assert np.array_equal(pair.encoder.encode_documents(TEXTS), alone.encode_documents(TEXTS))


def test_a_causal_encoder_stays_causal(tiny_decoder_folder: Path, load: Load):
    ours = load_both(tiny_decoder_folder, causal=True).encoder.encode_documents(TEXTS)
    theirs = load(tiny_decoder_folder, causal=True).encode_documents(TEXTS)
    assert np.array_equal(ours, theirs)
    assert np.abs(ours - load().encode_documents(TEXTS)).max() > 1e-3


def test_weights_with_adapters_merged_into_them_do_not_write(
    adapted: Path, adapter_folders: list[Path], tmp_path: Path
):
    export_merged(adapted, tmp_path / "merged")
    with pytest.raises(ModelFolderError, match=r"needs the weights of a language model; .*merged"):
        load_both(tmp_path / "merged")
    grown = write_encoder(tmp_path / "grown", tmp_path / "merged", adapter_folders[:1])
    with pytest.raises(ModelFolderError, match=r"needs the weights of a language model; .*merged"):
        load_both(grown)


def test_a_family_that_does_not_switch_is_refused(tiny_models: ModuleType, tmp_path: Path):
    folder = tiny_models.write_tiny_decoder(tmp_path / "base", "gpt_neo")
    with pytest.raises(NotBidirectionalError, match="gpt_neo"):
        load_both(folder)


@pytest.mark.parametrize("architecture", ["mistral", "qwen2"])
@pytest.mark.parametrize(("backend", "encoders_window"), [("flash_attention_2", 9), ("sdpa", 8)])
def test_only_the_encoders_window_is_widened_for_flash_attention(
    tiny_models: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    architecture: str,
    backend: str,
    encoders_window: int,
):
    """Of the two only qwen2 copies the window into its layers when it is built."""
    sliding = (
        {"use_sliding_window": True, "max_window_layers": 0} if architecture == "qwen2" else {}
    )
    folder = tiny_models.write_tiny_decoder(
        tmp_path / "base", architecture, sliding_window=8, **sliding
    )
    model = AutoModelForCausalLM.from_pretrained(folder)
    monkeypatch.setattr(model.config, "_attn_implementation_internal", backend)
    monkeypatch.setattr("encoder.shared_weights.make_bidirectional", lambda _: None)
    shared = share_weights(model, causal=False)
    for owner, window in ((model, 8), (shared, encoders_window)):
        assert owner.config.sliding_window == window
        in_layers = {m.sliding_window for m in owner.modules() if hasattr(m, "sliding_window")}
        assert in_layers <= {window}
        assert bool(in_layers) is (architecture == "qwen2")
