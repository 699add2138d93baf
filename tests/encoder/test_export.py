"""The merged form: other libraries load the folder and give our vectors."""

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoModelForCausalLM, AutoTokenizer

from encoder.directory import copy_tokenizer, read_any_spec, write_adapter_encoder
from encoder.errors import ModelFolderError
from encoder.export import export_merged
from encoder.llm2vec import LLM2VecEncoder
from encoder.merging import merge_adapters
from encoder.spec import EncoderSpec, EncodingSettings

pytestmark = [
    pytest.mark.torch,
    # peft reads a property that transformers renamed.
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning"),
]

Load = Callable[..., LLM2VecEncoder]
TEXTS = [
    "a retriever finds the passage that answers the question",
    "wing",
    " leading and trailing space ",
    "UPPER case, é and 汉字",
    "press the power button for three seconds to reset the device " * 4,
]
INSTRUCTION = "find the passage\n"


def cosines(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    products: np.ndarray = (ours * theirs).sum(axis=1) / np.linalg.norm(theirs, axis=1)
    return products


@pytest.fixture
def write_encoder(adapter_folders: list[Path], tmp_path: Path) -> Callable[..., Path]:
    def write(base: Path, **settings: Any) -> Path:
        target = tmp_path / "encoders/adapted"
        write_adapter_encoder(
            target,
            base=base,
            adapters=list(zip(["mntp", "simcse"], adapter_folders, strict=True)),
            settings=EncodingSettings(**settings),
            lineage={"stages": ["mntp", "simcse"]},
        )
        return target

    return write


def sentence_transformer(folder: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its dependencies warn while they are imported
        from sentence_transformers import SentenceTransformer

    return SentenceTransformer(
        str(folder), device="cpu", local_files_only=True, model_kwargs={"dtype": "float32"}
    )


@pytest.mark.parametrize("pooling", ["mean", "weighted_mean", "last_token"])
@pytest.mark.parametrize("tokenizer", ["tiny", "bos", "eos"])
@pytest.mark.parametrize("max_tokens", [512, 12])
@pytest.mark.parametrize("causal", [False, True], ids=["bidirectional", "causal"])
def test_sentence_transformers_gives_our_vectors(
    load: Load,
    write_encoder: Callable[..., Path],
    request: pytest.FixtureRequest,
    tmp_path: Path,
    *,
    pooling: str,
    tokenizer: str,
    max_tokens: int,
    causal: bool,
):
    base = request.getfixturevalue(f"{tokenizer}_decoder_folder")
    source = write_encoder(
        base,
        pooling=pooling,
        query_instruction=INSTRUCTION,
        max_tokens=max_tokens + 12 * (max_tokens < 100),
        causal=causal,
    )
    merged = tmp_path / "merged"
    export_merged(source, merged, dtype=torch.float32)
    ours = load(source)
    model = sentence_transformer(merged)
    documents = model.encode_document(TEXTS, show_progress_bar=False)
    assert cosines(ours.encode_documents(TEXTS), documents).min() >= 0.9999
    assert cosines(ours.encode_documents(TEXTS), model.encode(TEXTS)).min() >= 0.9999
    queries = model.encode_query(TEXTS, show_progress_bar=False)
    assert cosines(ours.encode_queries(TEXTS), queries).min() >= 0.9999
    assert np.allclose(np.linalg.norm(documents, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("tokenizer", ["tiny", "bos"])
def test_plain_transformers_and_a_mean_give_our_vectors(
    load: Load,
    write_encoder: Callable[..., Path],
    request: pytest.FixtureRequest,
    tmp_path: Path,
    tokenizer: str,
):
    source = write_encoder(request.getfixturevalue(f"{tokenizer}_decoder_folder"))
    merged = tmp_path / "merged"
    export_merged(source, merged, dtype=torch.float32)
    model = AutoModel.from_pretrained(merged).eval()
    rows = AutoTokenizer.from_pretrained(merged)(
        TEXTS, padding=True, truncation=True, max_length=128, return_tensors="pt"
    )
    with torch.inference_mode():
        hidden = model(**rows).last_hidden_state
    mask = rows["attention_mask"].unsqueeze(-1)
    means = ((hidden * mask).sum(dim=1) / mask.sum(dim=1)).numpy()
    assert cosines(load(source).encode_documents(TEXTS), means).min() >= 0.9999


def test_an_instruction_for_documents_is_the_default_prompt(
    load: Load, write_encoder: Callable[..., Path], tiny_decoder_folder: Path, tmp_path: Path
):
    source = write_encoder(tiny_decoder_folder, document_instruction="a passage:\n")
    export_merged(source, tmp_path / "merged", dtype=torch.float32)
    model = sentence_transformer(tmp_path / "merged")
    ours = load(source)
    assert cosines(ours.encode_documents(TEXTS), model.encode(TEXTS)).min() >= 0.9999
    assert cosines(ours.encode_queries(TEXTS), model.encode_query(TEXTS)).min() >= 0.9999


def test_an_instruction_that_joins_with_the_text_is_the_known_difference(
    load: Load, write_encoder: Callable[..., Path], tiny_decoder_folder: Path, tmp_path: Path
):
    source = write_encoder(tiny_decoder_folder, query_instruction="query: ")
    export_merged(source, tmp_path / "merged", dtype=torch.float32)
    # "query: the" has the token " the"; "query: " alone ends with the token " ".
    ours = load(source).encode_queries(["the passage"])
    theirs = sentence_transformer(tmp_path / "merged").encode_query(["the passage"])
    assert cosines(ours, theirs).max() < 0.9999


def test_both_forms_have_one_fingerprint_and_one_vector(
    load: Load, write_encoder: Callable[..., Path], tiny_decoder_folder: Path, tmp_path: Path
):
    source = write_encoder(tiny_decoder_folder, query_instruction=INSTRUCTION)
    written = export_merged(source, tmp_path / "merged", dtype=torch.float32)
    one, other = load(source), load(tmp_path / "merged")
    assert written.form == "merged"
    assert one.fingerprint == other.fingerprint == written.fingerprint
    assert one.spec.lineage == other.spec.lineage
    assert np.abs(one.encode_queries(TEXTS) - other.encode_queries(TEXTS)).max() <= 1e-5
    assert np.abs(one.encode_queries(TEXTS) - load().encode_queries(TEXTS)).max() > 1e-2


def test_a_checkpoint_without_adapters_is_exported_too(
    load: Load, tiny_decoder_folder: Path, tmp_path: Path
):
    spec = export_merged(tiny_decoder_folder, tmp_path / "merged")
    assert load(tmp_path / "merged").fingerprint == load().fingerprint == spec.fingerprint
    assert np.array_equal(
        load(tmp_path / "merged").encode_documents(TEXTS), load().encode_documents(TEXTS)
    )


@pytest.mark.parametrize("causal", [False, True], ids=["bidirectional", "causal"])
def test_the_configuration_says_whether_it_is_causal(
    load: Load,
    write_encoder: Callable[..., Path],
    tiny_decoder_folder: Path,
    tmp_path: Path,
    *,
    causal: bool,
):
    source = write_encoder(tiny_decoder_folder, causal=causal)
    export_merged(source, tmp_path / "merged")
    config = json.loads((tmp_path / "merged/config.json").read_text())
    assert config["is_causal"] is causal
    assert load(tmp_path / "merged").spec.settings.causal is causal


def test_weights_are_written_in_the_type_of_the_base_or_the_one_asked_for(
    tiny_decoder_folder: Path, tmp_path: Path
):
    export_merged(tiny_decoder_folder, tmp_path / "as-base")
    assert AutoModel.from_pretrained(tmp_path / "as-base").dtype == torch.float32
    export_merged(tiny_decoder_folder, tmp_path / "bf16", dtype=torch.bfloat16)
    assert AutoModel.from_pretrained(tmp_path / "bf16").dtype == torch.bfloat16
    export_merged(tmp_path / "bf16", tmp_path / "again")
    assert AutoModel.from_pretrained(tmp_path / "again").dtype == torch.bfloat16


@pytest.fixture
def bf16_stack(
    tiny_models: ModuleType, tiny_decoder_folder: Path, tmp_path: Path
) -> tuple[Path, list[Path]]:
    """A base stored in bf16, and four stages on it."""
    base = tmp_path / "bf16-base"
    model = AutoModelForCausalLM.from_pretrained(tiny_decoder_folder, dtype=torch.bfloat16)
    model.save_pretrained(base)
    tiny_models.tiny_tokenizer().save_pretrained(base)
    stages = [
        tiny_models.write_tiny_adapter(tmp_path / f"stage{seed}", base, seed=seed)
        for seed in range(4)
    ]
    return base, stages


def test_a_bf16_export_has_the_stacks_vectors_and_successive_merges_drift(
    load: Load, bf16_stack: tuple[Path, list[Path]], tmp_path: Path
):
    base, stages = bf16_stack
    source = tmp_path / "adapted"
    names = [f"stage{i}" for i in range(len(stages))]
    write_adapter_encoder(
        source,
        base=base,
        adapters=list(zip(names, stages, strict=True)),
        settings=EncodingSettings(),
        lineage={},
    )
    export_merged(source, tmp_path / "merged")
    stored = AutoModel.from_pretrained(tmp_path / "merged")
    assert stored.dtype == torch.bfloat16

    # In bf16 the stack has these very weights, so its vectors are the same to the last bit.
    ours = load(tmp_path / "merged", dtype="bfloat16").encode_documents(TEXTS)
    assert np.array_equal(ours, load(source, dtype="bfloat16").encode_documents(TEXTS))

    # Against the stack in float32: rounded once, and rounded after every stage.
    exact = load(source).encode_documents(TEXTS)
    once = cosines(exact, load(tmp_path / "merged").encode_documents(TEXTS))
    drifted = AutoModel.from_pretrained(base, dtype=torch.bfloat16)
    for stage in stages:
        merge_adapters(drifted, [stage])
    drifted.save_pretrained(tmp_path / "drifted")
    copy_tokenizer(base, tmp_path / "drifted")
    successive = cosines(exact, load(tmp_path / "drifted").encode_documents(TEXTS))
    assert once.min() >= 0.9999
    assert (1 - successive).max() > 2 * (1 - once).max()


def test_a_float32_export_keeps_the_stack_of_a_bf16_base_exactly(
    load: Load, bf16_stack: tuple[Path, list[Path]], tmp_path: Path
):
    base, stages = bf16_stack
    write_adapter_encoder(
        tmp_path / "adapted",
        base=base,
        adapters=[("stage", stages[0]), ("other", stages[1])],
        settings=EncodingSettings(),
        lineage={},
    )
    export_merged(tmp_path / "adapted", tmp_path / "merged", dtype=torch.float32)
    ours = load(tmp_path / "merged").encode_documents(TEXTS)
    assert np.abs(ours - load(tmp_path / "adapted").encode_documents(TEXTS)).max() <= 1e-6


def test_a_merged_encoder_can_be_adapted_further(
    load: Load,
    write_encoder: Callable[..., Path],
    adapter_folders: list[Path],
    tiny_decoder_folder: Path,
    tmp_path: Path,
):
    source = write_encoder(tiny_decoder_folder)
    merged = tmp_path / "merged"
    export_merged(source, merged, dtype=torch.float32)

    def grow(base: Path, target: Path) -> EncoderSpec:
        return write_adapter_encoder(
            target,
            base=base,
            adapters=[("more", adapter_folders[1])],
            settings=EncodingSettings(),
            lineage={},
        )

    on_merged = grow(merged, tmp_path / "encoders/on-merged")
    on_adapters = grow(source, tmp_path / "encoders/on-adapters")
    assert [entry.name for entry in on_merged.adapters] == ["more"]
    assert [entry.name for entry in on_adapters.adapters] == ["mntp", "simcse", "more"]
    one, other = load(tmp_path / "encoders/on-merged"), load(tmp_path / "encoders/on-adapters")
    assert np.abs(one.encode_documents(TEXTS) - other.encode_documents(TEXTS)).max() <= 1e-5


def test_a_merged_folder_whose_weights_changed_is_refused(
    load: Load, tiny_decoder_folder: Path, tmp_path: Path
):
    export_merged(tiny_decoder_folder, tmp_path / "merged")
    AutoModel.from_pretrained(tmp_path / "merged").bfloat16().save_pretrained(tmp_path / "merged")
    with pytest.raises(ModelFolderError, match=r"the weights in .*merged must be what the encoder"):
        load(tmp_path / "merged")


def test_an_export_never_overwrites(tiny_decoder_folder: Path, tmp_path: Path):
    export_merged(tiny_decoder_folder, tmp_path / "merged")
    with pytest.raises(ModelFolderError, match="never overwritten"):
        export_merged(tiny_decoder_folder, tmp_path / "merged")
    assert read_any_spec(tmp_path / "merged").form == "merged"
