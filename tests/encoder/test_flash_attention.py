"""FlashAttention is told to look both ways, and its vectors are SDPA's.

Without a GPU the library's own path is run, unpadding included, with a kernel in plain Python in
place of the compiled one.
"""

import dataclasses
import importlib.util
import itertools
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import PreTrainedModel, modeling_flash_attention_utils

from encoder.attention import future_reach
from encoder.base import FloatArray
from encoder.export import export_merged
from encoder.llm2vec import LLM2VecEncoder

pytestmark = pytest.mark.torch

Load = Callable[..., LLM2VecEncoder]
PADDED = ["wing lift and drag in supersonic flow", "wing", "press the power button"]
UNPADDED = ["wing lift", "wing lift"]
FAR_AND_WIDE = (-1, -1)


@dataclasses.dataclass
class Kernel:
    """What flash-attn's two functions compute, and how they were called."""

    causal: list[bool] = dataclasses.field(default_factory=list)
    windows: list[tuple[int, int]] = dataclasses.field(default_factory=list)
    varlen_calls: int = 0

    def attend(
        self, q: Tensor, k: Tensor, v: Tensor, *, mask: Tensor, scale: float, softcap: float
    ) -> Tensor:
        """Attention of one text: ``[T, heads, width]`` each, mask ``[T, T]``."""
        groups = q.shape[1] // k.shape[1]
        k, v = k.repeat_interleave(groups, dim=1), v.repeat_interleave(groups, dim=1)
        scores = torch.einsum("qhd,khd->hqk", q.float(), k.float()) * scale
        scores = softcap * torch.tanh(scores / softcap) if softcap else scores
        weights = scores.masked_fill(~mask, -torch.inf).softmax(dim=-1)
        return torch.einsum("hqk,khd->qhd", weights, v.float()).to(q.dtype)

    def visible(self, length: int, *, causal: bool, window: tuple[int, int]) -> Tensor:
        self.causal.append(causal)
        self.windows.append(window)
        offset = torch.arange(length)[None, :] - torch.arange(length)[:, None]
        left, right = window
        mask = torch.ones((length, length), dtype=torch.bool)
        mask &= (offset <= 0) if causal else True
        mask &= (offset >= -left) if left >= 0 else True
        mask &= (offset <= right) if right >= 0 else True
        return mask

    def dense(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        *,
        dropout_p: float = 0.0,  # noqa: ARG002 - flash-attn's signature
        softmax_scale: float | None = None,
        causal: bool = False,
        window_size: tuple[int, int] = FAR_AND_WIDE,
        softcap: float = 0.0,
        deterministic: bool = False,  # noqa: ARG002 - flash-attn's signature
    ) -> Tensor:
        mask = self.visible(q.shape[1], causal=causal, window=window_size)
        scale = softmax_scale or q.shape[-1] ** -0.5
        rows = zip(q, k, v, strict=True)
        return torch.stack(
            [self.attend(*row, mask=mask, scale=scale, softcap=softcap) for row in rows]
        )

    def varlen(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        *,
        cu_seqlens_q: Tensor,
        cu_seqlens_k: Tensor,
        max_seqlen_q: int,
        max_seqlen_k: int,
        dropout_p: float = 0.0,  # noqa: ARG002 - flash-attn's signature
        softmax_scale: float | None = None,
        causal: bool = False,
        window_size: tuple[int, int] = FAR_AND_WIDE,
        softcap: float = 0.0,
        deterministic: bool = False,  # noqa: ARG002 - flash-attn's signature
    ) -> Tensor:
        self.varlen_calls += 1
        assert torch.equal(cu_seqlens_q, cu_seqlens_k)
        assert max_seqlen_q == max_seqlen_k == int(cu_seqlens_q.diff().max())
        scale = softmax_scale or q.shape[-1] ** -0.5
        bounds = cu_seqlens_q.tolist()
        return torch.cat(
            [
                self.attend(
                    q[start:end],
                    k[start:end],
                    v[start:end],
                    mask=self.visible(end - start, causal=causal, window=window_size),
                    scale=scale,
                    softcap=softcap,
                )
                for start, end in itertools.pairwise(bounds)
            ]
        )


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    """Stand in for the compiled kernel; everything around it is transformers' own."""
    kernel = Kernel()
    flash = modeling_flash_attention_utils
    functions = (kernel.dense, kernel.varlen, None, flash._pad_input, flash._unpad_input)
    monkeypatch.setattr(flash, "_lazy_imports", lambda *_args, **_options: functions)
    for name in ("_loaded_implementation", "_flash_fn", "_flash_varlen_fn", "_pad_fn", "_unpad_fn"):
        monkeypatch.setattr(flash, name, None)
    monkeypatch.setattr(flash, "_process_flash_kwargs_fn", None)
    monkeypatch.setattr(PreTrainedModel, "_flash_attn_can_dispatch", lambda *_a, **_o: True)
    return kernel


def on_flash(load: Load, folder: Path, **options: object) -> LLM2VecEncoder:
    return load(folder, attention="flash_attention_2", **options)


@pytest.mark.parametrize("architecture", ["llama", "mistral", "qwen2", "qwen3", "phi3", "gpt_neox"])
@pytest.mark.parametrize("texts", [PADDED, UNPADDED], ids=["padded", "unpadded"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_vectors_equal_those_of_sdpa(
    load: Load,
    kernel: Kernel,
    tiny_models: ModuleType,
    tmp_path: Path,
    *,
    architecture: str,
    texts: list[str],
    dtype: str,
):
    folder = tiny_models.write_tiny_decoder(tmp_path / "model", architecture)
    flash = on_flash(load, folder, dtype=dtype)
    assert flash.compute == f"cpu {dtype} flash_attention_2"
    kernel.causal.clear()
    kernel.varlen_calls = 0
    ours = flash.encode_documents(texts)
    assert set(kernel.causal) == {False}
    assert (kernel.varlen_calls > 0) is (texts is PADDED)
    expected = load(folder, dtype=dtype, attention="sdpa").encode_documents(texts)
    tolerance = {"float32": 1e-5, "bfloat16": 1e-2}[dtype]  # measured: 1e-7, 2e-3
    assert np.abs(ours - expected).max() <= tolerance


def test_the_probe_runs_on_the_flash_path(load: Load, kernel: Kernel, tiny_decoder_folder: Path):
    encoder = on_flash(load, tiny_decoder_folder)
    assert set(kernel.causal) == {False}
    assert kernel.varlen_calls > 0
    assert all(future_reach(encoder._model).values())


def test_a_causal_encoder_stays_causal_on_the_flash_path(
    load: Load, kernel: Kernel, tiny_decoder_folder: Path
):
    ours = on_flash(load, tiny_decoder_folder, causal=True).encode_documents(PADDED)
    assert set(kernel.causal) == {True}
    expected = load(causal=True, attention="sdpa").encode_documents(PADDED)
    assert np.abs(ours - expected).max() <= 1e-5


WINDOW = {"sliding_window": 4}
SWITCHED_ON = {**WINDOW, "use_sliding_window": True, "max_window_layers": 0}
WINDOWED: dict[str, dict[str, object]] = {
    "afmoe": WINDOW,
    "cohere2": WINDOW,
    "cwm": WINDOW,
    "dots1": {**WINDOW, "layer_types": ["sliding_attention", "full_attention"]},
    "exaone4": WINDOW,
    "gemma2": WINDOW,
    "gemma3_text": WINDOW,
    "ministral": WINDOW,
    "ministral3": WINDOW,
    "mistral": WINDOW,
    "mixtral": WINDOW,
    "modernbert-decoder": {
        "local_attention": 8,  # to both sides together
        "layer_types": ["sliding_attention", "full_attention"],
    },
    "olmo3": WINDOW,
    "phi3": WINDOW,
    "qwen2": SWITCHED_ON,
    "qwen3": SWITCHED_ON,
    "qwen3_moe": SWITCHED_ON,
    "smollm3": {**SWITCHED_ON, "layer_types": ["sliding_attention", "full_attention"]},
    "starcoder2": WINDOW,
}
"""Families with sliding-window attention, and how to make the window narrow."""

LONG = "wing lift and drag in supersonic flow over a flat plate"


def states(encoder: LLM2VecEncoder, text: str) -> FloatArray:
    return encoder.encode_tokens([text])[0]


@pytest.mark.parametrize("architecture", WINDOWED)
def test_a_window_is_as_wide_as_that_of_the_other_kernels(
    load: Load, kernel: Kernel, write_decoder: Callable[..., Path], architecture: str
):
    folder = write_decoder(architecture, **WINDOWED[architecture])
    flash, sdpa = on_flash(load, folder), load(folder, attention=None)
    length = len(sdpa.token_spans(LONG))
    assert length > 2 * 4
    kernel.windows.clear()
    assert np.abs(states(flash, LONG) - states(sdpa, LONG)).max() <= 1e-4
    assert (4, 4) in kernel.windows
    both = [LONG, "wing lift"]  # one is padded
    assert np.abs(flash.encode_documents(both) - sdpa.encode_documents(both)).max() <= 1e-5


def test_a_causal_window_is_left_as_it_is(
    load: Load, kernel: Kernel, write_decoder: Callable[..., Path]
):
    folder = write_decoder("mistral", **WINDOW)
    flash, sdpa = on_flash(load, folder, causal=True), load(folder, causal=True)
    assert np.abs(states(flash, LONG) - states(sdpa, LONG)).max() <= 1e-5
    assert set(kernel.windows) == {(3, 3)}
    assert flash._model.config.sliding_window == sdpa._model.config.sliding_window == 4


def test_a_window_wider_than_the_text_changes_nothing(
    load: Load, kernel: Kernel, write_decoder: Callable[..., Path]
):
    wide = on_flash(load, write_decoder("mistral", sliding_window=1000))
    without = on_flash(load, write_decoder("mistral", sliding_window=None))
    assert np.array_equal(states(wide, LONG), states(without, LONG))
    assert set(kernel.windows) == {FAR_AND_WIDE}


@pytest.mark.parametrize("backend", ["sdpa", "eager", "flash_attention_2"])
def test_a_model_with_a_switch_of_its_own_keeps_its_window(
    load: Load, kernel: Kernel, write_decoder: Callable[..., Path], backend: str
):
    """Gemma 3 as EmbeddingGemma: 6 in its config.json means less than 4 to each side."""
    folder = write_decoder("gemma3_text", sliding_window=6, use_bidirectional_attention=True)
    encoder = load(folder, attention=backend)
    assert encoder._model.config.sliding_window == 4
    assert all(future_reach(encoder._model).values())
    if backend == "flash_attention_2":
        states(encoder, LONG)
        assert set(kernel.windows) == {FAR_AND_WIDE, (3, 3)}
    # One layer of window 3 is what a plain Gemma 3 with that window computes.
    plain = write_decoder("gemma3_text", sliding_window=3)
    expected = states(load(plain, attention="sdpa"), LONG)
    assert np.abs(states(encoder, LONG) - expected).max() <= 1e-5


def test_a_merged_encoder_keeps_the_window_of_its_base(
    write_decoder: Callable[..., Path], tmp_path: Path
):
    for name, changes, expected in (
        ("switched", WINDOW, 4),
        ("own", {"sliding_window": 6, "use_bidirectional_attention": True}, 6),
    ):
        export_merged(write_decoder("gemma3_text", **changes), tmp_path / name)
        config = json.loads((tmp_path / name / "config.json").read_text())
        assert config["sliding_window"] == expected


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
@pytest.mark.skipif(importlib.util.find_spec("flash_attn") is None, reason="needs flash-attn")
@pytest.mark.parametrize("texts", [PADDED, UNPADDED], ids=["padded", "unpadded"])
def test_the_compiled_kernel_gives_the_vectors_of_sdpa(load: Load, texts: list[str]):
    flash = load(device="cuda", dtype="bfloat16", attention="flash_attention_2")
    sdpa = load(device="cuda", dtype="bfloat16", attention="sdpa")
    products = (flash.encode_documents(texts) * sdpa.encode_documents(texts)).sum(axis=1)
    assert products.min() >= 0.999
