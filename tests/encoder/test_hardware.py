"""What is chosen when the user does not say."""

import importlib.util
from pathlib import Path

import pytest
import torch

from encoder import hardware
from encoder.hardware import (
    choose_attention,
    choose_device,
    choose_dtype,
    choose_token_budget,
    cpu_has_bf16,
)

pytestmark = pytest.mark.torch


@pytest.fixture
def flash_attn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pretend that the package is installed."""
    spec = importlib.util.spec_from_loader("flash_attn", loader=None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: spec)


def gpu(monkeypatch: pytest.MonkeyPatch, *, capability: tuple[int, int]) -> None:
    native = capability >= (8, 0)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _device: capability)
    monkeypatch.setattr(
        torch.cuda,
        "is_bf16_supported",
        lambda *, including_emulation: native or including_emulation,
    )


def test_a_gpu_is_used_where_there_is_one(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device() == "cpu"
    gpu(monkeypatch, capability=(8, 0))
    assert choose_device() == "cuda"


@pytest.mark.parametrize(
    ("flags", "dtype"),
    [
        ("avx512f avx512_bf16", torch.bfloat16),
        ("avx2 amx_bf16", torch.bfloat16),
        ("avx2 avx512f", torch.float32),
    ],
)
def test_a_cpu_computes_in_bf16_only_with_the_instructions(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, flags: str, dtype: torch.dtype
):
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"flags : fpu {flags}\n")
    monkeypatch.setattr(hardware, "Path", lambda _path: cpuinfo)
    assert choose_dtype("cpu") == dtype
    cpuinfo.unlink()
    assert not cpu_has_bf16()


@pytest.mark.parametrize(
    ("capability", "dtype", "attention"),
    [
        ((7, 5), torch.float16, None),
        ((8, 0), torch.bfloat16, "flash_attention_2"),
        ((9, 0), torch.bfloat16, "flash_attention_2"),
    ],
)
@pytest.mark.usefixtures("flash_attn")
def test_a_gpu_computes_in_what_it_does_natively(
    monkeypatch: pytest.MonkeyPatch,
    capability: tuple[int, int],
    dtype: torch.dtype,
    attention: str | None,
):
    gpu(monkeypatch, capability=capability)
    assert choose_dtype("cuda:1") == dtype
    assert choose_attention("cuda:1", dtype=dtype) == attention
    assert choose_attention("cuda:1", dtype=torch.float32) is None


@pytest.mark.usefixtures("flash_attn")
def test_a_cpu_never_gets_flash_attention():
    assert choose_attention("cpu", dtype=torch.bfloat16) is None


def test_without_the_package_transformers_chooses(monkeypatch: pytest.MonkeyPatch):
    gpu(monkeypatch, capability=(9, 0))
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    assert choose_attention("cuda", dtype=torch.bfloat16) is None


def test_batches_are_larger_on_a_gpu():
    assert choose_token_budget("cuda:0") > choose_token_budget("cpu") >= 512


def test_a_family_without_flash_attention_does_not_get_it(
    monkeypatch: pytest.MonkeyPatch,
    flash_attn: None,  # noqa: ARG001
):
    gpu(monkeypatch, capability=(9, 0))
    assert choose_attention("cuda", dtype=torch.bfloat16) == "flash_attention_2"
    assert choose_attention("cuda", dtype=torch.bfloat16, flash=False) is None
