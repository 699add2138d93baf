"""The README.md of an export: true, complete, and nothing in it that is the company's own."""

import dataclasses
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from encoder.model_card import model_name, write_model_card
from encoder.spec import AdapterEntry, EncoderSpec, EncodingSettings

PRIVATE = "Project Nightfall ships in March"
PYTHON = re.compile(r"```python\n(.*?)```", re.DOTALL)

STAGE: dict[str, Any] = {
    "kind": "contrastive",
    "settings": {
        "kind": "contrastive",
        "steps": 60,
        "matryoshka": [128, 256],
        "mine": ["bm25", "encoder"],
        "pairs": ["/home/ada/pairs.jsonl"],
        "mask_token": PRIVATE,
        "synthetic": {"examples": [PRIVATE], "prompt": PRIVATE, "per_passage": 2},
        "optimizer": {"learning_rate": 0.0002, "schedule": "linear"},
        "pooling": PRIVATE,
    },
    "steps": 60,
    "tokens": 123456,
    "seconds": 200.1,
    "first_loss": 5.26447,
    "last_loss": 3.29076,
    "examples": 1162,
}


def spec(form: str = "merged", **changes: Any) -> EncoderSpec:
    return dataclasses.replace(
        EncoderSpec(
            settings=EncodingSettings(query_instruction="find the `passage`\n", max_tokens=64),
            dimensions=32,
            model_type="llama",
            base_digest="817479e5c75dc48e",
            tokenizer_digest="b4aa",
            form=form,
            base_path="/home/ada/models/smollm2",
            adapters=(AdapterEntry(name="contrastive", digest="59004089"),),
            weights_digest="1234",
            lineage={
                "texts": {"count": 2451, "digest": "ff72"},
                "stages": [STAGE],
                "settings": {"note": PRIVATE},
            },
        ),
        **changes,
    )


def card(folder: Path, found: EncoderSpec, *, base_name: str = "smollm2") -> str:
    write_model_card(folder, found, name="ours", base_name=base_name)
    return (folder / "README.md").read_text(encoding="utf-8")


def test_it_tells_how_the_encoder_was_made(tmp_path: Path):
    text = card(tmp_path, spec())
    assert "| contrastive | 60 | 123,456 | 1,162 | 200 | 5.264 | 3.291 |" in text
    assert "From 2,451 different texts" in text
    assert (
        "- contrastive: steps 60; matryoshka 128, 256; mine bm25, encoder; "
        "synthetic.per_passage 2; optimizer.learning_rate 0.0002; optimizer.schedule linear\n"
    ) in text
    assert '- instruction before a query: `` "find the `passage`\\n" ``\n' in text
    assert "- instruction before a document: none\n" in text
    assert f"- fingerprint: `{spec().fingerprint}`" in text


@pytest.mark.parametrize("form", ["merged", "adapter"])
def test_it_holds_no_text_and_no_path(tmp_path: Path, form: str):
    text = card(tmp_path, spec(form))
    assert "Nightfall" not in text
    assert "/home" not in text
    assert str(tmp_path) not in text


@pytest.mark.parametrize(
    ("form", "library", "relation"),
    [("merged", "sentence-transformers", "finetune"), ("adapter", "peft", "adapter")],
)
def test_its_front_matter_is_yaml_with_the_base_models_name(
    tmp_path: Path, form: str, library: str, relation: str
):
    yaml = pytest.importorskip("yaml", reason="comes with transformers")
    start, matter, rest = card(tmp_path, spec(form), base_name='odd: "name"').split("---\n", 2)
    assert (start, rest[:8]) == ("", "\n# ours\n")
    found = yaml.safe_load(matter)
    assert found["library_name"] == library
    assert found["base_model"] == 'odd: "name"'
    assert found["base_model_relation"] == relation
    assert {"argot", "embeddings", "llama"} <= set(found["tags"])


def test_a_base_that_is_not_known_by_name_is_left_out(tmp_path: Path):
    text = card(tmp_path, spec(), base_name="")
    assert "base_model:" not in text
    assert "- base model: llama, SHA-256 of its weights `817479e5c75dc48e`\n" in text


def test_each_form_says_what_not_to_do_with_it(tmp_path: Path):
    assert "plain sentence-transformers" in card(tmp_path, spec("adapter"))
    assert "SentenceTransformer(" not in card(tmp_path, spec("adapter"))
    assert "Do not generate text with it" in card(tmp_path, spec("merged"))


@pytest.mark.parametrize("lineage", [{}, {"stages": ["mntp"]}, {"stages": [{"kind": "mntp"}]}])
def test_a_lineage_that_says_little_is_no_error(tmp_path: Path, lineage: dict[str, Any]):
    assert "## How it was made" in card(tmp_path, spec(lineage=lineage))


def test_an_encoder_without_adapters_was_not_trained(tmp_path: Path):
    text = card(tmp_path, spec(adapters=(), lineage={}))
    assert "It was not trained further." in text


def test_a_model_is_called_by_its_folder_or_its_repository(tmp_path: Path):
    assert model_name(tmp_path / "smollm2-135m") == "smollm2-135m"
    cached = tmp_path / "models--Some--Model-1B/snapshots/93efa2f0"
    assert model_name(cached) == "Some/Model-1B"


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
@pytest.mark.parametrize("form", ["merged", "adapter"])
@pytest.mark.parametrize("pooling", ["mean", "weighted_mean", "last_token"])
def test_its_code_runs_and_gives_the_encoders_vectors(
    tiny_decoder_folder: Path,
    adapter_folders: list[Path],
    tmp_path: Path,
    form: str,
    pooling: str,
):
    import torch

    from encoder.directory import write_adapter_encoder
    from encoder.export import export_adapter, export_merged
    from encoder.llm2vec import LLM2VecEncoder

    source, target = tmp_path / "adapted", tmp_path / "ours"
    write_adapter_encoder(
        source,
        base=tiny_decoder_folder,
        adapters=list(zip(["mntp", "simcse"], adapter_folders, strict=True)),
        settings=EncodingSettings(pooling=pooling, max_tokens=20),
        lineage={},
    )
    if form == "merged":
        export_merged(source, target, dtype=torch.float32)
    else:
        export_adapter(source, target)
    texts = ["wing", "press the power button for three seconds to reset the device " * 2]
    expected = LLM2VecEncoder.load(source, dtype="float32").encode_documents(texts)
    blocks = PYTHON.findall((target / "README.md").read_text(encoding="utf-8"))
    assert len(blocks) == (3 if form == "merged" else 2)
    for block in blocks:
        code = (
            block.replace("path/to/ours", str(target))
            .replace(f"path/to/{tiny_decoder_folder.name}", str(tiny_decoder_folder))
            .replace('["a text"]', repr(texts))
        )
        names: dict[str, Any] = {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # sentence-transformers' dependencies warn
            exec(code, names)  # noqa: S102 - the card's own code
        vectors = np.asarray(names["vectors"])
        assert (vectors * expected).sum(axis=1).min() >= 0.999, block
        assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3)
