"""A base in 8 or 4 bits a weight under full-precision adapters, for a GPU that is too small for it.

Source: Dettmers et al. 2022, LLM.int8(), arXiv:2208.07339; Dettmers et al. 2023, QLoRA,
arXiv:2305.14314, for 4 bits: NormalFloat, its constants quantised too.
"""

import importlib.util
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import BitsAndBytesConfig
from transformers.pytorch_utils import Conv1D

from adapters_training.errors import TrainingError
from encoder.merging import bare_name, sum_adapters


def quantization(bits: str, *, device: str, dtype: torch.dtype) -> BitsAndBytesConfig:
    """Say how a base is to be quantised while it is loaded.

    Args:
        bits: ``8bit`` or ``4bit``.
        device: Where the base goes.
        dtype: In which it is multiplied.

    Raises:
        TrainingError: the device is no NVIDIA GPU, or the package is missing.
    """
    if not device.startswith("cuda"):
        raise TrainingError(
            f"`quantize` needs an NVIDIA GPU; the device is {device}\n"
            "hint: leave `quantize` out; on a CPU it saves nothing"
        )
    if importlib.util.find_spec("bitsandbytes") is None:
        raise TrainingError(
            "`quantize` needs the package bitsandbytes; there is none\n"
            "hint: pip install 'argot-search[quantized]'"
        )
    return BitsAndBytesConfig(  # type: ignore[no-untyped-call]
        load_in_8bit=bits == "8bit",
        load_in_4bit=bits == "4bit",
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
    )


def put_beside(model: nn.Module, adapters: Sequence[Path]) -> None:
    """Let frozen adapters act beside the weights they adapt, which stay as they are.

    Merged into quantised weights they would be rounded with them, and mostly lost.

    Args:
        model: The decoder the adapters were trained on, with or without its head, on its device.
        adapters: Adapter directories, as peft saves them.

    Raises:
        TrainingError: an adapter is for a layer that the model does not have.
        ModelFolderError: a folder is no plain LoRA adapter.
    """
    layers = {
        bare_name(name): module
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear | Conv1D)
    }
    for name, change in sum_adapters(adapters).items():
        if name not in layers:
            raise TrainingError(f"an adapter must fit its base model, which has no layer {name}")
        device = next(layers[name].parameters()).device
        added = partial(add_change, up=change.up.to(device), down=change.down.to(device))
        layers[name].register_forward_hook(added)


def add_change(
    _: nn.Module, inputs: tuple[Tensor, ...], output: Tensor, *, up: Tensor, down: Tensor
) -> Tensor:
    """Add to a layer's output what an adapter makes of its input."""
    change = functional.linear(functional.linear(inputs[0].to(down.dtype), down), up)
    return output + change.to(output.dtype)
