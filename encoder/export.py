"""Write an encoder as one folder that other libraries load, too: merged, or as one adapter."""

import json
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.functional import pad
from transformers import AutoModel
from transformers.pytorch_utils import Conv1D

from encoder.directory import (
    copy_tokenizer,
    digest_adapter,
    read_any_spec,
    relative_path,
    weights_folder,
    write_directory,
)
from encoder.errors import ModelFolderError
from encoder.loading import context_tokens, load_decoder, read_config
from encoder.merging import LORA_A, LORA_B, Factors, fit_changes, merge_adapters, sum_adapters
from encoder.model_card import model_name, write_model_card
from encoder.sentence_transformers_layout import write_sentence_transformers_files
from encoder.spec import EncoderSpec, digest_weights, write_spec


def export_merged(
    source: Path, target: Path, *, dtype: torch.dtype | None = None, base: Path | None = None
) -> EncoderSpec:
    """Merge an encoder's adapters and write it as one model folder.

    The adapters are summed and added in fp32 and the result is cast once. The folder loads in plain
    ``SentenceTransformer(target)`` and ``AutoModel.from_pretrained(target)``: its configuration
    says ``is_causal: false``, its modules say how to pool. It has the fingerprint of its source,
    so an index built with one form is searched with the other.

    sentence-transformers counts an instruction's tokens apart from the text. Where its last
    token grows together with the text's first one, its pool is shifted by that token; end an
    instruction with a newline, which rarely does. And it has no vector for a text without
    tokens, such as the empty one, where the tokenizer adds none.

    Args:
        source: An encoder directory or a checkpoint.
        target: Must not exist.
        dtype: Of the written weights; None: as the base model's are stored. bf16 keeps 8 bits of
            a weight, so the change is rounded with it; fp32 keeps the stack's vectors exactly.
        base: Where the source's base model lies now; None: where the source says.

    Returns:
        The spec that was written.

    Raises:
        ModelFolderError: the source can't be read, or the target exists.
    """
    spec = read_any_spec(source)
    weights = weights_folder(source, spec, base=base)
    decoder = load_decoder(
        weights.model, causal=spec.settings.causal, dtype=torch.float32, device="cpu"
    )
    merge_adapters(decoder.model, weights.adapters)
    dtype = dtype or stored_dtype(weights.model)
    model: nn.Module = decoder.model
    model.to(dtype)
    longest = min(spec.settings.max_tokens, context_tokens(decoder.model.config))
    written: list[EncoderSpec] = []

    def fill(folder: Path) -> None:
        decoder.model.save_pretrained(folder)
        copy_tokenizer(weights.tokenizer, folder)
        write_sentence_transformers_files(folder, spec, max_tokens=longest)
        merged = replace(spec, form="merged", base_path="", weights_digest=digest_weights(folder))
        write_spec(folder, merged)
        # A merged source no longer knows what its base was called.
        base_name = "" if spec.form == "merged" else model_name(weights.model)
        write_model_card(folder, merged, name=target.name, base_name=base_name)
        written.append(merged)

    write_directory(target, fill)
    return written[0]


def export_adapter(source: Path, target: Path, *, base: Path | None = None) -> EncoderSpec:
    """Write an encoder's whole stack as one LoRA adapter, bound to its base model.

    The ranks of the stages stand side by side, in fp32, so the product is their exact sum. The
    folder loads in Argot, with the fingerprint of its source, and as a plain adapter in
    ``PeftModel.from_pretrained(model, target)`` over the base model without its head. The adapter
    does not name its base: transformers and sentence-transformers would load it causal.

    Args:
        source: An encoder directory in adapter form.
        target: Must not exist.
        base: Where the base model lies now; None: where the source says.

    Returns:
        The spec that was written.

    Raises:
        ModelFolderError: the source has no adapters of its own or can't be read, or the target
            exists.
    """
    spec = read_any_spec(source)
    if spec.form != "adapter" or not spec.adapters:
        raise ModelFolderError(
            "only an encoder with adapters beside its base model can be exported as an adapter; "
            f"{source} is {spec.form}\nhint: export it with --merged"
        )
    weights = weights_folder(source, spec, base=base)
    model = skeleton(weights.model)
    changes = fit_changes(model, sum_adapters(weights.adapters))
    written: list[EncoderSpec] = []

    def fill(folder: Path) -> None:
        write_adapter(folder, changes, model=model)
        copy_tokenizer(weights.tokenizer, folder)
        summed = replace(
            spec,
            base_path=relative_path(weights.model, target),
            weights_digest=digest_adapter(folder),
        )
        write_spec(folder, summed)
        write_model_card(folder, summed, name=target.name, base_name=model_name(weights.model))
        written.append(summed)

    write_directory(target, fill)
    return written[0]


def write_adapter(folder: Path, changes: dict[str, Factors], *, model: nn.Module) -> None:
    """Write changes as a LoRA adapter, as peft reads it.

    Args:
        folder: Exists.
        changes: By the name of the module in ``model``.
        model: What the adapter is for; its weights are not looked at.
    """
    # peft knows one rank: zeros fill up what fewer stages have adapted.
    rank = max(change.rank for change in changes.values())
    tensors: dict[str, Tensor] = {}
    for name, change in changes.items():
        missing = rank - change.rank
        tensors[f"base_model.model.{name}{LORA_A}"] = pad(change.down, (0, 0, 0, missing))
        tensors[f"base_model.model.{name}{LORA_B}"] = pad(change.up, (0, missing)).contiguous()
    config = {
        "peft_type": "LORA",
        "task_type": "FEATURE_EXTRACTION",
        "base_model_name_or_path": None,
        "r": rank,
        "lora_alpha": rank,  # each stage's own scale is in its factors
        "lora_dropout": 0.0,
        "bias": "none",
        "target_modules": target_names(model, set(changes)),
        "fan_in_fan_out": any(isinstance(model.get_submodule(name), Conv1D) for name in changes),
        "inference_mode": True,
    }
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    (folder / "adapter_config.json").write_text(
        json.dumps(config, indent=2) + "\n", encoding="utf-8"
    )


def target_names(model: nn.Module, adapted: set[str]) -> list[str]:
    """Name adapted layers: by their last names where these mean no other layer, else in full."""
    leaves = {name.rpartition(".")[2] for name in adapted}
    reached = {name for name, _ in model.named_modules() if name.rpartition(".")[2] in leaves}
    return sorted(leaves if reached == adapted else adapted)


def skeleton(folder: Path) -> nn.Module:
    """Build a checkpoint's decoder without its weights, for its modules' names and shapes."""
    with torch.device("meta"):
        model: nn.Module = AutoModel.from_config(read_config(folder))  # type: ignore[no-untyped-call]
    return model


def stored_dtype(folder: Path) -> torch.dtype:
    """Read the type a checkpoint's weights are stored in; fp32 where it doesn't say."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    name = config.get("dtype") or config.get("torch_dtype") or "float32"
    return {"bfloat16": torch.bfloat16, "float16": torch.float16}.get(name, torch.float32)
