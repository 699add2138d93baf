"""Tiny random decoders of several architectures, with a tokenizer trained on a few lines."""

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast
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

ARCHITECTURES = ["llama", "mistral", "qwen2", "qwen3", "gemma", "gemma3_text", "phi3", "gpt_neox"]


def tiny_tokenizer(*, add_bos: bool = False) -> PreTrainedTokenizerFast:
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
    if add_bos:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="<bos> $A", special_tokens=[("<bos>", 0)]
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<bos>", eos_token="<eos>", pad_token="<pad>"
    )


def write_tiny_decoder(folder: Path, architecture: str = "llama", **changes: Any) -> Path:
    """Write a seeded random checkpoint of two layers and its tokenizer to ``folder``."""
    torch.manual_seed(0)
    add_bos = changes.pop("add_bos", False)
    config = CONFIG_MAPPING[architecture](**{**SIZES, **changes})
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    model.save_pretrained(folder)
    tiny_tokenizer(add_bos=add_bos).save_pretrained(folder)
    return folder
