"""Add LoRA adapters into the weights they adapt.

All adapters are summed in fp32 and the weight is cast once: merging one after another in bf16
drifts by several per cent.
Source: Hu et al. 2021, LoRA, arXiv:2106.09685: W + (alpha / r) B A.
"""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from encoder.errors import ModelFolderError

UNSUPPORTED = ("use_dora", "modules_to_save", "rank_pattern", "alpha_pattern", "lora_bias")
HEAD_PREFIXES = (
    "base_model.model.",
    "model.",
    "transformer.",
    "gpt_neox.",
    "gpt_neox_japanese.",
    "biogpt.",
)
LORA_A, LORA_B = ".lora_A.weight", ".lora_B.weight"


@dataclass(frozen=True, slots=True)
class Factors:
    """A change of one weight as a product, in fp32."""

    up: Tensor
    """``[out, rank]``, scaled by alpha / rank."""

    down: Tensor
    """``[rank, in]``."""

    @property
    def rank(self) -> int:
        """Inner dimension of the product."""
        return self.down.shape[0]


@torch.no_grad()
def merge_adapters(model: nn.Module, adapters: Iterable[Path]) -> None:
    """Add LoRA adapters into a model's weights, in place.

    Args:
        model: The decoder the adapters were trained on, with or without its head.
        adapters: Adapter directories, as peft saves them.

    Raises:
        ModelFolderError: a folder is no plain LoRA adapter, or adapts a weight the model does not
            have.
    """
    for name, change in fit_changes(model, sum_adapters(adapters)).items():
        module = model.get_submodule(name)
        weight = module.get_parameter("weight")
        target = weight.T if isinstance(module, Conv1D) else weight
        up, down = change.up.to(weight.device), change.down.to(weight.device)
        target.copy_(torch.addmm(target.float(), up, down))


def sum_adapters(adapters: Iterable[Path]) -> dict[str, Factors]:
    """Sum adapters exactly: with their ranks side by side, one product is the whole stack.

    Returns:
        The change of each weight, by the bare name of its module.

    Raises:
        ModelFolderError: a folder is no plain LoRA adapter.
    """
    stacks: dict[str, list[Factors]] = {}
    for folder in adapters:
        for name, factors in adapter_factors(folder).items():
            stacks.setdefault(name, []).append(factors)
    return {
        name: Factors(
            up=torch.cat([factors.up for factors in stack], dim=1),
            down=torch.cat([factors.down for factors in stack], dim=0),
        )
        for name, stack in stacks.items()
    }


def fit_changes(model: nn.Module, changes: Mapping[str, Factors]) -> dict[str, Factors]:
    """Find the modules that changes are for: the same changes by the modules' names in the model.

    Raises:
        ModelFolderError: the model has no such module, or its weight has another shape.
    """
    modules = {bare_name(name): (name, module) for name, module in model.named_modules()}
    fitted: dict[str, Factors] = {}
    for bare, change in changes.items():
        name, module = modules.get(bare, ("", None))
        weight = getattr(module, "weight", None)
        if not isinstance(weight, Tensor):
            raise ModelFolderError(
                f"an adapter must fit its base model, which has no {bare} to adapt"
            )
        shape = (weight.T if isinstance(module, Conv1D) else weight).shape
        if shape != (change.up.shape[0], change.down.shape[1]):
            raise ModelFolderError(
                f"an adapter must fit its base model; {bare} is {tuple(shape)} there and "
                f"{(change.up.shape[0], change.down.shape[1])} in the adapter"
            )
        fitted[name] = change
    return fitted


def adapter_factors(folder: Path) -> dict[str, Factors]:
    """Read the two matrices of each weight that an adapter changes.

    Raises:
        ModelFolderError: the folder is no plain LoRA adapter.
    """
    try:
        config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
        tensors = load_file(folder / "adapter_model.safetensors")
    except (OSError, ValueError, SafetensorError) as exc:
        raise ModelFolderError(f"{folder} can't be read as an adapter: {exc}") from exc
    bases = {name.removesuffix(LORA_A) for name in tensors if name.endswith(LORA_A)}
    odd = [name for name in UNSUPPORTED if config.get(name)]
    odd += sorted(set(tensors) ^ {base + part for base in bases for part in (LORA_A, LORA_B)})
    if config.get("peft_type") != "LORA" or odd:
        raise ModelFolderError(
            f"an adapter must be plain LoRA; {folder} is {config.get('peft_type')}"
            + (f" with {', '.join(odd[:3])}" if odd else "")
        )
    rank, alpha = config["r"], config["lora_alpha"]
    scale = alpha / math.sqrt(rank) if config.get("use_rslora") else alpha / rank
    return {
        bare_name(base): Factors(
            up=scale * tensors[base + LORA_B].float(), down=tensors[base + LORA_A].float()
        )
        for base in sorted(bases)
    }


def bare_name(name: str) -> str:
    """Strip what peft and a language-model head put before a decoder's module name."""
    for prefix in HEAD_PREFIXES:
        name = name.removeprefix(prefix)
    return name
