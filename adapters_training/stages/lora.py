"""Fresh LoRA adapters on a frozen decoder, and the adapter as files.

Source: Hu et al. 2021, arXiv:2106.09685. Every linear layer of the blocks is adapted, as in
LLM2Vec's recipe,
arXiv:2404.05961.
"""

import json
import warnings
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict
from peft.tuners.lora import LoraLayer
from torch import nn
from torch.distributed.fsdp import FSDPModule
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from adapters_training.disk import durable_write, encode_tensors
from adapters_training.errors import TrainingError
from adapters_training.fast.attention import use_training_attention
from adapters_training.fast.dropout import ByteDropout
from adapters_training.fast.lora import group_adapters, readers_of_one_input
from adapters_training.fast.norm import replace_norms
from adapters_training.settings.run import LoraSettings

EXPERT_NAMES = {"gate", "gate_proj", "up_proj", "down_proj", "w1", "w2", "w3"}
"""Leaf names that peft takes for the fused weights of experts, wherever they stand."""


def attach_lora(model: PreTrainedModel, settings: LoraSettings) -> PeftModel:
    """Freeze a decoder and put a fresh adapter on it, in place.

    On a CPU its norms, its eager attention and the adapters are exchanged for ones that compute the
    same in less time.

    The second matrix starts at zero, so the model's output does not change. The first is drawn from
    torch's global random state. Adapters are float32 whatever the model is.

    Raises:
        TrainingError: the settings name layers that the decoder does not have.
    """
    layers = block_layers(model)
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=target_names(model, layers, wanted=settings.targets),
        fan_in_fan_out=any(isinstance(layer, Conv1D) for layer in layers.values()),
    )
    readers = []
    # What is exchanged here would not be there when torch puts a spread weight together.
    if model.device.type == "cpu" and not isinstance(model.base_model, FSDPModule):
        use_training_attention(model)
        replace_norms(model)
        readers = readers_of_one_input(model, list(layers.values()))
    with warnings.catch_warnings():
        # peft 0.21 reads a property that transformers 5.23 has renamed.
        warnings.filterwarnings("ignore", ".is_gradient_checkpointing", FutureWarning)
        adapted: PeftModel = get_peft_model(model, config)
    for module in adapted.modules():
        if isinstance(module, LoraLayer):
            # bf16 models are trained under autocast: float32 copies of bf16 inputs would be waste.
            module.cast_input_dtype_enabled = model.dtype == torch.float32
            if settings.dropout:
                module.lora_dropout["default"] = ByteDropout(settings.dropout)
    group_adapters(model, readers)
    return adapted


def block_layers(model: PreTrainedModel) -> dict[str, nn.Module]:
    """Find the linear layers in a decoder's blocks, by type, under their full names.

    In a mixture of experts these are the attention's: transformers keeps all experts of a layer in
    one tensor, and their names are not free for the layers beside them. The last layer of a
    state-space mixer is left out: its fused kernel reads the weight and would miss the adapter.

    Raises:
        TrainingError: there are none.
    """
    decoder = model.get_decoder()  # type: ignore[no-untyped-call]
    stacks = [child for child in decoder.children() if isinstance(child, nn.ModuleList)]
    blocks = max(stacks, key=len, default=nn.ModuleList())
    inside = {id(module) for module in blocks.modules()} - {
        id(getattr(mixer, "out_proj", None)) for mixer in blocks.modules() if hasattr(mixer, "D")
    }
    fused = any(parameter.dim() == 3 for parameter in blocks.parameters())
    taken = EXPERT_NAMES if fused else set()
    layers: dict[str, nn.Module] = {
        name: module
        for name, module in model.named_modules()
        if id(module) in inside and is_linear(module) and name.rpartition(".")[2] not in taken
    }
    if not layers:
        raise TrainingError(
            f"an adapter needs linear layers in a decoder's blocks; {type(model).__name__} has none"
        )
    return layers


def is_linear(module: nn.Module) -> bool:
    """Tell a linear layer, quantised or not, from a router, which returns more than a tensor."""
    return isinstance(module, nn.Linear | Conv1D) and "Router" not in type(module).__name__


def target_names(
    model: PreTrainedModel, layers: dict[str, nn.Module], *, wanted: tuple[str, ...]
) -> list[str]:
    """Name the layers to adapt: short names where they mean these layers only, else full ones.

    Raises:
        TrainingError: a wanted name is no linear layer of the blocks.
    """
    leaves = {name.rpartition(".")[2] for name in layers}
    missing = sorted(set(wanted) - leaves)
    if missing:
        raise TrainingError(
            "`lora.targets` must be linear layers of the decoder's blocks, "
            f"{', '.join(sorted(leaves))}; got {', '.join(missing)}"
        )
    chosen = sorted(wanted or leaves)
    reached = {
        name
        for name, module in model.named_modules()
        if name.rpartition(".")[2] in chosen and isinstance(module, nn.Linear | Conv1D)
    }
    if reached <= layers.keys():
        return chosen
    return sorted(name for name in layers if name.rpartition(".")[2] in chosen)


def trainable(model: nn.Module) -> dict[str, nn.Parameter]:
    """List the parameters that training changes, by name."""
    return {name: p for name, p in model.named_parameters() if p.requires_grad}


def parameter_count(model: nn.Module) -> int:
    """Count the numbers that training changes."""
    return sum(p.numel() for p in trainable(model).values())


def save_adapter(model: PeftModel, folder: Path) -> None:
    """Write an adapter as peft reads it; equal adapters give equal bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: t.contiguous() for name, t in get_peft_model_state_dict(model).items()}
    config: dict[str, Any] = model.peft_config["default"].to_dict()
    # The base model's place differs between machines, and the files' digest is the adapter's
    # identity.
    config |= {"inference_mode": True, "base_model_name_or_path": None}
    plain = {k: sorted(v) if isinstance(v, set) else v for k, v in config.items()}
    content = json.dumps(plain, indent=2, sort_keys=True, default=str) + "\n"
    durable_write(folder / "adapter_model.safetensors", encode_tensors(tensors))
    durable_write(folder / "adapter_config.json", content.encode())
