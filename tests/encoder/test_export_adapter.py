"""A whole stack as one adapter: Argot's vectors, peft's weights, one fingerprint."""

import json
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModel

from encoder.directory import read_any_spec, write_adapter_encoder
from encoder.errors import ModelFolderError
from encoder.export import export_adapter, export_merged
from encoder.llm2vec import LLM2VecEncoder
from encoder.merging import merge_adapters
from encoder.spec import EncodingSettings

pytestmark = [
    pytest.mark.torch,
    # peft reads a property that transformers renamed.
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning"),
]

Load = Callable[..., LLM2VecEncoder]
TEXTS = [
    "a retriever finds the passage that answers the question",
    "wing",
    "press the power button for three seconds to reset the device " * 4,
]


def write_encoder(target: Path, base: Path, adapters: list[Path], **settings: Any) -> Path:
    write_adapter_encoder(
        target,
        base=base,
        adapters=[(f"stage{i}", adapter) for i, adapter in enumerate(adapters)],
        settings=EncodingSettings(**settings),
        lineage={},
    )
    return target


@pytest.fixture(scope="module")
def stages(tiny_models: ModuleType, tiny_decoder_folder: Path, tmp_path_factory: Any) -> list[Path]:
    """Adapters that differ in rank, scale and in what they adapt."""
    root = tmp_path_factory.mktemp("stages")
    different: list[dict[str, Any]] = [
        {"with_head": True},
        {"r": 8, "lora_alpha": 8, "use_rslora": True},
        {"targets": ("o_proj", "q_proj"), "r": 2, "lora_alpha": 6},
    ]
    return [
        tiny_models.write_tiny_adapter(root / str(i), tiny_decoder_folder, seed=i, **changes)
        for i, changes in enumerate(different)
    ]


@pytest.fixture
def source(tiny_decoder_folder: Path, stages: list[Path], tmp_path: Path) -> Path:
    return write_encoder(tmp_path / "encoders/adapted", tiny_decoder_folder, stages)


@pytest.mark.parametrize(("dtype", "allowed"), [("float32", 1e-5), ("bfloat16", 1e-2)])
def test_one_adapter_gives_the_vectors_of_the_stack(
    load: Load, source: Path, tmp_path: Path, dtype: str, allowed: float
):
    written = export_adapter(source, tmp_path / "one")
    stack, one = load(source, dtype=dtype), load(tmp_path / "one", dtype=dtype)
    ours, theirs = one.encode_documents(TEXTS), stack.encode_documents(TEXTS)
    assert np.abs(ours - theirs).max() <= allowed
    assert (ours * theirs).sum(axis=1).min() >= 0.9999
    assert one.fingerprint == stack.fingerprint == written.fingerprint
    assert np.abs(theirs - load(dtype=dtype).encode_documents(TEXTS)).max() > 0.03


def test_its_weights_are_exact_where_the_stages_adapt_the_same_layers(
    tiny_decoder_folder: Path, adapter_folders: list[Path], tmp_path: Path
):
    source = write_encoder(tmp_path / "encoders/adapted", tiny_decoder_folder, adapter_folders)
    export_adapter(source, tmp_path / "one")
    for dtype in (torch.float32, torch.bfloat16):
        stack = AutoModel.from_pretrained(tiny_decoder_folder, dtype=dtype)
        one = AutoModel.from_pretrained(tiny_decoder_folder, dtype=dtype)
        merge_adapters(stack, adapter_folders)
        merge_adapters(one, [tmp_path / "one"])
        for name, weight in stack.state_dict().items():
            assert torch.equal(weight, one.state_dict()[name]), name


def test_peft_loads_it_over_the_base_model(
    source: Path, stages: list[Path], tiny_decoder_folder: Path, tmp_path: Path
):
    export_adapter(source, tmp_path / "one")
    base = AutoModel.from_pretrained(tiny_decoder_folder)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*missing adapter keys")
        adapted = PeftModel.from_pretrained(base, tmp_path / "one")
    merged = adapted.merge_and_unload().state_dict()
    ours = AutoModel.from_pretrained(tiny_decoder_folder)
    merge_adapters(ours, stages)
    assert merged.keys() == ours.state_dict().keys()
    for name, weight in ours.state_dict().items():
        assert torch.allclose(merged[name], weight, atol=1e-5), name


@pytest.mark.parametrize(
    ("architecture", "targets"),
    [
        ("gpt2", ("c_attn", "c_proj", "c_fc")),  # Conv1D: weights stored the other way round
        ("gpt_neox", ("query_key_value", "dense")),
        ("opt", ("q_proj", "fc1")),
    ],
)
def test_peft_loads_it_in_other_architectures(
    tiny_models: ModuleType, tmp_path: Path, architecture: str, targets: tuple[str, ...]
):
    base = tiny_models.write_tiny_decoder(tmp_path / "base", architecture)
    adapters = [
        tiny_models.write_tiny_adapter(
            tmp_path / f"adapter{seed}",
            base,
            seed=seed,
            with_head=seed == 0,
            targets=targets,
            fan_in_fan_out=architecture == "gpt2",
        )
        for seed in range(2)
    ]
    export_adapter(write_encoder(tmp_path / "adapted", base, adapters), tmp_path / "one")
    theirs = PeftModel.from_pretrained(AutoModel.from_pretrained(base), tmp_path / "one")
    merged = theirs.merge_and_unload().state_dict()
    ours = AutoModel.from_pretrained(base)
    merge_adapters(ours, adapters)
    for name, weight in ours.state_dict().items():
        assert torch.allclose(merged[name], weight, atol=1e-5), name


def test_it_is_one_small_plain_adapter(source: Path, tmp_path: Path):
    export_adapter(source, tmp_path / "one")
    config = json.loads((tmp_path / "one/adapter_config.json").read_text())
    assert config["r"] == config["lora_alpha"] == 4 + 8 + 2
    assert config["target_modules"] == ["down_proj", "o_proj", "q_proj", "v_proj"]
    tensors = load_file(tmp_path / "one/adapter_model.safetensors")
    assert all(14 in tensor.shape and tensor.dtype == torch.float32 for tensor in tensors.values())


def test_layers_are_named_in_full_where_short_names_mean_others_too(
    tiny_models: ModuleType, tiny_decoder_folder: Path, tmp_path: Path
):
    only = tiny_models.write_tiny_adapter(
        tmp_path / "a", tiny_decoder_folder, targets=("layers.1.self_attn.q_proj",)
    )
    export_adapter(write_encoder(tmp_path / "e", tiny_decoder_folder, [only]), tmp_path / "one")
    config = json.loads((tmp_path / "one/adapter_config.json").read_text())
    assert config["target_modules"] == ["layers.1.self_attn.q_proj"]
    base = AutoModel.from_pretrained(tiny_decoder_folder)
    adapted = PeftModel.from_pretrained(base, tmp_path / "one")
    assert sum("lora_A" in name for name, _ in adapted.named_parameters()) == 1


def test_it_can_be_exported_again_merged_or_adapted_further(
    load: Load, source: Path, adapter_folders: list[Path], tmp_path: Path
):
    export_adapter(source, tmp_path / "one")
    export_adapter(tmp_path / "one", tmp_path / "again")
    export_merged(tmp_path / "one", tmp_path / "merged")
    vectors = load(source).encode_documents(TEXTS)
    for folder in ("again", "merged"):
        again = load(tmp_path / folder)
        assert again.fingerprint == load(source).fingerprint
        assert np.abs(again.encode_documents(TEXTS) - vectors).max() <= 1e-5

    on_one = write_encoder(tmp_path / "on-one", tmp_path / "one", adapter_folders[:1])
    on_stack = write_encoder(tmp_path / "on-stack", source, adapter_folders[:1])
    names = [entry.name for entry in read_any_spec(on_one).adapters]
    assert names == ["stage0-stage1-stage2", "stage0"]
    assert read_any_spec(on_one).base_digest == read_any_spec(on_stack).base_digest
    difference = load(on_one).encode_documents(TEXTS) - load(on_stack).encode_documents(TEXTS)
    assert np.abs(difference).max() <= 1e-5


def test_a_base_that_was_moved_is_named_and_checked(
    load: Load, tiny_models: ModuleType, adapter_folders: list[Path], tmp_path: Path
):
    base = tiny_models.write_tiny_decoder(tmp_path / "base")
    export_adapter(write_encoder(tmp_path / "e", base, adapter_folders), tmp_path / "one")
    vectors = load(tmp_path / "one").encode_documents(TEXTS)
    moved = base.rename(tmp_path / "moved")
    with pytest.raises(ModelFolderError, match=r"must be at .*/base, .*\nhint: .* --base FOLDER"):
        load(tmp_path / "one")
    export_adapter(tmp_path / "one", tmp_path / "found", base=moved)
    assert np.array_equal(load(tmp_path / "found").encode_documents(TEXTS), vectors)
    other = tiny_models.write_tiny_decoder(tmp_path / "other", rms_norm_eps=1e-3)
    with pytest.raises(ModelFolderError, match=r"the base model .*/other must be what the encoder"):
        export_adapter(tmp_path / "one", tmp_path / "wrong", base=other)
    assert not (tmp_path / "wrong").exists()


def test_what_has_no_adapters_beside_its_base_is_refused(
    tiny_decoder_folder: Path, source: Path, tmp_path: Path
):
    with pytest.raises(ModelFolderError, match=r"is checkpoint\nhint: export it with --merged"):
        export_adapter(tiny_decoder_folder, tmp_path / "one")
    export_merged(source, tmp_path / "merged")
    with pytest.raises(ModelFolderError, match=r"is merged\nhint: export it with --merged"):
        export_adapter(tmp_path / "merged", tmp_path / "one")
    with pytest.raises(ModelFolderError, match="a base model is named for an encoder in adapter"):
        export_merged(tmp_path / "merged", tmp_path / "again", base=tiny_decoder_folder)


def test_a_changed_adapter_is_refused(load: Load, source: Path, stages: list[Path], tmp_path: Path):
    export_adapter(source, tmp_path / "one")
    shutil.copy(stages[0] / "adapter_model.safetensors", tmp_path / "one")
    with pytest.raises(ModelFolderError, match=r"the adapter .*/one must be what the encoder"):
        load(tmp_path / "one")


def test_libraries_that_would_load_it_causal_refuse_it(source: Path, tmp_path: Path):
    """An adapter that names its base opens there without an error, causal, with wrong vectors."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its dependencies warn while they are imported
        from sentence_transformers import SentenceTransformer

    export_adapter(source, tmp_path / "one")
    with pytest.raises(OSError, match="huggingface"):
        SentenceTransformer(str(tmp_path / "one"), device="cpu", local_files_only=True)
    with pytest.raises(OSError, match="huggingface"):
        AutoModel.from_pretrained(tmp_path / "one")
