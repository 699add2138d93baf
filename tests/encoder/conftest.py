"""Tiny models and encoders made of them."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from encoder.llm2vec import LLM2VecEncoder

Load = Callable[..., LLM2VecEncoder]

ODD_TEXTS = [
    "",
    " ",
    "\n\t ",
    "a",
    "é",
    "👩‍👩‍👧 family of code points",
    "\ud800 lone surrogate \udfff",
    "\x00 null",
    "<eos> spelled out",
    "汉字" * 2500,
    "word " * 2000,
]


@pytest.fixture
def odd_texts() -> list[str]:
    """Texts that break encoders."""
    return ODD_TEXTS


@pytest.fixture(scope="session")
def bos_decoder_folder(tiny_models: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Llama whose tokenizer puts <bos> before each text."""
    folder: Path = tiny_models.write_tiny_decoder(tmp_path_factory.mktemp("bos"), add_bos=True)
    return folder


@pytest.fixture(scope="session")
def eos_decoder_folder(tiny_models: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Llama whose tokenizer puts <bos> before and <eos> after each text."""
    folder: Path = tiny_models.write_tiny_decoder(
        tmp_path_factory.mktemp("eos"), add_bos=True, add_eos=True
    )
    return folder


@pytest.fixture(scope="session")
def adapter_folders(
    tiny_models: ModuleType, tiny_decoder_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> list[Path]:
    """Two adapters of the tiny Llama: one trained with the head, the next without."""
    root = tmp_path_factory.mktemp("adapters")
    return [
        tiny_models.write_tiny_adapter(
            root / name, tiny_decoder_folder, seed=seed, with_head=name == "mntp"
        )
        for seed, name in enumerate(["mntp", "simcse"])
    ]


@pytest.fixture
def load(tiny_decoder_folder: Path) -> Load:
    """Load the tiny Llama, or another folder, on the CPU in fp32 unless told otherwise."""

    def load_encoder(folder: Path = tiny_decoder_folder, **options: Any) -> LLM2VecEncoder:
        return LLM2VecEncoder.load(folder, **{"dtype": "float32", "device": "cpu", **options})

    return load_encoder
