"""Every family of decoders takes a step of every stage, and its encoder is saved and read again."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file

from adapters_training.adapt import adapt
from adapters_training.pairs import Pair
from adapters_training.settings.dicts import settings_from_dict
from encoder.base import FloatArray
from encoder.directory import write_adapter_encoder
from encoder.export import export_merged
from encoder.llm2vec import LLM2VecEncoder
from encoder.loading import read_config
from encoder.spec import EncodingSettings

pytestmark = pytest.mark.torch

SMALL: dict[str, Any] = {"steps": 1, "batch_size": 2, "max_tokens": 8}
FAST = {"optimizer": {"learning_rate": 1e-2}, "lora": {"rank": 2}}
STAGES: list[dict[str, Any]] = [
    {"kind": "mntp", **SMALL, **FAST, "mask_probability": 0.5},
    {"kind": "simcse", **SMALL, **FAST},
    {
        "kind": "contrastive",
        **SMALL,
        **FAST,
        "pairs": ["labelled"],
        "mine": [],
        "false_negative_margin": None,
    },
]
WITHOUT_DROPOUT = {"diffllama", "falcon"}
PAIRS = [
    Pair(query="thirty days", positive="employees may take leave"),
    Pair(query="supersonic flow", positive="wing lift and drag"),
]
TEXTS = ["wing lift and drag", "press the power button for three seconds"]


def vectors(folder: Path) -> FloatArray:
    return LLM2VecEncoder.load(folder, dtype="float32", device="cpu").encode_documents(TEXTS)


@pytest.mark.usefixtures("one_thread")
def test_a_family_is_adapted_saved_and_read_again(
    write_decoder: Callable[..., Path],
    sentences: list[str],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    family: str,
):
    check(write_decoder(family), sentences[:4], tmp_path)
    assert ("attention dropout has no effect" in caplog.text) is (family in WITHOUT_DROPOUT)


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
def test_a_hybrid_is_adapted_saved_and_read_again(
    write_decoder: Callable[..., Path], sentences: list[str], tmp_path: Path, hybrid: str
):
    check(write_decoder(hybrid), sentences[:4], tmp_path)


def check(base: Path, sentences: list[str], tmp_path: Path) -> None:
    """Take a step of each stage, write both forms of the encoder, and read them again."""
    adaptation = adapt(
        base,
        sentences,
        settings=settings_from_dict({"stages": STAGES, "dtype": "float32", "device": "cpu"}),
        run_folder=tmp_path / "run",
        pairs=PAIRS,
    )
    reports = adaptation.lineage["stages"]
    assert [report["kind"] for report in reports] == [stage["kind"] for stage in STAGES]
    assert all(math.isfinite(report["last_loss"]) for report in reports)

    for path in adaptation.adapters:
        tensors = load_file(path / "adapter_model.safetensors")
        ups = [tensor for name, tensor in tensors.items() if "lora_B" in name]
        assert any(up.any() for up in ups), "a step moves the adapter from its start of zero"

    stack = [(stage["kind"], path) for stage, path in zip(STAGES, adaptation.adapters, strict=True)]
    written = write_adapter_encoder(
        tmp_path / "encoder", base=base, adapters=stack, settings=EncodingSettings(), lineage={}
    )
    merged = export_merged(tmp_path / "encoder", tmp_path / "merged")
    assert merged.fingerprint == written.fingerprint

    adapted = vectors(tmp_path / "encoder")
    assert np.abs(vectors(tmp_path / "merged") - adapted).max() <= 1e-6
    assert read_config(tmp_path / "merged").is_causal is False
