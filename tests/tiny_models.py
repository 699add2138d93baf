"""Tiny random decoders of several architectures, with a tokenizer trained on a few lines."""

import warnings
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import AutoModel, AutoModelForCausalLM, PreTrainedTokenizerFast
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

LINES = [
    "the quick brown fox jumps over the lazy dog",
    "a retriever finds the passage that answers the question",
    "wing lift and drag in supersonic flow over a flat plate",
    "employees may take thirty days of leave in every year",
    "press the power button for three seconds to reset the device",
]

SIZES: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "vocab_size": 320,
    "max_position_embeddings": 128,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 2,
}

ARCHITECTURES = [
    "llama",
    "mistral",
    "mixtral",
    "qwen2",
    "qwen3",
    "gemma",
    "gemma2",  # eager only
    "gemma3_text",
    "phi",
    "phi3",
    "gpt_neox",
    "gpt2",
    "opt",
    "bloom",  # eager only
    "falcon",
    "olmo2",
    "smollm3",
    "granite",
    "starcoder2",
    "cohere",
    "nemotron",  # reads the modules' own flag on SDPA
]

PARTICULARS: dict[str, dict[str, Any]] = {
    "falcon": {"head_dim": None, "num_key_value_heads": None},
    "gpt_neo": {"attention_types": [[["global"], 2]]},
    "qwen3_next": {"layer_types": ["linear_attention", "full_attention"], "num_experts": 16},
    "lfm2": {"layer_types": ["conv", "full_attention"]},
}
"""What an architecture needs beside `SIZES`; None leaves a size out."""


def tiny_tokenizer(*, add_bos: bool = False, add_eos: bool = False) -> PreTrainedTokenizerFast:
    """A byte-level BPE of 320 entries; like SmolLM2's it gives the empty text no token."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=["<bos>", "<eos>", "<pad>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(LINES, trainer)
    if add_bos or add_eos:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="<bos> " * add_bos + "$A" + " <eos>" * add_eos,
            special_tokens=[("<bos>", 0), ("<eos>", 1)],
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<bos>", eos_token="<eos>", pad_token="<pad>"
    )


def write_tiny_decoder(folder: Path, architecture: str = "llama", **changes: Any) -> Path:
    """Write a seeded random checkpoint of two layers and its tokenizer to ``folder``."""
    torch.manual_seed(0)
    specials = {name: changes.pop(name, False) for name in ("add_bos", "add_eos")}
    sizes = {**SIZES, **PARTICULARS.get(architecture, {}), **changes}
    config = CONFIG_MAPPING[architecture](
        **{name: value for name, value in sizes.items() if value is not None}
    )
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    model.save_pretrained(folder)
    tiny_tokenizer(**specials).save_pretrained(folder)
    return folder


def write_tiny_adapter(
    folder: Path,
    base: Path,
    *,
    seed: int = 0,
    with_head: bool = False,
    targets: tuple[str, ...] = ("q_proj", "v_proj", "down_proj"),
    **changes: Any,
) -> Path:
    """Write a LoRA adapter with seeded random weights, as peft saves it, to ``folder``."""
    torch.manual_seed(seed)
    loader: Any = AutoModelForCausalLM if with_head else AutoModel
    settings = {"r": 4, "lora_alpha": 8, "target_modules": list(targets), **changes}
    with warnings.catch_warnings():
        # peft reads a property that transformers renamed.
        warnings.filterwarnings("ignore", message="`is_gradient_checkpointing`")
        model = get_peft_model(loader.from_pretrained(base), LoraConfig(**settings))
    for name, parameter in model.named_parameters():
        if "lora_B" in name:  # zero at first, so the adapter would do nothing
            torch.nn.init.normal_(parameter, std=0.2)
    model.save_pretrained(str(folder))
    return folder
